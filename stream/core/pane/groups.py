"""Counts of codes by (profile, pane): dense where rows are many, kept as codes where few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.core.records import Group, Int64s
from stream.core.specs import Profile

__all__ = ["Accumulator", "Counted", "Rows"]

_Key = tuple[int, int]  # catalog entry, pane number
_PENDING_ROWS = 200_000  # rows kept as codes before they are counted


@dataclass(slots=True)
class Counted:
    """What was counted for one catalog entry and pane: a dense vector, codes, or both.

    Codes and the vector's places are the fold's internal ones, with one more place at the end
    for variables that a row doesn't carry. `totals` are rows, feature rows, late, unknown.
    """

    entry: int
    pane: int
    width: int
    totals: Int64s = field(default_factory=lambda: np.zeros(4, dtype=np.int64))
    dense: Int64s | None = None
    codes: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add_dense(self, counts: Int64s) -> None:
        """Adds counts of width + 1 places."""
        if self.dense is None:
            self.dense = counts.copy()
        else:
            self.dense += counts

    def group(self, profile: Profile, order: Int64s, pane_ms: int) -> Group:
        """The group in the profile's order of slots; few rows stay codes."""
        codes = np.concatenate(self.codes) if self.codes else np.zeros(0, dtype=np.int64)
        counts, sparse = None, None
        if self.dense is None and len(codes) * 2 < self.width:
            sparse = order[codes[codes < self.width]].astype(np.uint32)
        else:
            merged = np.bincount(codes, minlength=self.width + 1)
            if self.dense is not None:
                merged += self.dense
            counts = np.zeros(self.width, dtype=np.int64)
            counts[order] = merged[: self.width]
        rows, feature_rows, late, unknown = self.totals.tolist()
        return Group(
            profile.model,
            profile.hash,
            self.pane * pane_ms,
            rows,
            feature_rows,
            late,
            unknown,
            counts,
            codes=sparse,
            width=self.width,
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """What n rows have besides codes: catalog entry, pane number, and their totals (4, n)."""

    entry: npt.NDArray[np.int32]
    pane: Int64s
    totals: Int64s


@dataclass(frozen=True, slots=True)
class _Pending:
    """Rows not yet counted: codes (n, V), and each row's width."""

    codes: npt.NDArray[np.uint32]
    rows: Rows
    width: Int64s


class Accumulator:
    """Counts codes as they come; `take` yields and forgets everything."""

    def __init__(self) -> None:
        self._found: dict[_Key, Counted] = {}
        self._pending: dict[int, list[_Pending]] = {}
        self._rows = 0

    def add(
        self, codes: Int64s, rows: Rows, width: Int64s | np.int64, *, one_profile: bool
    ) -> None:
        """Adds codes (V, n); `width` is (n,), or one for all rows of one profile.

        Rows of one profile are counted at once if they are at least as many values as there are
        places in their panes; others wait, and are sorted into their groups all together.
        """
        if one_profile:
            low, high = int(rows.pane.min()), int(rows.pane.max())
            if codes.size >= (high - low + 1) * (int(width) + 1):
                self._count_dense(codes, rows, int(width), range(low, high + 1))
                return
        widths = np.broadcast_to(np.asarray(width, dtype=np.int64), rows.pane.shape)
        item = _Pending(np.ascontiguousarray(codes.T, dtype=np.uint32), rows, widths)
        self._pending.setdefault(len(codes), []).append(item)
        self._rows += len(rows.pane)
        if self._rows >= _PENDING_ROWS:
            self._settle()

    def _count_dense(self, codes: Int64s, rows: Rows, width: int, panes: range) -> None:
        """Counts rows of one profile in neighbouring panes."""
        if len(panes) == 1:
            counts = np.bincount(codes.ravel(), minlength=width + 1)
            self._add(int(rows.entry[0]), panes.start, width, counts, rows.totals.sum(axis=1))
            return
        places = width + 1
        number = rows.pane - panes.start
        moved = codes + number * places
        counts = np.bincount(moved.ravel(), minlength=len(panes) * places)
        for place in np.flatnonzero(np.bincount(number)).tolist():
            own = counts[place * places : (place + 1) * places]
            totals = rows.totals[:, number == place].sum(axis=1)
            self._add(int(rows.entry[0]), panes[place], width, own, totals)

    def _add(self, entry: int, pane: int, width: int, counts: Int64s, totals: Int64s) -> None:
        counted = self._counted(entry, pane, width)
        counted.add_dense(counts)
        counted.totals += totals

    def take(self) -> Iterator[Counted]:
        """Everything counted so far, in no particular order; it is forgotten here."""
        self._settle()
        found, self._found = self._found, {}
        yield from found.values()

    def _settle(self) -> None:
        """Sorts the waiting rows into their groups."""
        for items in self._pending.values():
            codes = np.concatenate([item.codes for item in items])
            entry = np.concatenate([item.rows.entry for item in items])
            pane = np.concatenate([item.rows.pane for item in items])
            width = np.concatenate([item.width for item in items])
            totals = np.concatenate([item.rows.totals for item in items], axis=1)
            order = np.lexsort((pane, entry))
            entry, pane = entry[order], pane[order]
            changed = (np.diff(entry, prepend=-1) != 0) | (np.diff(pane, prepend=-1) != 0)
            starts = np.flatnonzero(changed)
            sums = np.add.reduceat(totals[:, order], starts, axis=1)
            by_row = codes[order].astype(np.int64)
            stops = [*starts[1:].tolist(), len(order)]
            for number, (start, stop) in enumerate(zip(starts.tolist(), stops, strict=True)):
                size = int(width[order[start]])
                counted = self._counted(int(entry[start]), int(pane[start]), size)
                counted.totals += sums[:, number]
                self._count(counted, by_row[start:stop].ravel())
        self._pending = {}
        self._rows = 0

    def _count(self, counted: Counted, codes: Int64s) -> None:
        if len(codes) * 2 < counted.width and counted.dense is None and len(counted.codes) < 8:
            counted.codes.append(codes)
        else:
            counted.add_dense(np.bincount(codes, minlength=counted.width + 1))

    def _counted(self, entry: int, pane: int, width: int) -> Counted:
        key = (entry, pane)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = Counted(entry, pane, width)
        return found
