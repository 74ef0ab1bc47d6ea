"""Joins predictions with their labels in the observe agent: ids in, outcomes by pane out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.agents.observe.joined import Texts, joined_outputs
from stream.core.catalog import Monitors, Profiles
from stream.core.join.buffer import JoinBuffer, JoinRules
from stream.core.join.events import Tally
from stream.core.join.rows import Coder
from stream.core.join.warm import warm_up
from stream.core.labels import Labels
from stream.core.outcomes import LabelRows, Outcomes, PredictionRows
from stream.core.pane.cohorts import Cohorts
from stream.core.pane.outcomes import OutcomeFold
from stream.core.pane.watermark import Times
from stream.core.records import CARRIES_PREDICTION, Batch, Group, Int64s, Output, RawBatch, Slice

__all__ = ["Joining", "Marks", "Part", "WrongLabel"]

_Flags = npt.NDArray[np.bool_]
_Numbers = npt.NDArray[np.int32]
_Value = TypeVar("_Value", bound=np.generic)
_Picked = tuple[Int64s, PredictionRows]  # places within a part, and what is kept of them


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a slice that were decoded together, with their effective times and segments.

    `sets` are the numbers of the rows' sets of segments; None where no row has any.
    """

    rows: Batch | RawBatch
    effective_ms: Int64s
    sets: _Numbers | None


