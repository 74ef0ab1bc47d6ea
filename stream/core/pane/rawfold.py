"""Folds rows that came as plain values: binned if a profile covers their pane, else kept raw."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import NamedTuple

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


_Mask = npt.NDArray[np.bool_]


class _Part(NamedTuple):
    """Some rows of a pane, and how many of them were late and weren't kept by the join."""

    columns: RawColumns
    late: int
    unkept: int


class RawFold:
    """Raw rows since the last `take`, by model and pane."""

    def __init__(self, profiles: Profiles, pane_ms: int) -> None:
        self._profiles = profiles
        self._pane_ms = pane_ms
        self._kept: dict[tuple[ModelKey, int], list[_Part]] = defaultdict(list)
        self._duplicates: Counter[tuple[ModelKey, int]] = Counter()

    def add(
        self,
        batch: RawBatch,
        effective_ms: Int64s,
        *,
        keep: _Mask | None = None,
        unkept: _Mask | None = None,
    ) -> int:
        """Adds n rows by their effective times; returns how many came after their pane.

        Rows that aren't in `keep` are duplicates, and only counted.
        """
        pane = effective_ms // self._pane_ms
        late = batch.event_time_ms // self._pane_ms < pane
        mine = np.ones(len(batch), dtype=np.bool_) if keep is None else keep
        for number in np.unique(pane).tolist():
            key = (batch.model, number * self._pane_ms)
            here = pane == number
            where = np.flatnonzero(here & mine)
            duplicates = int(np.count_nonzero(here)) - len(where)
            if duplicates:
                self._duplicates[key] += duplicates
            if len(where):
                lost = 0 if unkept is None else int(np.count_nonzero(unkept[where]))
                part = _Part(_pick(batch, where), int(np.count_nonzero(late[where])), lost)
                self._kept[key].append(part)
        return int(np.count_nonzero(late & mine))

    def take(self) -> list[Group]:
        """The groups: by the profile in force for their pane, or raw where there is none.

        Only parts of the same names are joined: rows that each have names of their own would
        make columns full of holes.
        """
        kept, self._kept = self._kept, defaultdict(list)
        duplicates, self._duplicates = self._duplicates, Counter()
        groups = []
        for model, pane_ms in sorted({*kept, *duplicates}):
            alike: dict[frozenset[str], list[_Part]] = defaultdict(list)
            for part in kept.get((model, pane_ms), [_Part({CARRIES_COLUMN: []}, 0, 0)]):
                alike[frozenset(part.columns)].append(part)
            mine = [self._group(model, pane_ms, same) for same in alike.values()]
            again = duplicates[model, pane_ms]
            groups += [replace(mine[0], duplicate_rows=again), *mine[1:]] if again else mine
        return groups

    def _group(self, model: ModelKey, pane_ms: int, parts: list[_Part]) -> Group:
        columns = _merge([part.columns for part in parts])
        carries = np.array(columns[CARRIES_COLUMN], dtype=np.uint8)
        rows = int(np.count_nonzero(carries & CARRIES_PREDICTION))
        feature_rows = int(np.count_nonzero(carries & CARRIES_FEATURES))
        profile = self._profiles.at(model, pane_ms)
        found = None if profile is None else bin_raw(columns, profile)
        return Group(
            model,
            "" if profile is None else profile.hash,
            pane_ms,
            rows,
            feature_rows,
            late_rows=sum(part.late for part in parts),
            unknown_features=0 if found is None else found.unknown_features,
            counts=None if found is None else found.counts,
            raw=columns if found is None else None,
            width=0 if profile is None else profile.width,
            unkept_rows=sum(part.unkept for part in parts),
        )


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
