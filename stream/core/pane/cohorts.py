"""The cohort of each prediction, and which predictions and labels are joined at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Monitors, Profiles
from stream.core.labels import Labels, label_spec
from stream.core.outcomes import Cohort
from stream.core.pane.eras import Era, Eras
from stream.core.records import Batch, Int64s, RawBatch
from stream.core.specs import MonitorSpec, Profile

__all__ = ["NOT_JOINED", "Cohorts", "in_sample"]

NOT_JOINED: Final = -1
_UNKNOWN: Final = -2
_MAX_TABLE: Final = 1 << 22  # eras times sets that are looked up in a table of 4 B each
_EVER: Final = np.iinfo(np.int64).min

_Flags = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int32]
_Shares = tuple[Int64s, _Floats]


class Cohorts:
    """Numbers the cohorts; `list[number]` is one, and a number is never given again.

    There are at most as many as models, times versions, times what their monitors and profiles
    ever said of labels, times the sets of segments that rows had.
    """

    def __init__(self, profiles: Profiles, monitors: Monitors, max_table: int = _MAX_TABLE) -> None:
        self.list: list[Cohort] = []
        self._numbers: dict[Cohort, int] = {}
        self._profiles = profiles
        self._monitors = monitors
        self._eras = Eras(profiles, monitors)
        self._version = 0
        self._max_table = max_table
        self._forget()

    def number(self, cohort: Cohort) -> int:
        """The cohort's number, a new one if it has none."""
        number = self._numbers.get(cohort)
        if number is None:
            number = self._numbers[cohort] = len(self.list)
            self.list.append(cohort)
        return number

    def of(
        self,
        batch: Batch | RawBatch,
        pane_ms: Int64s,
        sets: _Numbers | None = None,
        names: Sequence[tuple[str, ...]] = ((),),
    ) -> _Numbers:
        """The number of each row's cohort, (n,) int32; NOT_JOINED where there is none.

        `pane_ms` (n,) are the starts of the rows' panes, `sets` (n,) the numbers of their sets
        of segments, which `names` lists; None where no row has any. A row isn't joined where
        its monitor wants no labels, nothing says how they are read, or its id isn't in the
        sample; `batch.served` must be there for models whose sample is below 1.
        """
        eras = self._eras.of(batch, pane_ms)
        self._renew()
        numbers = self._plain_of(eras)
        if sets is not None:
            rows = np.flatnonzero((sets != 0) & (numbers != NOT_JOINED))
            if len(rows):
                numbers[rows] = self._in_sets(eras[rows], sets[rows], names)
        if len(eras) and float(self._share.min()) < 1:
            shares, served = self._share.take(eras), batch.served
            inside = shares >= 1 if served is None else in_sample(served.ids, shares)
            numbers[~inside] = NOT_JOINED
        return numbers

    def joinable(self, labels: Labels, pane_ms: Int64s) -> _Flags:
        """False (n,) for labels that no prediction can be joined with: they are dropped at once.

        By the largest share of its model that was ever in force up to the label's pane, of all
        models where it names none: what begins later decides nothing, so the answer is the same
        whenever a change became known.
        """
        self._eras.refresh()
        self._renew()
        if len(labels) and bool((labels.model == labels.model[0]).all()):
            shares = self._largest_at(labels, int(labels.model[0]), pane_ms)
        else:
            shares = np.zeros(len(labels), dtype=np.float64)
            for number in np.unique(labels.model).tolist():
                rows = labels.model == number
                shares[rows] = self._largest_at(labels, number, pane_ms[rows])
        if len(shares) and float(shares.min()) >= 1:
            return np.ones(len(labels), dtype=np.bool_)
        return in_sample(labels.ids, shares)

    def _largest_at(self, labels: Labels, number: int, pane_ms: Int64s) -> _Floats:
        """The largest share of a model until each of its labels, (n,), or (1,) where all have it.

        Shares ascend: what the first pane and the last one have, those between have too.
        """
        starts, most = self._shares_of(labels.models[number] if number >= 0 else None)
        ends = most[np.searchsorted(starts, [pane_ms.min(), pane_ms.max()], side="right")]
        if ends[0] == ends[1]:
            return ends[:1]
        found: _Floats = most[np.searchsorted(starts, pane_ms, side="right")]
        return found

    def _forget(self) -> None:
        self._plain: _Numbers = np.zeros(0, dtype=np.int32)
        self._share: npt.NDArray[np.float64] = np.zeros(0)
        self._table: _Numbers = np.zeros((0, 0), dtype=np.int32)
        self._by_set: dict[int, int] = {}
        self._shares: dict[str | None, _Shares] = {}

    def _renew(self) -> None:
        if self._version != self._eras.version:
            self._version = self._eras.version
            self._forget()

    def _plain_of(self, eras: Int64s) -> _Numbers:
        """The cohort without segments of each row's era (n,); the eras' shares are known then."""
        known = len(self._plain)
        if known < len(self._eras.list):
            room = max(2 * known, len(self._eras.list))
            more = room - known
            self._plain = np.append(self._plain, np.full(more, _UNKNOWN, dtype=np.int32))
            self._share = np.append(self._share, np.ones(more))
        numbers = self._plain.take(eras)
        unknown = numbers == _UNKNOWN
        if unknown.any():
            for era in np.unique(eras[unknown]).tolist():
                self._plain[era] = self._number_of(self._eras.list[era], ())
                self._share[era] = self._eras.list[era].monitor.labels.sample
            numbers = self._plain.take(eras)
        return numbers

    def _in_sets(self, eras: Int64s, sets: _Numbers, names: Sequence[tuple[str, ...]]) -> _Numbers:
        table = self._room(len(names))
        if table is None:
            return self._looked_up(eras, sets, names)
        found = table[eras, sets]
        unknown = found == _UNKNOWN
        if unknown.any():
            new = self._looked_up(eras[unknown], sets[unknown], names)
            found[unknown] = table[eras[unknown], sets[unknown]] = new
        return found

    def _room(self, sets: int) -> _Numbers | None:
        """A table of cohorts by era and set; None where it would be too large to keep."""
        eras, width = len(self._eras.list), self._table.shape[1]
        if eras > len(self._table) or sets > width:
            width = max(sets, 2 * width) if sets > width else width
            if eras * width > self._max_table:
                return None
            table = np.full((eras, width), _UNKNOWN, dtype=np.int32)
            table[: len(self._table), : self._table.shape[1]] = self._table
            self._table = table
        return self._table

    def _looked_up(
        self, eras: Int64s, sets: _Numbers, names: Sequence[tuple[str, ...]]
    ) -> _Numbers:
        keys, place = np.unique(eras << 32 | sets, return_inverse=True)
        found = np.empty(len(keys), dtype=np.int32)
        for i, key in enumerate(keys.tolist()):
            era, number = key >> 32, key & 0xFFFFFFFF
            cohort = self._by_set.get(key)
            if cohort is None:
                cohort = self._by_set[key] = self._number_of(self._eras.list[era], names[number])
            found[i] = cohort
        return found[place]

    def _number_of(self, era: Era, segments: tuple[str, ...]) -> int:
        rule = era.monitor.labels
        spec = label_spec(era.profile, rule)
        if spec is None:
            return NOT_JOINED
        return self.number(Cohort(era.model, spec, segments, rule.horizon_ms, era.monitor.joined))

    def _shares_of(self, model: str | None) -> _Shares:
        """Times (k,), ascending; the largest share before the first and from each on (k + 1,)."""
        if not self._shares:
            self._shares = self._all_shares()
        known = self._shares.get(model)
        if known is not None:
            return known
        # A model that has neither monitor nor profile.
        return _largest([(_EVER, _share(None, self._monitors.default))])

    def _all_shares(self) -> dict[str | None, _Shares]:
        """By model, and of any model at all under None."""
        profiles: dict[str, list[Profile | None]] = {name: [] for name in self._monitors.models()}
        for profile in self._profiles.entries:
            if not profile.warmed_up:
                profiles.setdefault(profile.model.model, []).append(profile)
        anywhere = [(_EVER, _share(None, self._monitors.default))]
        shares: dict[str | None, _Shares] = {}
        for name, published in profiles.items():
            monitors = (
                (_EVER, self._monitors.default),
                *((spec.effective_from_ms, spec) for spec in self._monitors.specs(name)),
            )
            events = [
                (start if profile is None else max(start, profile.effective_from_ms), share)
                for start, spec in monitors
                for profile in (None, *published)
                if (share := _share(profile, spec)) > 0
            ]
            shares[name] = _largest(events)
            anywhere.extend(events)
        shares[None] = _largest(anywhere)
        return shares


def in_sample(ids: npt.NDArray[np.uint64], share: npt.NDArray[np.float64]) -> _Flags:
    """True (n,) for the ids (n, 2) that a share (n,) of all ids holds.

    By a hash of the id alone: the same for its prediction and its labels, and a larger share
    holds what a smaller one does. The hash is splitmix64's finalizer over both halves, because
    ids that are UUIDs aren't random in every bit.
    """
    mixed = _mixed(ids[:, 0] ^ _mixed(ids[:, 1])) >> np.uint64(11)
    return mixed.astype(np.float64) < share * float(1 << 53)


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _share(profile: Profile | None, monitor: MonitorSpec) -> float:
    """The share of predictions that are joined; 0 where their labels can't be read."""
    return 0.0 if label_spec(profile, monitor.labels) is None else monitor.labels.sample


def _largest(events: list[tuple[int, float]]) -> _Shares:
    events.sort()
    starts = np.array([start for start, _ in events], dtype=np.int64)
    return starts, np.maximum.accumulate(np.array([0.0, *(share for _, share in events)]))
