"""Where rows live: extents of one growing array, owned by time buckets that end as wholes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.join.layout import EXTENT_SHIFT, Rows, Slots
from stream.core.join.seen import known
from stream.core.records import Int64s

__all__ = ["NOBODY", "Arena", "Bucket", "Places"]

_MASK = (1 << EXTENT_SHIFT) - 1
NOBODY = -1
_GROWTH = ((1 << 10, 1), (1 << 13, 2), (1 << 15, 3))  # up to so many extents by 1 / 2**that
_LEAST_GROWTH = 5
_NARROW = 1 << 16  # numbers of groups that are looked up in a table, not sorted


@dataclass(slots=True, eq=False)
class Bucket:
    """A task's rows that may be forgotten once time has passed `end_ms`, in order of arrival."""

    task: int
    end_ms: int
    extents: list[int] = field(default_factory=list)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """Slots kept free for n rows, each in its bucket: a bucket's are taken in their order.

    group  (n,)  which of the buckets a row goes to
    next   (g,)  place in `slots` of the bucket's next free slot
    stop   (g,)  where the bucket's end
    slots  (n,)
    """

    buckets: list[Bucket]
    group: Int64s
    next: Int64s
    stop: Int64s
    slots: Slots

    def taken(self) -> Slots:
        """The slots for the rows in their order, all taken."""
        self.next[:] = self.stop
        if len(self.buckets) == 1:
            return self.slots
        slots = np.empty_like(self.slots)
        slots[np.argsort(self.group.astype(np.uint16), kind="stable")] = self.slots  # by radix
        return slots


