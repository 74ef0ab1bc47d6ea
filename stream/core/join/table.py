"""Rows by id in time buckets: an arena, an index, and what has changed since it was last told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.arena import Arena, Bucket
from stream.core.join.index import Index
from stream.core.join.layout import Rows, Slots
from stream.core.records import Int64s

__all__ = ["Table"]


class Table:
    """Keeps rows until their buckets end; buckets are `width_ms` long and end at multiples of it.

    `touched` gathers, by task, the slots of rows that were written to, until it is taken.
    """

    def __init__(self, layout: np.dtype[Any], width_ms: int) -> None:
        self.arena = Arena(layout, width_ms)
        self.index = Index(self.arena)
        self.extras: npt.NDArray[np.object_] | None = None
        self.touched: dict[int, list[Slots]] = {}
        self.released: dict[int, list[int]] = {}

    @property
    def nbytes(self) -> int:
        """What the table holds, used or not."""
        return self.arena.nbytes + self.index.nbytes

    def insert(self, rows: Rows, task: npt.NDArray[np.int32], until_ms: Int64s) -> Slots:
        """Keeps rows at least until a time; returns their slots."""
        slots = self.arena.allocate(task, until_ms)
        self.write(slots, rows)
        self.index.add(slots, rows["ids"])
        return slots

    def write(self, slots: Slots, rows: Rows) -> None:
        """Puts rows at slots; the index is none the wiser."""
        whole = f"V{rows.dtype.itemsize}"  # rows as blocks are copied faster than as words
        self.arena.words.view(whole).reshape(-1)[slots] = rows.view(whole)

    def touch(self, task: npt.NDArray[np.int32], slots: Slots) -> None:
        """Remembers that rows were written to."""
        if not len(slots):
            return
        if (task == task[0]).all():
            self.touched.setdefault(int(task[0]), []).append(slots)
            return
        order = np.argsort(task.astype(np.uint16), kind="stable")  # by radix
        counts = np.bincount(task)
        parts = np.split(slots.take(order), np.cumsum(counts)[:-1])
        for number in np.flatnonzero(counts).tolist():
            self.touched.setdefault(number, []).append(parts[number])

    def expire(self, task: int, before_ms: int, at_most: int) -> Iterator[Slots]:
        """Forgets the task's buckets that ended before a time, until so many rows are gone.

        Gives the slots of each, whose rows can be read until the next one is asked for.
        """
        gone = 0
        for bucket in self.arena.ended(task, before_ms):
            gone += bucket.rows
            yield self._release(bucket)
            if gone >= at_most:
                return

    def drop(self, task: int) -> None:
        """Forgets all of a task."""
        for bucket in list(self.arena.buckets.get(task, {}).values()):
            self._release(bucket)
        self.touched.pop(task, None)
        self.released.pop(task, None)

    def keep_extras(self, slots: Slots, extras: list[bytes | None]) -> None:
        """Keeps bytes beside rows."""
        if all(extra is None for extra in extras) and self.extras is None:
            return
        capacity = len(self.arena.words)
        if self.extras is None or len(self.extras) < capacity:
            held = np.full(capacity, None, dtype=object)
            if self.extras is not None:
                held[: len(self.extras)] = self.extras
            self.extras = held
        self.extras[slots] = extras

    def extras_of(self, slots: Slots) -> list[bytes | None] | None:
        """The bytes beside rows; None where none has any."""
        if self.extras is None or not len(slots):
            return None
        known = np.full(len(slots), None, dtype=object)
        inside = slots < len(self.extras)
        known[inside] = self.extras[slots[inside]]
        found: list[bytes | None] = known.tolist()
        return found if any(extra is not None for extra in found) else None

    def _release(self, bucket: Bucket) -> Slots:
        slots = self.arena.release(bucket)
        self.index.remove(slots)
        self.released.setdefault(bucket.task, []).append(bucket.end_ms)
        if self.extras is not None:
            self.extras[slots[slots < len(self.extras)]] = None
        return slots
