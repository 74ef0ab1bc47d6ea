"""Finds rows by id: chains through the rows, hung on a table that grows cell by cell.

Linear hashing: W. Litwin, "Linear hashing: a new tool for file and table addressing", VLDB
1980 (his buckets are called cells: here a bucket is a stretch of time). The table never stands
still to be rebuilt, holds 4 bytes a row, and needs no tombstones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.join.arena import Arena
from stream.core.join.layout import Ids, Rows, Slots

__all__ = ["Index", "hash_ids"]

_Heads = npt.NDArray[np.uint32]

_NONE = np.uint32(0xFFFF_FFFF)
_FIRST_BITS = 10
_ROUNDS = 6  # of linking rows whose chains meet, before they are sorted
_PIECE = 1 << 16  # rows at a time


def hash_ids(ids: Ids) -> npt.NDArray[np.int64]:
    """31 well-mixed bits of each id."""
    mixed = ids[:, 0] * np.uint64(0x9E37_79B9_7F4A_7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed += ids[:, 1]
    mixed *= np.uint64(0xD6E8_FEB8_6659_FD93)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8_FEB8_6659_FD93)
    return (mixed >> np.uint64(33)).astype(np.int64)


class Index:
    """The rows of an arena by id. Rows of one id are found in no particular order."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._heads: _Heads = np.full(1 << _FIRST_BITS, _NONE, dtype=np.uint32)
        self._bits = _FIRST_BITS
        self._size = 1 << _FIRST_BITS

    @property
    def nbytes(self) -> int:
        """What the table holds, used or not."""
        return self._heads.nbytes

    def find(self, ids: Ids, task: npt.NDArray[np.int32]) -> tuple[Slots, Slots, Rows]:
        """Every row that has one of the ids and is the same task's.

        Returns the number of the id, the slot and a copy of the row of each, in the ids' order.
        """
        arena = self._arena
        first, followed = ids[:, 0], arena.column("next")
        leading = arena.words[:, 0]
        whose, where = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        who = np.arange(len(ids))
        heads = self._heads.take(self._cell(hash_ids(ids)))
        while True:
            here = np.flatnonzero(heads != _NONE)
            if not len(here):
                break
            who, slots = who.take(here), heads.take(here).astype(np.int64)
            hits = np.flatnonzero(leading[slots] == first[who])
            whose.append(who.take(hits))
            where.append(slots.take(hits))
            heads = followed[slots]
        numbers, slots = np.concatenate(whose), np.concatenate(where)
        order = np.argsort(numbers, kind="stable")  # few ascending runs, which it merges
        numbers, slots = numbers.take(order), slots.take(order)
        rows = arena.take(slots)
        same = rows["ids"][:, 1] == ids[:, 1][numbers]
        same &= arena.task_of(slots) == task.take(numbers)
        if same.all():
            return numbers, slots, rows
        return numbers[same], slots[same], rows[same]

    def add(self, slots: Slots, ids: Ids) -> None:
        """Takes in rows that the arena holds and the index doesn't yet."""
        self._make_room()
        for start in range(0, len(slots), _PIECE):
            piece = slice(start, start + _PIECE)
            self._link(slots[piece], self._cell(hash_ids(ids[piece])))

    def remove(self, slots: Slots) -> None:
        """Takes out rows that are nobody's any more, before their slots are used again."""
        for start in range(0, len(slots), _PIECE):
            ids = self._arena.take(slots[start : start + _PIECE])["ids"]
            self._rechain(np.unique(self._cell(hash_ids(ids))))

    def _cell(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        low = hashes & ((2 << self._bits) - 1)
        over = low >= self._size
        low[over] &= (1 << self._bits) - 1
        return low

    def _make_room(self) -> None:
        """Splits cells until there are as many as rows."""
        wanted = self._arena.total()
        while self._size < wanted:
            level = 1 << self._bits
            split = self._size - level
            more = min(wanted - self._size, level - split, _PIECE)
            if self._size + more > len(self._heads):
                room = self._size + more + (self._size >> 5)
                self._heads.resize(room, refcheck=False)
            self._heads[self._size : self._size + more] = _NONE
            self._size += more
            self._rechain(np.arange(split, split + more))
            if self._size == 2 * level:
                self._bits += 1

    def _rechain(self, cells: npt.NDArray[np.int64]) -> None:
        """Hangs the living rows of these cells anew, each where it belongs now."""
        heads = self._heads.take(cells)
        self._heads[cells] = _NONE
        members = []
        while True:
            heads = heads[heads != _NONE]
            if not len(heads):
                break
            slots = heads.astype(np.int64)
            members.append(slots)
            heads = self._arena.column("next")[slots]  # `take` would copy the whole column
        if members:
            slots = np.concatenate(members)
            slots = slots[self._arena.task_of(slots) >= 0]
            self._link(slots, self._cell(hash_ids(self._arena.take(slots)["ids"])))

    def _link(self, slots: Slots, cells: npt.NDArray[np.int64]) -> None:
        following = self._arena.column("next")
        names = slots.astype(np.uint32)
        for _ in range(_ROUNDS):
            following[slots] = self._heads.take(cells)
            self._heads[cells] = names
            lost = np.flatnonzero(self._heads.take(cells) != names)
            if not len(lost):
                return
            slots, names, cells = slots.take(lost), names.take(lost), cells.take(lost)
        order = np.argsort(cells, kind="stable")
        slots, names, cells = slots.take(order), names.take(order), cells.take(order)
        last = np.r_[cells[1:] != cells[:-1], True]
        following[slots] = np.where(last, self._heads.take(cells), np.roll(names, -1))
        first = np.r_[True, last[:-1]]
        self._heads[cells[first]] = names[first]
