"""Where rows live: extents of one growing array, owned by time buckets that end as wholes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.layout import Rows, Slots
from stream.core.records import Int64s

__all__ = ["Arena", "Bucket"]

_SHIFT = 7
_EXTENT = 1 << _SHIFT  # rows; a bucket leaves half of one unused
_MASK = _EXTENT - 1
_NOBODY = -1
_SMALL = 1 << 12  # extents


@dataclass(slots=True, eq=False)
class Bucket:
    """A task's rows that may be forgotten once time has passed `end_ms`, in order of arrival."""

    task: int
    end_ms: int
    extents: list[int] = field(default_factory=list)
    rows: int = 0


class Arena:
    """Rows of one layout at stable slots; a row is forgotten with its bucket, never alone.

    Grows in place (the allocator remaps), a large one by a thirty-second: little stands
    idle and nothing is copied. Views of `words` must not outlive the next call of `allocate`.
    """

    def __init__(self, layout: np.dtype[Any], width_ms: int) -> None:
        self.layout = layout
        self.width_ms = width_ms
        self.words = np.zeros((0, layout.itemsize // 8), dtype=np.uint64)
        self.buckets: dict[int, dict[int, Bucket]] = {}
        self._ends: dict[int, list[int]] = {}
        self._counts: dict[int, int] = {}
        self._task = np.zeros(0, dtype=np.int32)
        self._end = np.zeros(0, dtype=np.int64)
        self._place = np.zeros(0, dtype=np.int32)
        self._free: list[int] = []
        self._used = 0

    @property
    def nbytes(self) -> int:
        """What the arrays and lists hold, used or not."""
        arrays = (self.words, self._task, self._end, self._place)
        extents = sum(len(b.extents) for found in self.buckets.values() for b in found.values())
        return sum(array.nbytes for array in arrays) + 36 * (extents + len(self._free))

    def count(self, task: int) -> int:
        """The number of a task's rows."""
        return self._counts.get(task, 0)

    def total(self) -> int:
        """The number of all rows."""
        return sum(self._counts.values())

    def take(self, slots: Slots) -> Rows:
        """Copies of the rows at these slots."""
        rows = self.words.take(slots, axis=0).view(self.layout)
        return rows.reshape(len(slots))

    def column(self, name: str) -> npt.NDArray[Any]:
        """A view of one field of all slots, to be written or read by slot."""
        view: npt.NDArray[Any] = self.words.view(self.layout)[:, 0][name]
        return view

    def task_of(self, slots: Slots) -> npt.NDArray[np.int32]:
        """Whose rows these are; -1 where nobody's."""
        return self._task.take(slots >> _SHIFT)

    def place_of(self, slots: Slots) -> tuple[Int64s, Int64s]:
        """The end of each row's bucket, and the row's ordinal in it."""
        extents = slots >> _SHIFT
        ordinal = (self._place.take(extents).astype(np.int64) << _SHIFT) | (slots & _MASK)
        return self._end.take(extents), ordinal

    def allocate(self, task: npt.NDArray[np.int32], until_ms: Int64s) -> Slots:
        """Slots for new rows that are kept at least until a time, in their order in each bucket."""
        slots = np.empty(len(task), dtype=np.int64)
        if not len(task):
            return slots
        number = -(-until_ms // self.width_ms)
        end_ms = number * self.width_ms
        key = (number - number.min()) * (int(task.max()) + 1) + task
        if (key == key[0]).all():
            slots[:] = self.extend(self.bucket(int(task[0]), int(end_ms[0])), len(task))
            return slots
        # Small numbers are sorted by radix, several times faster.
        order = np.argsort(key.astype(np.uint16) if key.max() < 1 << 16 else key, kind="stable")
        sorted_key = key.take(order)
        starts = np.flatnonzero(np.r_[True, sorted_key[1:] != sorted_key[:-1]])
        for start, stop in zip(starts, [*starts[1:], len(task)], strict=True):
            first = order[start]
            bucket = self.bucket(int(task[first]), int(end_ms[first]))
            slots[order[start:stop]] = self.extend(bucket, int(stop - start))
        return slots

    def bucket(self, task: int, end_ms: int) -> Bucket:
        """The task's bucket of this end, made where there is none."""
        buckets = self.buckets.setdefault(task, {})
        found = buckets.get(end_ms)
        if found is None:
            found = buckets[end_ms] = Bucket(task, end_ms)
            heapq.heappush(self._ends.setdefault(task, []), end_ms)
        return found

    def slots_of(self, bucket: Bucket, start: int = 0, stop: int | None = None) -> Slots:
        """The slots of a bucket's rows from ordinal `start` to `stop`."""
        stop = bucket.rows if stop is None else stop
        skipped = start >> _SHIFT  # a bucket has many extents, and mostly the last is wanted
        ordinals = np.arange(start - (skipped << _SHIFT), stop - (skipped << _SHIFT))
        extents = np.array(bucket.extents[skipped:], dtype=np.int64)
        return (extents.take(ordinals >> _SHIFT) << _SHIFT) | (ordinals & _MASK)

    def slots_at(self, bucket: Bucket, ordinals: Int64s) -> Slots:
        """The slots of a bucket's rows by ordinal."""
        extents = np.asarray(bucket.extents, dtype=np.int64)
        return (extents.take(ordinals >> _SHIFT) << _SHIFT) | (ordinals & _MASK)

    def ended(self, task: int, before_ms: int) -> Iterator[Bucket]:
        """The task's buckets that end before a time, the earliest first, to be released."""
        ends = self._ends.get(task, [])
        while ends and ends[0] < before_ms:
            yield self.buckets[task][ends[0]]

    def release(self, bucket: Bucket) -> Slots:
        """Forgets a bucket; returns the slots that were its rows', which are nobody's now."""
        slots = self.slots_of(bucket)
        self._task[bucket.extents] = _NOBODY
        self._free += reversed(bucket.extents)
        self._counts[bucket.task] -= bucket.rows
        del self.buckets[bucket.task][bucket.end_ms]
        ends = self._ends[bucket.task]
        if ends[0] == bucket.end_ms:
            heapq.heappop(ends)
        else:
            ends.remove(bucket.end_ms)
            heapq.heapify(ends)
        return slots

    def extend(self, bucket: Bucket, rows: int) -> Slots:
        """Slots for so many more rows of a bucket."""
        start, bucket.rows = bucket.rows, bucket.rows + rows
        while len(bucket.extents) << _SHIFT < bucket.rows:
            extent = self._extent()
            self._task[extent] = bucket.task
            self._end[extent] = bucket.end_ms
            self._place[extent] = len(bucket.extents)
            bucket.extents.append(extent)
        self._counts[bucket.task] = self._counts.get(bucket.task, 0) + rows
        return self.slots_of(bucket, start)

    def _extent(self) -> int:
        if self._free:
            return self._free.pop()
        if self._used == len(self._task):
            self._grow()
        self._used += 1
        return self._used - 1

    def _grow(self) -> None:
        # Small arenas grow by a half, so that growing costs little; large ones have little idle.
        extents = self._used + max(4, self._used >> (1 if self._used < _SMALL else 5))
        for array in (self._task, self._end, self._place):
            array.resize(extents, refcheck=False)
        self.words.resize((extents << _SHIFT, self.words.shape[1]), refcheck=False)
