"""Folds rows that came as plain values: binned if a profile covers their pane, else kept raw."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.pane.raw import bin_raw
from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Group,
    Int64s,
    ModelKey,
    RawBatch,
    RawColumns,
)

__all__ = ["RawFold"]


class RawFold:
    """Raw rows since the last `take`, by model and pane."""

    def __init__(self, profiles: Profiles, pane_ms: int) -> None:
        self._profiles = profiles
        self._pane_ms = pane_ms
        self._kept: dict[tuple[ModelKey, int], list[tuple[RawColumns, int]]] = defaultdict(list)

    def add(self, batch: RawBatch, effective_ms: Int64s) -> int:
        """Adds n rows by their effective times; returns how many came after their pane."""
        pane = effective_ms // self._pane_ms
        late = batch.event_time_ms // self._pane_ms < pane
        for number in np.unique(pane).tolist():
            where = np.flatnonzero(pane == number)
            columns = _pick(batch, where)
            kept = self._kept[batch.model, number * self._pane_ms]
            kept.append((columns, int(np.count_nonzero(late[where]))))
        return int(np.count_nonzero(late))

    def take(self) -> list[Group]:
        """The groups: by the profile in force for their pane, or raw where there is none."""
        kept, self._kept = self._kept, defaultdict(list)
        return [self._group(model, pane_ms, items) for (model, pane_ms), items in kept.items()]

    def _group(self, model: ModelKey, pane_ms: int, items: list[tuple[RawColumns, int]]) -> Group:
        columns = _merge([columns for columns, _ in items])
        late = sum(late for _, late in items)
        carries = np.array(columns[CARRIES_COLUMN], dtype=np.uint8)
        rows = int(np.count_nonzero(carries & CARRIES_PREDICTION))
        feature_rows = int(np.count_nonzero(carries & CARRIES_FEATURES))
        profile = self._profiles.at(model, pane_ms)
        if profile is None:
            return Group(model, "", pane_ms, rows, feature_rows, late, 0, None, raw=columns)
        found = bin_raw(columns, profile)
        unknown = found.unknown_features
        return Group(model, profile.hash, pane_ms, rows, feature_rows, late, unknown, found.counts)


def _pick(batch: RawBatch, where: npt.NDArray[np.intp]) -> RawColumns:
    everything = len(where) == len(batch)
    places = where.tolist()
    columns: RawColumns = {
        name: values if everything else [values[place] for place in places]
        for name, values in batch.columns.items()
    }
    columns[CARRIES_COLUMN] = batch.carries[where].tolist()
    return columns


def _merge(parts: list[RawColumns]) -> RawColumns:
    """Columns one after another; a name that a part lacks is None in its rows."""
    names = dict.fromkeys(name for part in parts for name in part)
    merged: RawColumns = {name: [] for name in sorted(names)}
    for part in parts:
        missing = [None] * len(part[CARRIES_COLUMN])
        for name, values in merged.items():
            values.extend(part.get(name, missing))
    return merged
