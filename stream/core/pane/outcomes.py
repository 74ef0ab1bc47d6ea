"""Folds outcomes into groups: what predictions were worth, by model, segment and pane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.core.labels import LabelKind, LabelSpec
from stream.core.ledger import ledger_of
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.pane.outcome_counts import OutcomeRows, count_outcomes, warm_up
from stream.core.records import Group, Int64s, Kind, ModelKey

__all__ = ["OutcomeFold", "RefusedLabels"]

_Item = TypeVar("_Item", bound=np.generic)
_PENDING_ROWS = 32_768  # outcomes that wait to be counted together


@dataclass(frozen=True, slots=True)
class RefusedLabels:
    """Outcomes whose label can't be of their model's kind: places among those added, and why."""

    place: Int64s
    detail: str


@dataclass(frozen=True, slots=True)
class _Set:
    """Outcomes that are counted together: of one model, spec and set of segments."""

    model: ModelKey
    spec: LabelSpec
    segments: tuple[str, ...]


class OutcomeFold:
    """The outcomes since the last `take`, as vectors of their ledgers.

    An outcome counts once for all rows (the segment "") and once in each segment of its cohort,
    in the pane of its `time_ms`. Memory is bounded by the outcomes between two takes.
    """

    def __init__(self, pane_ms: int) -> None:
        warm_up()
        self._pane_ms = pane_ms
        self.clear()

    def clear(self) -> None:
        """Forgets everything since the last take, as when a transaction is aborted."""
        self._sets: dict[tuple[ModelKey, str, tuple[str, ...]], int] = {}
        self._known: list[_Set] = []
        self._pending: dict[str, list[OutcomeRows]] = {}
        self._rows = 0
        self._counted: dict[tuple[int, int, Kind], Int64s] = {}

    def add(self, outcomes: Outcomes, cohorts: Sequence[Cohort]) -> list[RefusedLabels]:
        """Takes outcomes in; returns those that were left out because of their label.

        That is what `LabelSpec.reads` says no to, refused by the join or not. A value that is
        none of a multiclass model's classes counts as the class `other`.
        """
        refused: list[RefusedLabels] = []
        if not len(outcomes):
            return refused
        number, specs = self._numbers(outcomes.cohort, cohorts)
        for spec, members in specs:
            rows = None if members is None else np.flatnonzero(members[outcomes.cohort])
            label, usable = _labels(spec, _take(outcomes.form, rows), _take(outcomes.bits, rows))
            if not bool(usable.all()):
                places = np.arange(len(outcomes)) if rows is None else rows
                refused.append(RefusedLabels(places[~usable], _detail(spec)))
                rows, label = places[usable], label[usable]
            if len(label):
                self._keep(spec, outcomes, rows, number, label)
        if self._rows >= _PENDING_ROWS:
            self._settle()
        return refused

    def take(self) -> list[Group]:
        """All groups since the last call, sorted by model, pane, kind, segment and ledger."""
        self._settle()
        merged: dict[tuple[ModelKey, int, Kind, str, str], Int64s] = {}
        for (number, pane, kind), vector in self._counted.items():
            known = self._known[number]
            for segment in ("", *known.segments):
                key = (known.model, pane, kind, segment, known.spec.hash)
                held = merged.get(key)
                if held is None:
                    merged[key] = vector.copy()
                else:
                    held += vector
        self.clear()
        return [self._group(key, merged[key]) for key in sorted(merged)]

    def _group(self, key: tuple[ModelKey, int, Kind, str, str], vector: Int64s) -> Group:
        model, pane, kind, segment, profile = key
        counts, (out, rows, late) = vector[:-3], vector[-3:].tolist()
        return Group(
            model,
            profile,
            pane * self._pane_ms,
            rows,
            -out,
            late,
            0,
            counts,
            width=len(counts),
            kind=kind,
            segment=segment,
        )

    def _numbers(
        self, cohort: npt.NDArray[np.int32], cohorts: Sequence[Cohort]
    ) -> tuple[Int64s, list[tuple[LabelSpec, npt.NDArray[np.bool_] | None]]]:
        """Each cohort's number here, and the specs with their cohorts (None: all there are)."""
        number = np.zeros(len(cohorts), dtype=np.int64)
        specs: dict[str, tuple[LabelSpec, list[int]]] = {}
        for index in np.flatnonzero(np.bincount(cohort, minlength=len(cohorts))).tolist():
            known = cohorts[index]
            key = (known.model, known.spec.hash, known.segments)
            found = self._sets.get(key)
            if found is None:
                found = self._sets[key] = len(self._known)
                self._known.append(_Set(known.model, known.spec, known.segments))
            number[index] = found
            specs.setdefault(known.spec.hash, (known.spec, []))[1].append(index)
        if len(specs) == 1:
            return number, [(spec, None) for spec, _ in specs.values()]
        split: list[tuple[LabelSpec, npt.NDArray[np.bool_] | None]] = []
        for spec, indices in specs.values():
            members = np.zeros(len(cohorts), dtype=np.bool_)
            members[indices] = True
            split.append((spec, members))
        return number, split

    def _keep(
        self,
        spec: LabelSpec,
        outcomes: Outcomes,
        rows: Int64s | None,
        number: Int64s,
        label: npt.NDArray[np.float64] | Int64s,
    ) -> None:
        change = _take(outcomes.change, rows)
        correction = change != Change.FIRST
        self._pending.setdefault(spec.hash, []).append(
            OutcomeRows(
                number[_take(outcomes.cohort, rows)],
                _take(outcomes.time_ms, rows) // self._pane_ms,
                correction,
                change == Change.OUT,
                _take(outcomes.late, rows) & ~correction,
                _take(outcomes.code, rows),
                _take(outcomes.value, rows),
                label,
                _take(outcomes.delay_ms, rows),
                _probabilities(spec, outcomes.extras, rows, len(label)),
            )
        )
        self._rows += len(label)

    def _settle(self) -> None:
        """Counts the waiting outcomes, a spec at a time."""
        for items in self._pending.values():
            spec = self._known[int(items[0].number[0])].spec
            for key, vector in count_outcomes(spec, ledger_of(spec), OutcomeRows.joined(items)):
                held = self._counted.get(key)
                if held is None:
                    self._counted[key] = vector
                else:
                    held += vector
        self._pending = {}
        self._rows = 0


