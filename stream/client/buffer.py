"""The rows that are not delivered yet: bounded, and never in the way of the caller for long."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from stream.client.options import OnFull
from stream.core.errors import BufferFullError, SchemaError

__all__ = ["Buffer", "Entry"]

T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """What is sent or dropped together: one row, or some rows of a table. `size` is in bytes."""

    key: bytes | None
    value: T
    rows: int
    size: int


class Buffer(Generic[T]):
    """A queue of entries, safe for threads: at most `max_rows` rows and `max_bytes` bytes.

    Entries that were taken out and are held (`hold`), until they are delivered, count as well.

    What happens when it is full says `on_full`: the oldest entries make room (`drop_oldest`),
    the caller waits for at most `block_seconds` and then the new entry is dropped (`block`), or
    BufferFullError is raised and nothing is taken (`raise`).
    """

    def __init__(
        self, max_rows: int, max_bytes: int, on_full: OnFull, block_seconds: float
    ) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._block_seconds = block_seconds
        self._entries: deque[Entry[T]] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._wanted: int | None = None  # how many rows the waiting taker waits for
        self._hurry = 0
        self._since = 0.0
        self._has_ended = False
        self.rows = 0
        self.size = 0
        self.held_rows = 0
        self.held_size = 0
        self.accepted = 0
        self.evicted = 0
        self.refused = 0

    def put(self, entries: Sequence[Entry[T]]) -> None:
        """Takes entries in, in order; with `raise` all of them or none.

        Returns within `block_seconds` whatever happens. Raises SchemaError where an entry alone
        is larger than the buffer, BufferFullError as the class says. After `end` everything is
        refused, and counted so.
        """
        for entry in entries:
            if entry.rows > self._max_rows or entry.size > self._max_bytes:
                raise SchemaError(
                    f"{entry.rows} rows of {entry.size} bytes are more than the buffer holds "
                    f"({self._max_rows} rows, {self._max_bytes} bytes): raise buffer_bytes"
                )
        with self._lock:
            if self._on_full == "raise" and not self._has_ended:
                self._check_room(entries)
            deadline = time.monotonic() + self._block_seconds
            was_empty = not self._entries
            for entry in entries:
                if not self._has_ended and (self._fits(entry) or self._make_room(entry, deadline)):
                    self._append(entry)
                else:
                    self.refused += entry.rows
            if self._wanted is not None and (was_empty or self.rows >= self._wanted):
                self._filled.notify()

    def take(
        self, fewest: int, most: int, most_bytes: int, linger: float, patience: float
    ) -> list[Entry[T]]:
        """The oldest entries, of up to `most` rows and `most_bytes` bytes (or one larger entry).

        They are held from now on, until `hold` says otherwise. Only one thread may take.

        Waits until there are `fewest` rows, or the oldest has waited for `linger` seconds, or
        somebody is in a hurry, but no longer than `patience` seconds; then returns [].
        """
        limit = time.monotonic() + patience
        with self._lock:
            while not self._is_due(fewest, linger):
                now = time.monotonic()
                wake = min(limit, self._since + linger) if self._entries else limit
                if now >= limit:
                    return []
                self._wanted = fewest
                self._filled.wait(max(0.0, wake - now))
                self._wanted = None
            return self._pop(most, most_bytes)

    def hold(self, rows: int, size: int) -> None:
        """How much of what was taken is still held: the rest makes room."""
        if (rows, size) != (self.held_rows, self.held_size):
            with self._lock:
                self.held_rows, self.held_size = rows, size
                self._emptied.notify_all()

    def await_rows(self, seconds: float) -> bool:
        """True as soon as there is an entry, False after that many seconds."""
        with self._lock:
            if not self._entries:
                self._wanted = 1
                self._filled.wait(seconds)
                self._wanted = None
            return bool(self._entries)

    def hurry(self, more: int) -> None:
        """Lets `take` wait for nothing, from +1 until the matching −1."""
        with self._lock:
            self._hurry += more
            self._filled.notify_all()

    def end(self, taken: int = 0) -> None:
        """Drops everything, counted as evicted, and takes nothing any more; nobody waits.

        `taken` rows had been taken and aren't sent: they count as evicted, too.
        """
        with self._lock:
            self._has_ended = True
            self.evicted += self.rows + taken
            self._entries.clear()
            self.rows = self.size = 0
            self._emptied.notify_all()

    def _is_due(self, fewest: int, linger: float) -> bool:
        if not self._entries:
            return False
        if self.rows >= fewest or self._hurry > 0:
            return True
        return time.monotonic() - self._since >= linger

    def _pop(self, most: int, most_bytes: int) -> list[Entry[T]]:
        taken: list[Entry[T]] = []
        rows = size = 0
        while self._entries:
            entry = self._entries[0]
            if taken and (rows + entry.rows > most or size + entry.size > most_bytes):
                break
            self._entries.popleft()
            taken.append(entry)
            rows += entry.rows
            size += entry.size
        self.rows -= rows
        self.size -= size
        self.held_rows += rows
        self.held_size += size
        self._since = time.monotonic()
        return taken

    def _append(self, entry: Entry[T]) -> None:
        if not self._entries:
            self._since = time.monotonic()
        self._entries.append(entry)
        self.rows += entry.rows
        self.size += entry.size
        self.accepted += entry.rows

    def _fits(self, entry: Entry[T]) -> bool:
        return (
            self.rows + self.held_rows + entry.rows <= self._max_rows
            and self.size + self.held_size + entry.size <= self._max_bytes
        )

    def _evict_for(self, entry: Entry[T]) -> bool:
        """Drops the oldest until the entry fits; drops none where that would not do."""
        most_rows = self._max_rows - self.held_rows - entry.rows
        most_bytes = self._max_bytes - self.held_size - entry.size
        if most_rows < 0 or most_bytes < 0:
            return False
        while self.rows > most_rows or self.size > most_bytes:
            oldest = self._entries.popleft()
            self.rows -= oldest.rows
            self.size -= oldest.size
            self.evicted += oldest.rows
        return True

    def _make_room(self, entry: Entry[T], deadline: float) -> bool:
        if self._on_full == "drop_oldest":
            return self._evict_for(entry)
        while not (self._has_ended or self._fits(entry)):
            self._filled.notify()
            left = deadline - time.monotonic()
            if left <= 0 or not self._emptied.wait(left):
                break
        return not self._has_ended and self._fits(entry)

    def _check_room(self, entries: Sequence[Entry[T]]) -> None:
        rows, size = self.rows + self.held_rows, self.size + self.held_size
        all_rows = rows + sum(entry.rows for entry in entries)
        all_size = size + sum(entry.size for entry in entries)
        if all_rows > self._max_rows or all_size > self._max_bytes:
            raise BufferFullError(
                f"{rows} rows of {size} bytes wait for Kafka, and the limit is "
                f"{self._max_rows} rows, {self._max_bytes} bytes: look at the broker, or raise "
                "buffer_rows or buffer_bytes"
            )
