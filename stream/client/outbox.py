"""A feeder that survives forks and the interpreter's end."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from stream.client.buffer import Entry
from stream.client.counters import Counters
from stream.client.feeder import Feeder
from stream.client.notices import Notices, renew_after_fork
from stream.client.options import Options
from stream.client.record import Packer
from stream.core.errors import DriftstreamError

__all__ = ["Outbox"]


class Outbox:
    """Sends entries in the background.

    A forked child starts afresh: with counters of zero and a producer of its own from its first
    row on; its parent's rows stay the parent's. At the interpreter's end what is left is sent,
    for at most `exit_seconds` in all outboxes together; so it is, without anybody waiting, where
    an outbox is forgotten without `close`.
    """

    def __init__(self, options: Options, make_packer: Callable[[], Packer]) -> None:
        self._options = options
        self._make_packer = make_packer
        self._lock = threading.Lock()
        self._is_closed = False
        self._rejected = 0
        self._notices = Notices()
        self._feeder: Feeder | None = Feeder(options, make_packer())
        _OUTBOXES.add(self)

    def put(self, entries: Sequence[Entry[Any]]) -> None:
        """Takes entries in, as `Buffer.put` does. Raises DriftstreamError after `close`."""
        feeder = self._feeder
        if feeder is None or self._is_closed:
            feeder = self._begin_again()
        feeder.buffer.put(entries)

    def reject(self, rows: int, fault: Exception) -> None:
        """Counts rows that could not be logged, and says why."""
        with self._lock:
            self._rejected += rows
        topic = self._options.topic
        text = str(fault) if isinstance(fault, DriftstreamError) else repr(fault)
        self._notices.warn("rejected", f"{topic}: {rows} rows were not logged: {text}")

    def flush(self, seconds: float) -> bool:
        """True as soon as no row is buffered, False after that many seconds."""
        return self._feeder is None or self._feeder.flush(seconds)

    def close(self, seconds: float) -> bool:
        """Sends what is left, for at most that many seconds; False where some was given up."""
        self._is_closed = True
        if self._feeder is None:
            return True
        self._feeder.retire(seconds)
        ended = self._feeder.join(seconds + 1.0)
        return ended and not self._feeder.gave_up

    @property
    def counters(self) -> Counters:
        """Rows of this process."""
        sent = Counters(0, 0, 0, 0) if self._feeder is None else self._feeder.counters
        return sent._replace(rejected=self._rejected)

    def forget_parent(self) -> None:
        """Called in a forked child, where the parent's threads don't exist."""
        feeder, self._feeder = self._feeder, None
        self._lock = threading.Lock()
        self._rejected = 0
        self._notices = Notices()
        if feeder is not None and feeder.producer is not None:
            # Destroying it would wait for librdkafka's threads, which only the parent has.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(feeder.producer))

    def retire(self) -> Feeder | None:
        """Tells the feeder to send what is left within `exit_seconds`; returns it."""
        if self._feeder is not None:
            self._feeder.retire(self._options.exit_seconds)
        return self._feeder

    def __del__(self) -> None:
        feeder = self.retire() if hasattr(self, "_feeder") else None
        if feeder is not None:
            _FORGOTTEN[:] = [each for each in (*_FORGOTTEN, feeder) if each.is_running]

    def _begin_again(self) -> Feeder:
        with self._lock:
            if self._is_closed:
                raise DriftstreamError("this logger is closed: make another one to log again")
            if self._feeder is None:
                self._feeder = Feeder(self._options, self._make_packer())
                _register_in_process()
            return self._feeder


_OUTBOXES: weakref.WeakSet[Outbox] = weakref.WeakSet()
_FORGOTTEN: list[Feeder] = []
_JOIN_SECONDS = 0.5  # what a thread may need beyond its own deadline


def _start_afresh() -> None:
    renew_after_fork()
    _FORGOTTEN.clear()
    for outbox in list(_OUTBOXES):
        outbox.forget_parent()


def _send_what_is_left() -> None:
    feeders = [*_FORGOTTEN, *(outbox.retire() for outbox in list(_OUTBOXES))]
    for feeder in feeders:
        if feeder is not None:
            feeder.join(feeder.seconds_left + _JOIN_SECONDS)


def _register_in_process() -> None:
    """Sends what is left at the end of a multiprocessing.Process too, which runs no atexit."""
    processes = sys.modules.get("multiprocessing.util")
    if processes is not None:
        processes.Finalize(None, _send_what_is_left, exitpriority=100)


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(_send_what_is_left)
