"""Rows by id in time buckets: an arena, an index, and what has changed since it was last told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.arena import NOBODY, Arena, Bucket
from stream.core.join.index import Index
from stream.core.join.layout import EXTENT_SHIFT, Rows, Slots

__all__ = ["Table"]

_NO_SLOTS: Slots = np.zeros(0, dtype=np.int64)


class Table:
    """Keeps rows until their buckets end; buckets are `width_ms` long and end at multiples of it.

    What was written to after somebody had been told of it goes to `touch`, for `taken` to give.
    """

    def __init__(self, layout: np.dtype[Any], width_ms: int) -> None:
        self.arena = Arena(layout, width_ms)
        self.index = Index(self.arena)
        self.extras: npt.NDArray[np.object_] | None = None
        self._touched: list[Slots] = []
        self._of_task: dict[int, list[Slots]] = {}
        self.released: dict[int, list[int]] = {}

    @property
    def nbytes(self) -> int:
        """What the table holds, used or not."""
        return self.arena.nbytes + self.index.nbytes

    def slots_of(self, task: int) -> Slots:
        """The slots of all rows of a task."""
        buckets = self.arena.buckets.get(task, {}).values()
        return np.concatenate([_NO_SLOTS, *(self.arena.slots_of(bucket) for bucket in buckets)])

    def write(self, slots: Slots, rows: Rows) -> None:
        """Puts rows at slots; the index is none the wiser."""
        whole = f"V{rows.dtype.itemsize}"  # rows as blocks are copied faster than as fields
        self.arena.rows.view(whole)[slots] = rows.view(whole)

    def touch(self, slots: Slots) -> None:
        """Remembers that rows were written to; one yet to be told of is told of as it is then."""
        known = self.arena.known(slots)
        if len(known):
            self._touched.append(known)

    def taken(self, task: int) -> Slots:
        """The slots of a task's rows that were written to since the last call."""
        if self._touched:
            self._sort_touched()
        parts = self._of_task.pop(task, [])
        return self.arena.told_of(task, np.concatenate(parts)) if parts else _NO_SLOTS

    def _sort_touched(self) -> None:
        """Gives each task what was touched of its rows; what was released since is nobody's."""
        slots = np.concatenate(self._touched)
        self._touched.clear()
        owner = self.arena.owner.take(slots >> EXTENT_SHIFT)
        order = np.argsort(owner.astype(np.int16), kind="stable")  # by radix
        owner, slots = owner.take(order), slots.take(order)
        starts = np.flatnonzero(np.diff(owner, prepend=NOBODY))
        parts = np.split(slots, starts)[1:]
        for number, part in zip(owner.take(starts).tolist(), parts, strict=True):
            self._of_task.setdefault(number, []).append(part)

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
        self._of_task.pop(task, None)
        self.released.pop(task, None)

    def keep_extras(self, slots: Slots, extras: list[bytes | None]) -> None:
        """Keeps bytes beside rows."""
        if all(extra is None for extra in extras) and self.extras is None:
            return
        capacity = len(self.arena.rows)
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
        slots = self.arena.slots_of(bucket)
        self.index.remove(slots)
        self.arena.release(bucket)
        self.released.setdefault(bucket.task, []).append(bucket.end_ms)
        if self.extras is not None:
            self.extras[slots[slots < len(self.extras)]] = None
        return slots
