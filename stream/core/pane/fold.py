"""Folds decoded rows into groups: the mergeable counts of a model's rows in one pane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.pane.binning import Stack, Table, tables_of
from stream.core.pane.block import COLUMNS, TOTALS, Groups, Name
from stream.core.pane.bulk import counted
from stream.core.pane.groups import Accumulator, Rows
from stream.core.pane.rawfold import RawFold
from stream.core.pane.slots import Slots
from stream.core.pane.spreading import by_segment
from stream.core.pane.tally import warm_up
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Batch,
    Int64s,
    Kind,
    Overrides,
    RawBatch,
)
from stream.core.specs import Profile, Role

__all__ = ["Fold"]

Mask = npt.NDArray[np.bool_]

_Shape = tuple[int, int]
_BOTH = CARRIES_FEATURES | CARRIES_PREDICTION
_WAITING = 16_384  # rows that wait to be counted together
_MANY = 4_096  # rows of one group that are worth counting a variable at a time
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
    """The rows since the last `take`, as counts a model, profile, pane and segment.

    `profiles` is shared with the decoder and may grow. Memory is bounded by the rows between
    two takes.
    """

    def __init__(self, profiles: Profiles, pane_ms: int) -> None:
        warm_up()
        self._profiles = profiles
        self._pane_ms = pane_ms
        self._tables: list[tuple[Table, ...]] = []
        self._slots = Slots()
        self._models: dict[_Shape, _Models] = {}
        self._segments: Sequence[tuple[str, ...]] = ()
        self._counts = Accumulator(self._slots)
        self._raw = RawFold(profiles, pane_ms)
        self._waiting: dict[tuple[int, int], list[tuple[Batch, Rows]]] = {}
        self._waits = 0

    def add(
        self,
        batch: Batch,
        effective_ms: Int64s,
        *,
        keep: Mask | None = None,
        unkept: Mask | None = None,
        sets: npt.NDArray[np.int32] | None = None,
        segments: Sequence[tuple[str, ...]] = (),
    ) -> int:
        """Folds a batch in; `effective_ms` (n,) decides the panes. Returns the late rows.

        Rows that aren't in `keep` (n,) are duplicates: they count as that and nothing else.
        `unkept` (n,) tells rows that the join didn't keep. Each row counts in the segment "" and
        in those of `segments[sets]`, (n,) numbers of sets of names; set 0 has none. A number
        means the same in every call until the next `take`, of which the last says what it is.
        """
        if not len(batch):
            return 0
        pane = effective_ms // self._pane_ms
        late = batch.event_time_ms < pane * self._pane_ms
        carries = batch.carries
        if keep is not None:
            late, carries = late & keep, np.where(keep, carries, np.uint8(0))
        if sets is None:
            sets = np.zeros(len(batch), dtype=np.int32)
        else:
            self._segments = segments
        rows = Rows(batch.entry, pane, sets, _totals(batch, carries, late, keep, unkept))
        if _plain(batch, carries, rows):
            self._waiting.setdefault((int(batch.entry[0]), int(pane[0])), []).append((batch, rows))
            self._waits += len(batch)
            if self._waits >= _WAITING:
                self._settle()
        else:
            self._add(batch, carries, rows)
        return int(np.count_nonzero(late))

    def add_raw(
        self,
        batch: RawBatch,
        effective_ms: Int64s,
        *,
        keep: Mask | None = None,
        unkept: Mask | None = None,
    ) -> int:
        """Folds in rows that have no columns of slots; returns the late rows.

        They count in the segment "" alone.
        """
        return self._raw.add(batch, effective_ms, keep=keep, unkept=unkept)

    def take(self) -> Groups:
        """All groups since the last call, in no particular order; few are in more than one part."""
        self._settle()
        found = self._counts.take()
        segments: tuple[str, ...] = ("",)
        if len(found) and int(found.sets.max()):
            found, segments = by_segment(found, self._segments, self._slots.width)
        self._segments = ()
        name = found.sets * len(self._profiles.entries) + found.entry
        used, index = np.unique(name, return_inverse=True)
        columns = dict(zip(TOTALS, found.totals, strict=True)) | {
            "name": index,
            "kind": np.full(len(found), Kind.DATA),
            "pane_ms": found.pane * self._pane_ms,
            "width": self._slots.width[found.entry],
        }
        names = tuple(self._name(number, segments) for number in used.tolist())
        block = Groups(names, np.stack([columns[c] for c in COLUMNS]), found.payload)
        raw = self._raw.take()
        return Groups.joined([block, Groups.of(raw)]) if raw else block

    def clear(self) -> None:
        """Forgets the rows since the last take, as when a transaction is aborted."""
        self._counts = Accumulator(self._slots)
        self._raw = RawFold(self._profiles, self._pane_ms)
        self._segments = ()
        self._waiting, self._waits = {}, 0

    def _name(self, number: int, segments: Sequence[str]) -> Name:
        segment, entry = divmod(number, len(self._profiles.entries))
        profile = self._profiles.entries[entry]
        return Name(profile.model, profile.hash, segments[segment])

    def _add(self, batch: Batch, carries: npt.NDArray[np.uint8], rows: Rows) -> None:
        """Counts rows of any groups, by their codes."""
        models = self._models_of(batch)
        places = models.place[batch.entry]
        first = int(places[0])
        uniform = bool((places == first).all())
        for start in range(0, len(batch), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(batch)))
            place = first if uniform else places[part]
            codes = self._codes(batch, part, carries[part], models, place)
            self._counts.add(codes, rows.part(part), one_profile=uniform)

    def _settle(self) -> None:
        """Counts the rows that wait: a variable at a time where a group has many."""
        for (entry, pane), items in self._waiting.items():
            if sum(len(batch) for batch, _ in items) >= _MANY:
                self._count(entry, pane, items)
            else:
                for batch, rows in items:
                    self._add(batch, batch.carries, rows)
        self._waiting, self._waits = {}, 0

    def _count(self, entry: int, pane: int, items: Sequence[tuple[Batch, Rows]]) -> None:
        """Counts rows of one group that carry everything, a variable at a time."""
        self._models_of(items[0][0])
        batches = [batch for batch, _ in items]
        counts = counted(self._profiles.entries[entry], self._tables[entry], batches)
        totals = [rows.totals.sum(axis=1, dtype=np.int64) for _, rows in items]
        self._counts.add_counts(entry, pane, counts, sum(totals[1:], totals[0]))

    def _codes(
        self,
        batch: Batch,
        part: slice,
        carries: npt.NDArray[np.uint8],
        models: _Models,
        rows: Int64s | int,
    ) -> Int64s:
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
        if not bool((carries == _BOTH).all()):
            no_features = (carries & CARRIES_FEATURES) == 0
            no_prediction = (carries & CARRIES_PREDICTION) == 0
            absent = np.where(models.feature[pick].T, no_features, no_prediction)
            np.copyto(codes, models.width[pick], where=absent)
        return codes

    def _models_of(self, batch: Batch) -> _Models:
        entries = self._profiles.entries
        heard = entries[len(self._tables) :]
        for profile in heard:
            self._tables.append(tables_of(profile))
            self._models.pop(_shape(profile), None)
        self._slots.extend(heard)
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


def _plain(batch: Batch, carries: npt.NDArray[np.uint8], rows: Rows) -> bool:
    """Whether rows are of one profile, pane and no segment, carry everything, and none is odd."""
    if batch.overrides is not None or rows.sets.any() or (carries != _BOTH).any():
        return False
    return bool((rows.entry == rows.entry[0]).all() and (rows.pane == rows.pane[0]).all())


def _override(codes: Int64s, known: Overrides, part: slice) -> None:
    inside = (known.row >= part.start) & (known.row < part.stop)
    codes[known.variable[inside], known.row[inside] - part.start] = known.slot[inside]


def _totals(
    batch: Batch,
    carries: npt.NDArray[np.uint8],
    late: Mask,
    keep: Mask | None,
    unkept: Mask | None,
) -> npt.NDArray[np.int32]:
    """What each row adds to its group's totals, (len(TOTALS), n)."""
    totals = np.zeros((len(TOTALS), len(late)), dtype=np.int32)
    total = dict(zip(TOTALS, totals, strict=True))
    total["rows"][:] = (carries & CARRIES_PREDICTION) != 0
    total["feature_rows"][:] = (carries & CARRIES_FEATURES) != 0
    total["late_rows"][:] = late
    if batch.unknown is not None:
        total["unknown_features"][:] = batch.unknown if keep is None else batch.unknown * keep
    if keep is not None:
        total["duplicate_rows"][:] = ~keep
    if unkept is not None:
        total["unkept_rows"][:] = unkept if keep is None else unkept & keep
    return totals


def _shape(profile: Profile) -> _Shape:
    return len(profile.numeric), len(profile.categorical)
