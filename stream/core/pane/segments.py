"""The segments of each row: the values and conditions that its monitor tells rows apart by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Monitors, Profiles
from stream.core.pane.columns import Codes, Columns, holds
from stream.core.pane.eras import Eras
from stream.core.pane.grouping import MAX_SEGMENTS, Grouping, columns_wanted, groupings
from stream.core.records import Batch, Int64s, RawBatch

__all__ = ["Segments"]

_NONE: Final = -1
_UNKNOWN: Final = -2

_Numbers = npt.NDArray[np.int32]


class Segments:
    """Numbers the sets of segments that rows are in; `sets[number]` are its names.

    Number 0 is the empty set; a number is never given again. There are at most as many sets as
    combinations of groups that occurred, and of one monitor and profile at most 10,000.
    """

    def __init__(
        self, monitors: Monitors, profiles: Profiles, max_segments: int = MAX_SEGMENTS
    ) -> None:
        self.sets: list[tuple[str, ...]] = [()]
        self._interned: dict[tuple[str, ...], int] = {(): 0}
        self._monitors = monitors
        self._max_segments = max_segments
        self._eras = Eras(profiles, monitors)
        self._version = 0
        self._heard = -1
        self._any = False
        self._forget()

    def wanted(self, model: str) -> tuple[str, ...]:
        """The columns that the model's rows must bring, sorted: of every monitor known of it."""
        specs = (self._monitors.default, *self._monitors.specs(model))
        return tuple(sorted({name for spec in specs for name in columns_wanted(spec.segments)}))

    def of(self, batch: Batch | RawBatch, pane_ms: Int64s) -> _Numbers | None:
        """The number of each row's set, (n,) int32; None where all are 0.

        `pane_ms` (n,) are the starts of the rows' panes. Rows of models whose monitor in that
        pane has no segments are in none; so are all rows of a batch without `served`. A column
        that `served.plain` lacks is missing in every row.
        """
        if self._heard != self._monitors.changes:
            self._heard = self._monitors.changes
            self._any = self._monitors.any_segments()
        if not self._any or batch.served is None or not len(batch):
            return None
        plans = self._plans_of(self._eras.of(batch, pane_ms))
        first = int(plans[0])
        if bool((plans == first).all()):
            if first == _NONE:
                return None
            return self._plans[first].of(Columns(batch.served.plain, len(batch)), self)
        found = np.zeros(len(batch), dtype=np.int32)
        for plan in np.unique(plans).tolist():
            if plan != _NONE:
                rows = np.flatnonzero(plans == plan)
                columns = Columns(batch.served.plain, len(batch), rows)
                found[rows] = self._plans[plan].of(columns, self)
        return found

    def number(self, names: tuple[str, ...]) -> int:
        """The number of a set of segments, a new one if it has none."""
        number = self._interned.get(names)
        if number is None:
            number = self._interned[names] = len(self.sets)
            self.sets.append(names)
        return number

    def _forget(self) -> None:
        self._plans: list[_Plan] = []
        self._by_content: dict[tuple[Grouping, ...], int] = {}
        self._of_era: _Numbers = np.zeros(0, dtype=np.int32)

    def _plans_of(self, eras: Int64s) -> _Numbers:
        if self._version != self._eras.version:
            self._version = self._eras.version
            self._forget()
        known = len(self._of_era)
        if known < len(self._eras.list):
            more = max(2 * known, len(self._eras.list)) - known
            self._of_era = np.append(self._of_era, np.full(more, _UNKNOWN, dtype=np.int32))
        plans = self._of_era[eras]
        unknown = plans == _UNKNOWN
        if unknown.any():
            for era in np.unique(eras[unknown]).tolist():
                self._of_era[era] = self._plan(era)
            plans = self._of_era[eras]
        return plans

    def _plan(self, era: int) -> int:
        """The era's plan; eras whose groups are the same share one."""
        found = self._eras.list[era]
        content = groupings(found.monitor, found.profile, self._max_segments)
        if not content:
            return _NONE
        number = self._by_content.get(content)
        if number is None:
            number = self._by_content[content] = len(self._plans)
            self._plans.append(_Plan(content))
        return number


class _Plan:
    """How rows are told apart: each combination of groups has a place, and it a set's number."""

    def __init__(self, content: Sequence[Grouping]) -> None:
        self._content = content
        self._codes = [Codes(grouping.values) for grouping in content]
        places = int(np.prod([len(grouping.names) for grouping in content]))
        self._numbers: _Numbers = np.full(places, _UNKNOWN, dtype=np.int32)

    def of(self, columns: Columns, segments: Segments) -> _Numbers:
        place: Int64s = np.zeros(columns.count, dtype=np.int64)
        for grouping, codes in zip(self._content, self._codes, strict=True):
            place *= len(grouping.names)
            if grouping.condition is None:
                place += columns.codes(grouping.rule.by, codes)
            else:
                place += holds(grouping.condition, columns)
        numbers = self._numbers[place]
        unknown = numbers == _UNKNOWN
        if unknown.any():
            for each in np.unique(place[unknown]).tolist():
                self._numbers[each] = segments.number(self._names(each))
            numbers = self._numbers[place]
        return numbers

    def _names(self, place: int) -> tuple[str, ...]:
        names = []
        for grouping in reversed(self._content):
            place, code = divmod(place, len(grouping.names))
            names.append(grouping.names[code])
        return tuple(name for name in reversed(names) if name)
