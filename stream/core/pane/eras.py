"""Which monitor and which published profile each row has: by its model and its pane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.core.catalog import Monitors, Profiles
from stream.core.records import Batch, Int64s, ModelKey, RawBatch
from stream.core.specs import MonitorSpec, Profile

__all__ = ["Era", "Eras"]

_EVER: Final = np.iinfo(np.int64).min
_MAX_RAW: Final = 10_000  # models without any profile that are remembered between two resets


@dataclass(frozen=True, slots=True, eq=False)
class Era:
    """A stretch of a model's panes with one monitor and one published profile, or none."""

    model: ModelKey
    monitor: MonitorSpec
    profile: Profile | None


class Eras:
    """Numbers the eras of all models; `list[number]` is one.

    Numbers hold while `version` stays: a monitor or a published profile that is heard, or very
    many models without a profile, number them anew. Profiles that were warmed up decide nothing
    here: when they become known depends on the run. Memory is bounded by the models that have a
    profile, times their changes, and 10,000 others.
    """

    def __init__(self, profiles: Profiles, monitors: Monitors) -> None:
        self.list: list[Era] = []
        self.version = 0
        self._profiles = profiles
        self._monitors = monitors
        self._heard = (0, 0)
        self._entries = 0
        self._reset()

    def refresh(self) -> None:
        """Takes in what the catalog heard since the last call."""
        entries = self._profiles.entries
        new = entries[self._entries :]
        published = self._heard[1] + sum(not profile.warmed_up for profile in new)
        heard = (self._monitors.changes, published)
        if heard != self._heard or len(self._raw) > _MAX_RAW:
            self._heard = heard
            self._reset()
        for profile in entries[self._entries :]:
            self._of_entry.append(self._number(profile.model))
            self._stale = True
        self._entries = len(entries)

    def of(self, batch: Batch | RawBatch, pane_ms: Int64s) -> Int64s:
        """The number of each row's era, (n,) int64, by the starts of their panes (n,)."""
        self.refresh()
        if isinstance(batch, RawBatch):
            model = self._number(batch.model)
            if batch.model not in self._known:
                self._raw.add(batch.model)
            own = self._first[model]
            begins = np.array(self._starts[own : own + self._count[model]], dtype=np.int64)
            return np.searchsorted(begins, pane_ms, side="right").astype(np.int64) + (own - 1)
        if self._stale:
            self._columns = (
                np.array(self._of_entry, dtype=np.int64),
                np.array(self._first, dtype=np.int64),
                np.array(self._count, dtype=np.int64),
                np.array(self._starts, dtype=np.int64),
            )
            self._stale = False
        of_entry, first, count, starts = self._columns
        if len(batch) and bool((batch.entry == batch.entry[0]).all()):
            # A model's eras ascend: one that holds the first pane and the last holds all of them.
            model_of = of_entry[batch.entry[[0, 0]]]
            ends = np.array([pane_ms.min(), pane_ms.max()])
            found = _last_before(starts, first[model_of], count[model_of], ends)
            if found[0] == found[1]:
                return np.full(len(batch), found[0])
        model_of = of_entry[batch.entry]
        low = first[model_of]
        left = count[model_of]
        if int(left.max(initial=0)) <= 1:
            return low
        return _last_before(starts, low, left, pane_ms)

    def _reset(self) -> None:
        self.version += 1
        self.list.clear()
        self._numbers: dict[ModelKey, int] = {}
        self._raw: set[ModelKey] = set()
        self._known: set[ModelKey] = {profile.model for profile in self._profiles.entries}
        self._of_entry: list[int] = []
        self._first: list[int] = []
        self._count: list[int] = []
        self._starts: list[int] = []
        self._entries = 0
        self._stale = True

    def _number(self, model: ModelKey) -> int:
        number = self._numbers.get(model)
        if number is None:
            number = self._numbers[model] = len(self._first)
            self._first.append(len(self.list))
            self._append_eras(model)
            self._count.append(len(self.list) - self._first[number])
        return number

    def _append_eras(self, model: ModelKey) -> None:
        profile = self._profiles.published(model)
        starts = {spec.effective_from_ms for spec in self._monitors.specs(model.model)}
        if profile is not None:
            starts.add(profile.effective_from_ms)
        for start in (_EVER, *sorted(starts)):
            in_force = profile is not None and profile.effective_from_ms <= start
            self._starts.append(int(start))
            self.list.append(
                Era(
                    model,
                    self._monitors.at(model.model, int(start)),
                    profile if in_force else None,
                )
            )


def _last_before(starts: Int64s, low: Int64s, left: Int64s, pane_ms: Int64s) -> Int64s:
    """Of each row's `left` eras from `low` on the last that starts at its pane or before it."""
    low, left = low.copy(), left.copy()
    while int(left.max(initial=0)) > 1:
        half = left // 2
        middle = low + half
        after = (half > 0) & (starts[middle] <= pane_ms)
        low = np.where(after, middle, low)
        left = np.where(after, left - half, half)
        np.maximum(left, 1, out=left)
    return low
