"""The join's state: predictions that wait for labels, labels that wait for predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.join.archive import Archive
from stream.core.join.book import CohortBook, ModelBook
from stream.core.join.cohorts import CohortColumns
from stream.core.join.columns import LabelColumns
from stream.core.join.events import JoinEvent, Tally, count
from stream.core.join.journal import Journal
from stream.core.join.keep import Keeper, Kept
from stream.core.join.layout import PENDING, Slots
from stream.core.join.match import match
from stream.core.join.seen import among, firsts
from stream.core.join.settle import NO_OUTCOMES, Pairs, settle
from stream.core.join.table import Table
from stream.core.join.wait import WaitingRoom
from stream.core.outcomes import Cohort, LabelRows, Outcomes, PredictionRows
from stream.core.records import Int64s

__all__ = ["JoinBuffer", "JoinRules", "LabelsJoined", "PredictionsJoined"]

_HOUR_MS = 3_600_000
_NEVER = np.iinfo(np.int64).min
_SETTLED = ("bits", "delay_low", "delay_high", "state")  # what labels write to a prediction
_RECORD_BYTES = 700_000  # below any broker's message.max.bytes
_AT_ONCE = 200_000  # rows forgotten in one call, about: a jump of time must not stall


@dataclass(frozen=True, slots=True)
class JoinRules:
    """What the join is given of a deployment. `max_pending` and `max_waiting` are a task's."""

    pane_ms: int
    early_label_horizon_ms: int
    max_pending: int
    max_waiting: int


@dataclass(frozen=True, slots=True)
class PredictionsJoined:
    """What became of n predictions.

    duplicate  (n,) bool   there before: it counts nowhere
    unkept     (n,) bool   not kept, as `max_pending` rows are: it counts, and no label finds it
    outcomes   of labels that waited for some of them
    """

    duplicate: npt.NDArray[np.bool_]
    unkept: npt.NDArray[np.bool_]
    outcomes: Outcomes
    tally: Tally


@dataclass(frozen=True, slots=True)
class LabelsJoined:
    """What became of labels."""

    outcomes: Outcomes
    tally: Tally


