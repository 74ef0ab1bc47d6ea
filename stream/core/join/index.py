"""Finds rows by id: chains through the rows, hung on a table that grows cell by cell.

Linear hashing: W. Litwin, "Linear hashing: a new tool for file and table addressing", VLDB
1980 (his buckets are called cells: here a bucket is a stretch of time). The table never stands
still to be rebuilt, holds 11 bytes a row, and needs no tombstones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stream.core.join.arena import Arena
from stream.core.join.chains import NONE, find, hang, split, unhang
from stream.core.join.columns import Chains
from stream.core.join.layout import LINK, Ids, Rows, Slots
from stream.core.records import Int64s

__all__ = ["Index", "all_pairs"]

_FIRST_BITS = 10
_SMALL = 1 << 20  # cells: up to so many it grows by a half, beyond by a sixteenth


class Index:
    """Rows of an arena by id. Rows of one id are found in no particular order."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._links: Rows = np.zeros(0, dtype=LINK)
        self._heads = np.full(1 << _FIRST_BITS, NONE, dtype=np.uint32)
        self._bits = _FIRST_BITS
        self._size = 1 << _FIRST_BITS
        self._counts = np.zeros(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """What the table holds, used or not."""
        return self._heads.nbytes + self._links.nbytes

    @property
    def chains(self) -> Chains:
        """What the compiled loops work on, until rows or room are added."""
        rows, owner, links, heads = self._arena.rows, self._arena.owner, self._links, self._heads
        return Chains(rows, links, owner, heads, self._counts, self._size, self._bits)

    def holds(self, task: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Whether there are rows of each of these tasks (n,)."""
        known: npt.NDArray[np.bool_] = np.append(self._counts > 0, False)
        return known.take(task, mode="clip")

    def find(self, ids: Ids, task: npt.NDArray[np.int32]) -> tuple[Int64s, Slots]:
        """Every row that has one of the ids and is the same task's: the id's number, its slot."""
        chains = self.chains
        return all_pairs(
            lambda who, slots, start: find(chains, ids, task, who, slots, start), len(ids)
        )

    def add(self, slots: Slots) -> None:
        """Takes in rows that the arena holds and the index doesn't yet."""
        self.make_room()
        hang(self.chains, slots)

    def remove(self, slots: Slots) -> None:
        """Takes out rows, those that are in it, before their slots are used again."""
        unhang(self.chains, slots)

    def make_room(self) -> None:
        """Links for all slots, counts for all tasks, and cells enough: three for four rows."""
        tasks = int(self._arena.owner.max(initial=-1)) + 1
        if len(self._counts) < tasks:
            self._counts.resize(tasks, refcheck=False)
        if len(self._links) < len(self._arena.rows):
            self._links.resize(len(self._arena.rows), refcheck=False)
        wanted = self._arena.total() * 3 // 4
        if wanted > len(self._heads):
            held = len(self._heads)
            room = max(wanted, held + (held >> (1 if held < _SMALL else 4)))
            self._heads.resize(room, refcheck=False)
        while self._size < wanted:
            level = 1 << self._bits
            more = min(wanted, 2 * level) - self._size
            split(self.chains, more)
            self._size += more
            if self._size == 2 * level:
                self._bits += 1


def all_pairs(
    pairs_from: Callable[[Int64s, Slots, int], tuple[int, int]], count: int
) -> tuple[Int64s, Slots]:
    """All that a loop finds that fills two arrays from a number on and stops when they are full.

    It returns the number where it stopped, and how many pairs it has filled in.
    """
    parts = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
    room, start = count + 16, 0
    while start < count:
        who, slots = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        stop, found = pairs_from(who, slots, start)
        parts.append((who[:found], slots[:found]))
        room *= 2 if stop == start else 1
        start = stop
    if len(parts) == 2:
        return parts[1]
    return np.concatenate([who for who, _ in parts]), np.concatenate([slots for _, slots in parts])
