"""Counts of codes by (profile, pane, segments): vectors where rows are many, codes where few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.pane.block import TOTALS
from stream.core.pane.payload import Payload, joined_payload, runs, spread
from stream.core.pane.slots import ABSENT, Slots
from stream.core.records import Int64s

__all__ = ["Accumulator", "Counted", "Rows"]

_Codes = npt.NDArray[np.unsignedinteger]
_Key = tuple[int, int, int]  # catalog entry, pane number, number of the segments
_PENDING_ROWS = 200_000  # rows kept as codes before they are counted


@dataclass(frozen=True, slots=True)
class Rows:
    """What n rows have besides codes.

    entry   (n,) int32   catalog entry
    pane    (n,) int64   pane number
    sets    (n,) int32   number of the segments that a row belongs to; 0: none
    totals  (len(TOTALS), n) int32
    """

    entry: npt.NDArray[np.int32]
    pane: Int64s
    sets: npt.NDArray[np.int32]
    totals: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.entry)

    def take(self, which: npt.NDArray[np.intp]) -> Rows:
        """Some of the rows, in the order asked for."""
        return Rows(
            self.entry[which], self.pane[which], self.sets[which], self.totals.take(which, axis=1)
        )

    def part(self, which: slice) -> Rows:
        """A stretch of the rows."""
        return Rows(self.entry[which], self.pane[which], self.sets[which], self.totals[:, which])

    def triples(self) -> list[_Key]:
        """Each row's entry, pane and set."""
        columns = (self.entry.tolist(), self.pane.tolist(), self.sets.tolist())
        return list(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class Counted:
    """m counts: of catalog entry, pane number and segments' number, each (m,) int64.

    A triple may stand there more than once. `totals` is (len(TOTALS), m) int64, `payload` counts
    in the profile's order of slots.
    """

    entry: Int64s
    pane: Int64s
    sets: Int64s
    totals: Int64s
    payload: Payload

    def __len__(self) -> int:
        return len(self.entry)


@dataclass(slots=True)
class _Vector:
    """Counts of width + 1 codes, and the totals of their rows."""

    counts: Int64s
    totals: Int64s


class Accumulator:
    """Counts codes as they come; `take` gives and forgets everything."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._many: dict[_Key, _Vector] = {}
        self._parts: list[Counted] = []
        self._pending: dict[int, list[tuple[_Codes, Rows]]] = {}
        self._waiting = 0

    def add(self, codes: Int64s, rows: Rows, *, one_profile: bool) -> None:
        """Adds codes (V, n).

        Rows of one profile are counted at once if they are at least as many values as there are
        places in their panes; others wait, and are sorted into their groups all together.
        """
        if one_profile:
            low, high = int(rows.pane.min()), int(rows.pane.max())
            most_set = int(rows.sets.max())
            width = int(self._slots.width[rows.entry[0]])
            if codes.size >= (high - low + 1) * (most_set + 1) * (width + 1):
                self._count(codes, rows, width, range(low, high + 1), most_set + 1)
                return
        narrow = int(self._slots.width.max()) <= np.iinfo(np.uint16).max
        by_row: _Codes = codes.T.astype(np.uint16 if narrow else np.uint32, order="C")
        self._pending.setdefault(len(codes), []).append((by_row, rows))
        self._waiting += len(rows)
        if self._waiting >= _PENDING_ROWS:
            self._settle()

    def add_counts(self, entry: int, pane: int, counts: Int64s, totals: Int64s) -> None:
        """Adds rows of one profile, pane and no segments that are counted already.

        `counts` (width + 1,) are of codes, `totals` (len(TOTALS),) the rows' sums; both are kept.
        """
        self._add((entry, pane, 0), counts, totals)

    def take(self) -> Counted:
        """Everything counted so far, in no particular order; it is forgotten here."""
        self._settle()
        parts, self._parts = [part for part in self._parts if len(part)], []
        many, self._many = self._many, {}
        if many:
            parts.append(self._held(many))
        if not parts:
            return _nothing()
        return Counted(
            np.concatenate([part.entry for part in parts]),
            np.concatenate([part.pane for part in parts]),
            np.concatenate([part.sets for part in parts]),
            np.concatenate([part.totals for part in parts], axis=1),
            joined_payload([part.payload for part in parts]),
        )

    def _count(self, codes: Int64s, rows: Rows, width: int, panes: range, sets: int) -> None:
        """Counts rows of one profile in neighbouring panes."""
        entry, places = int(rows.entry[0]), width + 1
        if len(panes) * sets == 1:
            counts = np.bincount(codes.ravel(), minlength=places)
            self._add((entry, panes.start, 0), counts, _sums(rows.totals))
            return
        number = (rows.pane - panes.start) * sets + rows.sets
        counts = np.bincount((codes + number * places).ravel(), minlength=places)
        for cell in np.flatnonzero(np.bincount(number)).tolist():
            own = np.zeros(places, dtype=np.int64)
            part = counts[cell * places : (cell + 1) * places]
            own[: len(part)] = part
            key = (entry, panes[cell // sets], cell % sets)
            self._add(key, own, _sums(rows.totals[:, number == cell]))

    def _add(self, key: _Key, counts: Int64s, totals: Int64s) -> None:
        found = self._many.get(key)
        if found is None:
            self._many[key] = _Vector(counts, totals)
        else:
            found.counts += counts
            found.totals += totals

    def _settle(self) -> None:
        """Sorts the waiting rows into their groups."""
        for values, items in self._pending.items():
            rows = Rows(
                np.concatenate([rows.entry for _, rows in items]),
                np.concatenate([rows.pane for _, rows in items]),
                np.concatenate([rows.sets for _, rows in items]),
                np.concatenate([rows.totals for _, rows in items], axis=1),
            )
            order = _order(rows)
            by_row = np.concatenate([codes for codes, _ in items]).take(order, axis=0)
            self._sort_in(by_row, rows.take(order), values)
        self._pending = {}
        self._waiting = 0

    def _sort_in(self, by_row: _Codes, rows: Rows, values: int) -> None:
        """Counts sorted rows: groups of many rows as vectors, those of few as codes."""
        starts = runs(rows.entry, rows.pane, rows.sets)
        sizes = np.diff(starts, append=len(rows))
        first = rows.take(starts)
        sums = np.add.reduceat(rows.totals, starts, axis=1, dtype=np.int64)
        found = _Found(by_row, first, starts, sizes, sums)
        many = sizes * values * 2 >= self._slots.width[first.entry]
        if self._many:
            triples = first.triples()
            held = np.fromiter((key in self._many for key in triples), np.bool_, len(first))
            for number in np.flatnonzero(held).tolist():
                key = triples[number]
                counts = found.count(number, int(self._slots.width[key[0]]) + 1)
                self._add(key, counts, sums[:, number])
            self._parts.append(self._vectors(found, np.flatnonzero(many & ~held)))
            many |= held
        else:
            self._parts.append(self._vectors(found, np.flatnonzero(many)))
        self._parts.append(self._coded(found, np.flatnonzero(~many)))

    def _vectors(self, found: _Found, which: npt.NDArray[np.intp]) -> Counted:
        """Some of the groups, as vectors."""
        first = found.first.take(which)
        length = self._slots.width[first.entry]
        size, rows = int(length.sum()), int(found.sizes[which].max(initial=0))
        small = rows <= np.iinfo(np.int16).max
        counts = np.empty(size, np.int16) if small else np.empty(size, np.int32)
        start = 0
        for number, entry in zip(which.tolist(), first.entry.tolist(), strict=True):
            codes = self._slots.codes(entry)
            own = found.count(number, len(codes) + 1)
            counts[start : start + len(codes)] = own.take(codes)
            start += len(codes)
        return _counted(first, found.sums[:, which], Payload.of_vectors(counts, length))

    def _coded(self, found: _Found, which: npt.NDArray[np.intp]) -> Counted:
        """Some of the groups, as codes."""
        first, sizes = found.first.take(which), found.sizes[which]
        entries = np.repeat(first.entry, sizes)
        by_row = found.by_row.take(spread(found.starts[which], sizes), axis=0)
        index = by_row + self._slots.base[entries][:, None]
        places = self._slots.flat.take(index).ravel()
        length = sizes * by_row.shape[1]
        carried = places != ABSENT
        if not bool(carried.all()):
            starts = np.cumsum(length) - length
            length = np.add.reduceat(carried, starts, dtype=np.int64)
            places = places[carried]
        return _counted(first, found.sums[:, which], Payload.of_codes(places, length))

    def _held(self, many: dict[_Key, _Vector]) -> Counted:
        """What was counted at once."""
        keys = np.array(list(many), dtype=np.int64).reshape(-1, 3)
        length = self._slots.width[keys[:, 0]]
        totals = np.array([vector.totals for vector in many.values()], dtype=np.int64)
        parts = [vector.counts[self._slots.codes(entry)] for (entry, _, _), vector in many.items()]
        payload = Payload.of_vectors(np.concatenate(parts), length)
        return Counted(keys[:, 0], keys[:, 1], keys[:, 2], totals.T, payload)


@dataclass(frozen=True, slots=True)
class _Found:
    """The groups among sorted rows: of each its first row, its extent and its totals' sums."""

    by_row: _Codes
    first: Rows
    starts: Int64s
    sizes: Int64s
    sums: Int64s

    def count(self, number: int, places: int) -> Int64s:
        """How often each of so many codes stands in a group."""
        start = int(self.starts[number])
        codes = self.by_row[start : start + int(self.sizes[number])]
        return np.bincount(codes.ravel(), minlength=places)


def _counted(first: Rows, totals: Int64s, payload: Payload) -> Counted:
    entry, sets = first.entry.astype(np.int64), first.sets.astype(np.int64)
    return Counted(entry, first.pane, sets, totals, payload)


def _nothing() -> Counted:
    none = np.zeros(0, dtype=np.int64)
    payload = Payload.of_vectors(none, none)
    return Counted(none, none, none, none.reshape(len(TOTALS), 0), payload)


def _sums(totals: npt.NDArray[np.int32]) -> Int64s:
    sums: Int64s = totals.sum(axis=1, dtype=np.int64)
    return sums


def _order(rows: Rows) -> npt.NDArray[np.intp]:
    """An order in which rows of one entry, pane and set follow each other."""
    low, least = int(rows.pane.min()), int(rows.entry.min())
    panes, entries = int(rows.pane.max()) - low + 1, int(rows.entry.max()) - least + 1
    sets = int(rows.sets.max()) + 1
    if panes * entries * sets > np.iinfo(np.int64).max:
        return np.lexsort((rows.sets, rows.pane, rows.entry))
    key = ((rows.entry - least).astype(np.int64) * panes + (rows.pane - low)) * sets + rows.sets
    if panes * entries * sets <= np.iinfo(np.uint16).max:
        key = key.astype(np.uint16)  # sorted by digits, in a fraction of the time
    return np.argsort(key, kind="stable")