class JoinBuffer:
    """Joins predictions and labels by id, each task's apart (DESIGN, Join).

    Every pair is decided by the two rows and the watermarks just before them: however the rows
    are cut into calls, and whichever topic is ahead, the outcomes are the same. `cohorts` may
    grow between calls.
    """

    def __init__(
        self, rules: JoinRules, cohorts: Sequence[Cohort], record_bytes: int = _RECORD_BYTES
    ) -> None:
        self._rules = rules
        self._cohorts = CohortColumns(cohorts)
        self._pending = Table(PENDING, _HOUR_MS)
        self._keeper = Keeper(self._pending, self._cohorts, rules.max_pending)
        models, early_ms = ModelBook(self._cohorts), rules.early_label_horizon_ms
        self._archive = Archive(models, record_bytes)
        self._waiting = WaitingRoom(early_ms, rules.max_waiting, self._archive)
        self._passed_ms: Int64s = np.zeros(0, dtype=np.int64)
        self._book = CohortBook(self._cohorts)
        waiting = self._waiting.table
        self._journals = (
            Journal("p", self._pending, _SETTLED, "cohort", self._book, record_bytes),
            Journal("w", waiting, ("matched",), "model", models, record_bytes),
        )

    @property
    def nbytes(self) -> int:
        """The memory that is held, but for extras."""
        return self._pending.nbytes + self._waiting.table.nbytes + self._archive.nbytes

    def name(self, model: str) -> int:
        """The number that `LabelRows.model` has for a model's name."""
        return self._cohorts.number(model)

    def pending(self, task: int) -> int:
        """How many predictions a task keeps."""
        return self._pending.arena.count(task)

    def waiting(self, task: int) -> int:
        """How many labels of a task wait."""
        return self._waiting.count(task)

    def drop(self, task: int) -> None:
        """Forgets all of a task."""
        self._pending.drop(task)
        self._waiting.drop(task)
        self._book.drop(task)
        for journal in (*self._journals, self._archive):
            journal.drop(task)
        if task < len(self._passed_ms):
            self._passed_ms[task] = _NEVER

    def changes(self, task: int) -> list[tuple[bytes, bytes | None]]:
        """What changed of a task since the last call, as changelog records; None removes one.

        Keys begin with `join/`; a record has about `record_bytes` at most, unless one row's
        extras have more.
        """
        journals = (*self._journals, self._archive)
        records = [record for journal in journals for record in journal.changes(task)]
        ends = self._pending.arena.buckets.get(task)
        records += self._book.changes(task, min(ends) if ends else None)
        return records

    def spill(self, task: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Some of what `changes` would hold, where much was added; to be written before it."""
        for journal in (*self._journals, self._archive):
            yield from journal.spill(task)

    def restore(
        self,
        task: int,
        records: Mapping[bytes, bytes],
        intern: Callable[[Cohort], int],
        passed_ms: int = _NEVER,
    ) -> None:
        """Starts a task from its changelog's live records; other keys than ours are passed over.

        `intern` gives a cohort its number in the list of cohorts, a new one if need be. Labels
        that come too late for predictions at `passed_ms`, their watermark, don't wait: a bucket
        made anew for them would find in the changelog what became of an old one's rows. Raises
        StateError for records of another format.
        """
        self.drop(task)
        self._know(task)
        self._passed_ms[task] = passed_ms
        self._book.restore(task, records, intern)
        self._cohorts.refresh()
        pending, waiting = self._journals
        self._pending.index.add(pending.restore(task, records))
        self._waiting.restore(waiting.restore(task, records))
        self._waiting.seen(self._archive.restore(task, records))

    def predictions(self, rows: PredictionRows) -> PredictionsJoined:
        """Keeps predictions, finds duplicates, joins labels that waited for them."""
        self._cohorts.refresh()
        tally = Tally()
        kept = self._keeper.keep(rows)
        for task in kept.challenged:
            self._waiting.challenge(task)
        outcomes = self._meet(rows, kept, tally)
        count(tally, JoinEvent.DUPLICATE, rows.task[kept.duplicate])
        count(tally, JoinEvent.UNKEPT, rows.task[kept.unkept])
        return PredictionsJoined(kept.duplicate, kept.unkept, outcomes, tally)

    def labels(self, rows: LabelRows) -> LabelsJoined:
        """Joins labels with the predictions that are here; they wait for those that aren't."""
        self._cohorts.refresh()
        tally = Tally()
        labels = LabelColumns.of(rows)
        who, slots = self._match(labels)
        outcomes = self._settle(labels, who, slots, tally)
        matched = np.zeros(len(rows), dtype=np.bool_)
        matched[who] = True
        self._wait(labels, matched, tally)
        return LabelsJoined(outcomes, tally)

    def advance(
        self, task: int, prediction_watermark_ms: int, label_watermark_ms: int | None
    ) -> Tally:
        """Forgets what no row to come can meet; returns how many labels waited in vain.

        `label_watermark_ms` is None where the task never had a label. A call forgets some
        hundred thousand rows at the most, the next one more: when is of no consequence.
        """
        early_ms = self._rules.early_label_horizon_ms
        self._know(task)
        self._passed_ms[task] = prediction_watermark_ms
        tally, waiting = Tally(), self._waiting.table
        for slots in waiting.expire(task, prediction_watermark_ms, _AT_ONCE):
            vain = len(slots) - int(np.count_nonzero(waiting.arena.rows["matched"][slots]))
            if vain:
                tally[task, JoinEvent.UNMATCHED] += vain
        self._archive.expire(task, prediction_watermark_ms)
        limit = prediction_watermark_ms - early_ms
        if label_watermark_ms is not None:
            limit = min(limit, label_watermark_ms)
        for _ in self._pending.expire(task, limit, _AT_ONCE):
            pass
        return tally

    def _know(self, task: int) -> None:
        missing = task + 1 - len(self._passed_ms)
        if missing > 0:
            self._passed_ms = np.append(self._passed_ms, np.full(missing, _NEVER))

    def _match(self, labels: LabelColumns) -> tuple[Int64s, Slots]:
        return match(self._pending, self._cohorts, self._rules.early_label_horizon_ms, labels)

    def _meet(self, rows: PredictionRows, kept: Kept, tally: Tally) -> Outcomes:
        """Labels that waited, with those of their predictions that are new."""
        awaited = kept.numbers[self._waiting.table.index.holds(rows.task.take(kept.numbers))]
        if not len(awaited):
            return NO_OUTCOMES
        slots, labels = self._waiting.meeting(
            rows.ids.take(awaited, axis=0), rows.task.take(awaited)
        )
        if not len(slots):
            return NO_OUTCOMES
        who, found = self._match(labels)
        fresh = among(found, kept.slots, len(self._pending.arena.rows))
        who, found = who.take(fresh), found.take(fresh)
        self._waiting.mark(slots.take(who.take(firsts(who, len(slots)))))
        return self._settle(labels, who, found, tally)

    def _settle(self, labels: LabelColumns, who: Int64s, slots: Slots, tally: Tally) -> Outcomes:
        rows = self._pending.arena.rows
        good = self._cohorts.reads(
            lambda: rows["cohort"][slots], labels.form.take(who), labels.bits.take(who)
        )
        settled = settle(rows, labels, Pairs(who, slots, good), self._rules.pane_ms, tally)
        self._pending.touch(settled.written)
        extras = self._pending.extras_of(settled.outcome_slot)
        if extras is None:
            return settled.outcomes
        return dataclasses.replace(settled.outcomes, extras=extras)

    def _wait(self, labels: LabelColumns, matched: npt.NDArray[np.bool_], tally: Tally) -> None:
        until_ms = labels.time_ms + self._rules.early_label_horizon_ms
        self._know(int(labels.task.max(initial=0)))
        wanted = until_ms >= self._passed_ms.take(labels.task)
        refused = self._waiting.add(labels, np.flatnonzero(wanted), matched)
        count(tally, JoinEvent.REFUSED, labels.task[refused])
        count(tally, JoinEvent.UNMATCHED, labels.task[~wanted & ~matched])