def _take(column: npt.NDArray[_Item], rows: Int64s | None) -> npt.NDArray[_Item]:
    return column if rows is None else column[rows]


def _labels(
    spec: LabelSpec, form: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.float64] | Int64s, npt.NDArray[np.bool_]]:
    """Each label as a number or its class's index (K: another), and whether it can be one."""
    if spec.kind is LabelKind.REGRESSION:
        return bits.view(np.float64), spec.reads(form, bits)
    label = spec.class_of(form, bits)
    known = label >= 0
    if spec.kind is LabelKind.BINARY:
        return label, known
    return np.where(known, label, len(spec.classes)), np.ones(len(label), dtype=np.bool_)


def _detail(spec: LabelSpec) -> str:
    if spec.kind is LabelKind.REGRESSION:
        return "the label is no number, and the model's outcome is one"
    return f"the label is neither {spec.classes[0]!r} nor {spec.classes[1]!r}, the model's classes"


def _probabilities(
    spec: LabelSpec, extras: Sequence[bytes | None] | None, rows: Int64s | None, n: int
) -> npt.NDArray[np.float64] | None:
    """The probabilities (n, K) of a multiclass model's rows, NaN where absent; None: no row's."""
    if spec.kind is not LabelKind.MULTICLASS or extras is None:
        return None
    size = 8 * len(spec.classes)
    absent = np.full(len(spec.classes), np.nan).tobytes()
    chosen = extras if rows is None else [extras[row] for row in rows.tolist()]
    held = [e[:size] if e is not None and len(e) >= size else absent for e in chosen]
    return np.frombuffer(b"".join(held), dtype="<f8").reshape(n, len(spec.classes))
