"""Folds decoded rows into groups: the mergeable counts of a model's rows in one pane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.pane.binning import Stack, Table, region_slots, tables_of
from stream.core.pane.groups import Accumulator, Rows
from stream.core.pane.rawfold import RawFold
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Batch,
    Group,
    Int64s,
    Overrides,
    RawBatch,
)
from stream.core.specs import Profile, Role

__all__ = ["Fold"]

_Shape = tuple[int, int]
_BOTH = CARRIES_FEATURES | CARRIES_PREDICTION
_CHUNK = 2_048  # rows folded at once, so that their codes stay in the cache


@dataclass(frozen=True, slots=True)
class _Models:
    """The profiles of one shape, stacked: per profile (row) and variable (column).

    `place` gives a catalog entry's row, -1 for another shape's. `width` is each profile's
    count vector's length, which is also the code of a variable that a row doesn't carry.
    `feature` tells which variables are features.
    """

    stack: Stack
    place: Int64s
    starts: Int64s
    width: Int64s
    feature: npt.NDArray[np.bool_]


class Fold:
    """The rows since the last `take`, as counts a model, profile and pane.

    `profiles` is shared with the decoder and may grow. Memory is bounded by the rows between
    two takes.
    """

    def __init__(self, profiles: Profiles, pane_ms: int) -> None:
        self._profiles = profiles
        self._pane_ms = pane_ms
        self._tables: list[tuple[Table, ...]] = []
        self._orders: list[Int64s] = []
        self._models: dict[_Shape, _Models] = {}
        self._counts = Accumulator()
        self._raw = RawFold(profiles, pane_ms)

    def add(self, batch: Batch, effective_ms: Int64s) -> int:
        """Folds a batch in; `effective_ms` (n,) decides the panes. Returns the late rows."""
        if not len(batch):
            return 0
        models = self._models_of(batch)
        rows = models.place[batch.entry]
        first = int(rows[0])
        uniform = bool((rows == first).all())
        pane = effective_ms // self._pane_ms
        late = batch.event_time_ms // self._pane_ms < pane
        for start in range(0, len(batch), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(batch)))
            place = first if uniform else rows[part]
            codes = self._codes(batch, part, models, place)
            counted = Rows(batch.entry[part], pane[part], _totals(batch, part, late[part]))
            self._counts.add(codes, counted, models.width[place], one_profile=uniform)
        return int(np.count_nonzero(late))

    def add_raw(self, batch: RawBatch, effective_ms: Int64s) -> int:
        """Folds in rows that have no columns of slots; returns the late rows."""
        return self._raw.add(batch, effective_ms)

    def take(self) -> list[Group]:
        """All groups since the last call, sorted by model, version, profile and pane."""
        groups = self._raw.take()
        for counted in self._counts.take():
            profile = self._profiles.entries[counted.entry]
            groups.append(counted.group(profile, self._order(counted.entry), self._pane_ms))
        groups.sort(key=lambda group: (group.model, group.pane_ms, group.profile))
        return groups

    def clear(self) -> None:
        """Forgets the rows since the last take, as when a transaction is aborted."""
        self._counts = Accumulator()
        self._raw = RawFold(self._profiles, self._pane_ms)

    def _codes(self, batch: Batch, part: slice, models: _Models, rows: Int64s | int) -> Int64s:
        """Codes (V, n) of every variable in its profile's internal order of slots."""
        numeric = len(batch.numeric)
        pick = slice(rows, rows + 1) if isinstance(rows, int) else rows
        shape = (numeric + len(batch.codes), part.stop - part.start)
        # Rows of several profiles will be sorted by profile: each row one stretch of memory.
        codes = np.empty(shape, dtype=np.int64, order="C" if isinstance(rows, int) else "F")
        if numeric:
            models.stack.regions(batch.numeric[:, part], rows, out=codes[:numeric])
        codes[numeric:] = batch.codes[:, part]
        if batch.overrides is not None:
            _override(codes, batch.overrides, part)
        codes += models.starts[pick].T
        carries = batch.carries[part]
        if not bool((carries == _BOTH).all()):
            no_features = (carries & CARRIES_FEATURES) == 0
            no_prediction = (carries & CARRIES_PREDICTION) == 0
            absent = np.where(models.feature[pick].T, no_features, no_prediction)
            np.copyto(codes, models.width[pick], where=absent)
        return codes

    def _models_of(self, batch: Batch) -> _Models:
        entries = self._profiles.entries
        for profile in entries[len(self._tables) :]:
            self._tables.append(tables_of(profile))
            self._orders.append(region_slots(profile))
            self._models.pop(_shape(profile), None)
        shape = (len(batch.numeric), len(batch.codes))
        models = self._models.get(shape)
        if models is None:
            models = self._models[shape] = self._build(shape)
        return models

    def _build(self, shape: _Shape) -> _Models:
        entries = self._profiles.entries
        members = [i for i, profile in enumerate(entries) if _shape(profile) == shape]
        place = np.full(len(entries), -1, dtype=np.int64)
        place[members] = np.arange(len(members))
        return _Models(
            Stack([self._tables[i] for i in members]),
            place,
            np.array([entries[i].starts[:-1] for i in members], dtype=np.int64),
            np.array([entries[i].width for i in members], dtype=np.int64),
            np.array([[v.role is Role.FEATURE for v in entries[i].variables] for i in members]),
        )

    def _order(self, entry: int) -> Int64s:
        return self._orders[entry]


def _override(codes: Int64s, known: Overrides, part: slice) -> None:
    inside = (known.row >= part.start) & (known.row < part.stop)
    codes[known.variable[inside], known.row[inside] - part.start] = known.slot[inside]


def _totals(batch: Batch, part: slice, late: npt.NDArray[np.bool_]) -> Int64s:
    """Rows, feature rows, late rows and unknown features of each row, (4, n)."""
    totals = np.zeros((4, len(late)), dtype=np.int64)
    totals[0] = (batch.carries[part] & CARRIES_PREDICTION) != 0
    totals[1] = (batch.carries[part] & CARRIES_FEATURES) != 0
    totals[2] = late
    if batch.unknown is not None:
        totals[3] = batch.unknown[part]
    return totals


def _shape(profile: Profile) -> _Shape:
    return len(profile.numeric), len(profile.categorical)