@dataclass(frozen=True, slots=True)
class Marks:
    """Which rows of a part (n,) were there before, and which the join could not keep."""

    duplicate: _Flags
    unkept: _Flags

    @classmethod
    def of(cls, count: int) -> Marks:
        """No row is marked."""
        return cls(np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class WrongLabel:
    """A label that cannot be of its model's kind: where it stands in `labels`, and why."""

    task: int
    offset: int
    detail: str


class Joining:
    """The join of all active tasks, and the outcomes since the last `take`.

    Within a slice predictions go first: it decides nothing. `set_names` lists the sets of
    segments that `Part.sets` number.
    """

    def __init__(
        self,
        rules: JoinRules,
        profiles: Profiles,
        monitors: Monitors,
        set_names: Sequence[tuple[str, ...]],
    ) -> None:
        self._rules = rules
        self._pane_ms = rules.pane_ms
        self._cohorts = Cohorts(profiles, monitors)
        warm_up()
        self._buffer = JoinBuffer(rules, self._cohorts.list)
        self._coder = Coder(self._cohorts.list)
        self._fold = OutcomeFold(rules.pane_ms)
        self._set_names = set_names
        self._texts = Texts()
        self._joined: list[Output] = []
        self._wrong: list[WrongLabel] = []
        self._tally: Tally = Counter()

    def predictions(self, slice_: Slice, parts: Sequence[Part]) -> list[Marks]:
        """Keeps the predictions that are to be joined; tells what became of each part's rows."""
        marks = [Marks.of(len(part.rows)) for part in parts]
        picked = [self._picked(slice_, part) for part in parts]
        there = [(number, found) for number, found in enumerate(picked) if found is not None]
        if not there:
            return marks
        rows, number, place = _in_order(parts, there)
        kept = self._buffer.predictions(rows)
        self._note(kept.tally)
        self._take_in(kept.outcomes)
        again, unkept = np.flatnonzero(kept.duplicate), np.flatnonzero(kept.unkept)
        for one, _ in there:
            marks[one].duplicate[place[again[number[again] == one]]] = True
            marks[one].unkept[place[unkept[number[unkept] == one]]] = True
        return marks

    def labels(self, slice_: Slice, labels: Labels, times: Times) -> None:
        """Joins labels that a prediction may have, or come to have."""
        pane_ms = times.effective_ms // self._pane_ms * self._pane_ms
        wanted = np.flatnonzero(self._cohorts.joinable(labels, pane_ms))
        if not len(wanted):
            return
        self._texts.learn(labels.texts)
        names = np.array([self._buffer.name(name) for name in labels.models] + [-1], dtype=np.int32)
        record = _of(labels.record, wanted)
        joined = self._buffer.labels(
            LabelRows(
                task=_tasks(slice_).take(record),
                ids=_of(labels.ids, wanted),
                time_ms=_of(times.effective_ms, wanted),
                watermark_ms=_of(times.watermark_ms, wanted),
                form=_of(labels.form, wanted),
                bits=_of(labels.bits, wanted),
                model=names.take(_of(labels.model, wanted), mode="wrap"),  # -1 is the last one
                late=_of(labels.event_time_ms < pane_ms, wanted),
                offset=slice_.offset.take(record),
            )
        )
        self._note(joined.tally)
        self._take_in(joined.outcomes)

    def take(self) -> list[Group]:
        """The outcomes since the last call, by model, segment and pane."""
        return self._fold.take()

    def told(self) -> tuple[list[Output], list[WrongLabel], Tally]:
        """The joined records, the labels of a wrong kind, and what was counted since last asked."""
        told = (self._joined, self._wrong, self._tally)
        self._joined, self._wrong, self._tally = [], [], Counter()
        return told

    def advance(
        self, task: int, prediction_watermark_ms: int, label_watermark_ms: int | None
    ) -> None:
        """Forgets what nothing to come can meet; the watermarks are those of the task now."""
        self._note(self._buffer.advance(task, prediction_watermark_ms, label_watermark_ms))

    def assign(self, task: int, state: Mapping[bytes, bytes], passed_ms: int) -> None:
        """Goes on from a changelog's records of this task; its predictions' watermark is known."""
        self._buffer.restore(task, state, self._cohorts.number, passed_ms)

    def drop(self, task: int, *, aborted: bool) -> None:
        """Forgets a task; with `aborted` also what no commit has taken of any task."""
        self._buffer.drop(task)
        if aborted:
            self._fold.clear()
            self.told()

    def changes(self, task: int) -> list[tuple[bytes, bytes | None]]:
        """What changed of a task since the last call, for its changelog."""
        return self._buffer.changes(task)

    def spill(self, task: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Some of what the next `changes` of a task would hold, where that is much."""
        return self._buffer.spill(task)

    def pending(self, task: int) -> tuple[int, int]:
        """How many predictions and how many labels of a task wait."""
        return self._buffer.pending(task), self._buffer.waiting(task)

    def crowded(self, task: int) -> bool:
        """Whether a task keeps more than half of what it may."""
        predictions, labels = self.pending(task)
        rules = self._rules
        return 2 * predictions > rules.max_pending or 2 * labels > rules.max_waiting

    def _note(self, tally: Tally) -> None:
        self._tally.update(tally)

    def _picked(self, slice_: Slice, part: Part) -> _Picked | None:
        """The rows of a part that are predictions to be joined; None where there are none."""
        batch = part.rows
        if batch.served is None:
            return None
        pane_ms = part.effective_ms // self._pane_ms * self._pane_ms
        cohort = self._cohorts.of(batch, pane_ms, part.sets, self._set_names)
        places = np.flatnonzero((cohort >= 0) & ((batch.carries & CARRIES_PREDICTION) != 0))
        if not len(places):
            return None
        rows = self._coder.rows(
            _tasks(slice_).take(_of(batch.record, places)),
            _of(cohort, places),
            _of(part.effective_ms, places),
            batch.served,
            places,
        )
        return places, rows

    def _take_in(self, outcomes: Outcomes) -> None:
        """Counts outcomes; labels of a wrong kind are told instead."""
        if not len(outcomes):
            return
        cohorts = self._cohorts.list
        wrong = self._fold.add(outcomes, cohorts)
        for refused in wrong:
            for place in refused.place.tolist():
                task, offset = int(outcomes.task[place]), int(outcomes.offset[place])
                self._wrong.append(WrongLabel(task, offset, refused.detail))
        self._joined += joined_outputs(outcomes, cohorts, self._texts)


def _of(column: npt.NDArray[_Value], wanted: Int64s) -> npt.NDArray[_Value]:
    """The wanted rows of a column, ascending: itself where it is all of them."""
    return column if len(wanted) == len(column) else column.take(wanted, axis=0)


def _tasks(slice_: Slice) -> _Numbers:
    """The task of each of the slice's records."""
    partitions = np.array([source.partition for source in slice_.sources], dtype=np.int32)
    return partitions.take(slice_.source)


def _in_order(
    parts: Sequence[Part], there: Sequence[tuple[int, _Picked]]
) -> tuple[PredictionRows, Int64s, Int64s]:
    """All parts' rows in the order of their records, each with its part and its place there."""
    if len(there) == 1:
        ((only, (places, rows)),) = there
        return rows, np.full(len(places), only), places
    number = np.repeat([one for one, _ in there], [len(places) for _, (places, _) in there])
    place = np.concatenate([places for _, (places, _) in there])
    record = np.concatenate([parts[one].rows.record[places] for one, (places, _) in there])
    row = np.concatenate([parts[one].rows.row[places] for one, (places, _) in there])
    order = np.lexsort((row, record))
    pieces = [rows for _, (_, rows) in there]
    extras: list[bytes | None] | None = None
    if any(piece.extras is not None for piece in pieces):
        each = [e for p in pieces for e in (p.extras or [None] * len(p))]
        extras = [each[i] for i in order.tolist()]
    joined = PredictionRows(
        np.concatenate([piece.task for piece in pieces])[order],
        np.concatenate([piece.ids for piece in pieces])[order],
        np.concatenate([piece.cohort for piece in pieces])[order],
        np.concatenate([piece.time_ms for piece in pieces])[order],
        np.concatenate([piece.code for piece in pieces])[order],
        np.concatenate([piece.value for piece in pieces])[order],
        extras,
    )
    return joined, number[order], place[order]
