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
        """The groups: by the profile in force for their pane, or raw where there is none.

        Only parts of the same names are joined: rows that each have names of their own would
        make columns full of holes.
        """
        kept, self._kept = self._kept, defaultdict(list)
        groups = []
        for (model, pane_ms), items in kept.items():
            alike: dict[frozenset[str], list[tuple[RawColumns, int]]] = defaultdict(list)
            for item in items:
                alike[frozenset(item[0])].append(item)
            groups += [self._group(model, pane_ms, same) for same in alike.values()]
        return groups

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
    """Some rows of the batch, without the columns in which none of them has a value."""
    everything = len(where) == len(batch)
    places = where.tolist()
    columns: RawColumns = {CARRIES_COLUMN: batch.carries[where].tolist()}
    for name, values in batch.columns.items():
        picked = values if everything else [values[place] for place in places]
        if picked.count(None) < len(picked):
            columns[name] = picked
    return columns


def _merge(parts: list[RawColumns]) -> RawColumns:
    """Columns of the same names, one after another."""
    return {name: [v for part in parts for v in part[name]] for name in sorted(parts[0])}