class Arena:
    """Rows of one layout at stable slots; a row is forgotten with its bucket, never alone.

    Grows in place (the allocator remaps), a large one by a thirty-second: little stands
    idle and nothing is copied. Views of `rows` must not outlive the next reservation.

    owner  (E,)  the task of each extent; -1: nobody's
    told   (E,)  how many of an extent's rows somebody has been told of (`tell`)
    """

    def __init__(self, layout: np.dtype[Any], width_ms: int) -> None:
        self.layout = layout
        self.width_ms = width_ms
        self.rows: Rows = np.zeros(0, dtype=layout)
        self.buckets: dict[int, dict[int, Bucket]] = {}
        self.owner = np.zeros(0, dtype=np.int32)
        self.told = np.zeros(0, dtype=np.uint8)
        self._ends: dict[int, list[int]] = {}
        self._counts = np.zeros(0, dtype=np.int64)
        self._end = np.zeros(0, dtype=np.int64)
        self._place = np.zeros(0, dtype=np.int32)
        self._free: list[int] = []
        self._used = 0
        self._seen = np.full(_NARROW, -1, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """What the arrays and lists hold, used or not."""
        arrays = (self.rows, self.owner, self.told, self._end, self._place)
        extents = sum(len(b.extents) for found in self.buckets.values() for b in found.values())
        return sum(array.nbytes for array in arrays) + 36 * (extents + len(self._free))

    def count(self, task: int) -> int:
        """The number of a task's rows."""
        return int(self._counts[task]) if task < len(self._counts) else 0

    def counts(self, tasks: int) -> Int64s:
        """The numbers of rows of the tasks below a number."""
        known = np.zeros(tasks, dtype=np.int64)
        known[: len(self._counts)] = self._counts[:tasks]
        return known

    def total(self) -> int:
        """The number of all rows."""
        return int(self._counts.sum())

    def take(self, slots: Slots) -> Rows:
        """Copies of the rows at these slots."""
        return self.rows.take(slots)

    def place_of(self, slots: Slots) -> tuple[Int64s, Int64s]:
        """The end of each row's bucket, and the row's ordinal in it."""
        extents = slots >> EXTENT_SHIFT
        ordinal = (self._place.take(extents).astype(np.int64) << EXTENT_SHIFT) | (slots & _MASK)
        return self._end.take(extents), ordinal

    def reserve(self, task: npt.NDArray[np.int32], until_ms: Int64s) -> Places:
        """Keeps slots free for rows that may be kept at least until a time; `confirm` follows."""
        ordinal = -(-until_ms // self.width_ms)
        first = ordinal.min(initial=np.iinfo(np.int64).max)
        key = (ordinal - first) * (task.max(initial=0) + np.int64(1)) + task
        group = np.empty(len(key), dtype=np.int64)
        if key.max(initial=0) < _NARROW:
            firsts = np.empty(len(key), dtype=np.int64)
            firsts = firsts[: _number(key, self._seen, group, firsts)]
        else:
            _, firsts, group = np.unique(key, return_index=True, return_inverse=True)
        counts = np.bincount(group, minlength=len(firsts))
        stop = np.cumsum(counts)
        slots = np.empty(len(key), dtype=np.int64)
        buckets = []
        ends = ordinal.take(firsts) * self.width_ms
        for number, end_ms, before, after in zip(
            task.take(firsts).tolist(),
            ends.tolist(),
            (stop - counts).tolist(),
            stop.tolist(),
            strict=True,
        ):
            bucket = self.bucket(number, end_ms)
            slots[before:after] = self.extend(bucket, after - before)
            buckets.append(bucket)
        return Places(buckets, group, stop - counts, stop, slots)

    def confirm(self, places: Places) -> None:
        """Gives back what is behind `places.next`: the rows before are there now."""
        left = places.stop - places.next
        for place in np.flatnonzero(left).tolist():
            bucket = places.buckets[place]
            bucket.rows -= int(left[place])
            self._counts[bucket.task] -= int(left[place])
            needed = (bucket.rows + _MASK) >> EXTENT_SHIFT
            self._give_back(bucket.extents[needed:])
            del bucket.extents[needed:]
            if not bucket.rows:
                self._forget(bucket)

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
        skipped = start >> EXTENT_SHIFT  # a bucket has many extents, and mostly the last is wanted
        first = skipped << EXTENT_SHIFT
        extents = np.array(bucket.extents[skipped : (stop + _MASK) >> EXTENT_SHIFT], dtype=np.int64)
        slots = (extents[:, None] << EXTENT_SHIFT) + np.arange(_MASK + 1)
        return slots.reshape(-1)[start - first : stop - first]

    def slots_at(self, bucket: Bucket, ordinals: Int64s) -> Slots:
        """The slots of a bucket's rows by ordinal."""
        extents = np.asarray(bucket.extents, dtype=np.int64)
        return (extents.take(ordinals >> EXTENT_SHIFT) << EXTENT_SHIFT) | (ordinals & _MASK)

    def known(self, slots: Slots) -> Slots:
        """Those of the slots whose rows somebody has been told of."""
        return known(slots, self.told)

    def told_of(self, task: int, slots: Slots) -> Slots:
        """Those of the slots, each once, whose rows are the task's and have been told of."""
        seen = np.zeros((len(self.rows) >> 3) + 1, dtype=np.uint8)
        return slots[: _told_of(task, slots, self.owner, self.told, seen)]

    def tell(self, bucket: Bucket, start: int, stop: int) -> None:
        """Somebody was told of a bucket's rows up to `stop`; before, of those up to `start`."""
        first, last = start >> EXTENT_SHIFT, (stop + _MASK) >> EXTENT_SHIFT
        extents = np.array(bucket.extents[first:last], dtype=np.int64)
        rows = stop - (np.arange(first, first + len(extents)) << EXTENT_SHIFT)
        self.told[extents] = np.clip(rows, 0, _MASK + 1)

    def ended(self, task: int, before_ms: int) -> Iterator[Bucket]:
        """The task's buckets that end before a time, the earliest first, to be released."""
        ends = self._ends.get(task, [])
        while ends and ends[0] < before_ms:
            yield self.buckets[task][ends[0]]

    def release(self, bucket: Bucket) -> None:
        """Forgets a bucket: the slots of its rows are nobody's now."""
        self._counts[bucket.task] -= bucket.rows
        self._give_back(bucket.extents)
        self._forget(bucket)

    def extend(self, bucket: Bucket, rows: int) -> Slots:
        """Slots for so many more rows of a bucket."""
        start, bucket.rows = bucket.rows, bucket.rows + rows
        missing = ((bucket.rows + _MASK) >> EXTENT_SHIFT) - len(bucket.extents)
        if missing > 0:
            extents = self._extents(missing)
            place = len(bucket.extents)
            self.owner[extents] = bucket.task
            self._end[extents] = bucket.end_ms
            self._place[extents] = np.arange(place, place + missing)
            bucket.extents += extents
        if bucket.task >= len(self._counts):
            self._counts = self.counts(bucket.task + 1)
        self._counts[bucket.task] += rows
        return self.slots_of(bucket, start)

    def _give_back(self, extents: list[int]) -> None:
        self.owner[extents] = NOBODY
        self.told[extents] = 0
        self._free += reversed(extents)

    def _forget(self, bucket: Bucket) -> None:
        del self.buckets[bucket.task][bucket.end_ms]
        ends = self._ends[bucket.task]
        if ends[0] == bucket.end_ms:
            heapq.heappop(ends)
        else:
            ends.remove(bucket.end_ms)
            heapq.heapify(ends)

    def _extents(self, count: int) -> list[int]:
        held = max(0, len(self._free) - count)
        extents = self._free[held:][::-1]
        del self._free[held:]
        fresh = count - len(extents)
        if self._used + fresh > len(self.owner):
            self._grow(fresh)
        extents += range(self._used, self._used + fresh)
        self._used += fresh
        return extents

    def _grow(self, fresh: int) -> None:
        # Small arenas grow by a half, so that growing costs little; large ones have little idle.
        shift = next((by for most, by in _GROWTH if self._used < most), _LEAST_GROWTH)
        extents = self._used + max(4, fresh, self._used >> shift)
        for array in (self.owner, self.told, self._end, self._place):
            array.resize(extents, refcheck=False)
        self.rows.resize(extents << EXTENT_SHIFT, refcheck=False)


@compiled
def _number(key: Int64s, seen: Int64s, group: Int64s, firsts: Int64s) -> int:
    """Numbers equal keys in the order of the first of each; how many there are.

    `seen` is -1 for every key, and is so again in the end.
    """
    count = 0
    for i in range(len(key)):
        known = seen[key[i]]
        if known < 0:
            known = seen[key[i]] = count
            firsts[count] = i
            count += 1
        group[i] = known
    for i in range(count):
        seen[key[firsts[i]]] = -1
    return count


@compiled
def _told_of(
    task: int,
    slots: Slots,
    owner: npt.NDArray[np.int32],
    told: npt.NDArray[np.uint8],
    seen: npt.NDArray[np.uint8],
) -> int:
    """Moves the slots that `Arena.told_of` means to the front; how many there are."""
    count = 0
    for slot in slots:
        extent, bit = slot >> EXTENT_SHIFT, np.uint8(1 << (slot & 7))
        if owner[extent] != task or (slot & _MASK) >= told[extent] or seen[slot >> 3] & bit:
            continue
        seen[slot >> 3] |= bit
        slots[count] = slot
        count += 1
    return count
