"""Predictions as the join keeps them: classes as codes, one number, and what else they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.core.labels import Form, LabelKind
from stream.core.outcomes import Cohort, PredictionRows
from stream.core.records import Int64s, Served

__all__ = ["Coder"]

_Item = TypeVar("_Item", bound=np.generic)
_KINDS = tuple(LabelKind)
_BINARY, _MULTICLASS, _REGRESSION = range(len(_KINDS))
_Probabilities = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of C cohorts.

    kind    (C,)    index into _KINDS
    form    (C, 2)  of binary ones, each class's (`labels.label_bits`); of others none's
    bits    (C, 2)
    extras  (C,)    whether rows have extras
    """

    kind: npt.NDArray[np.int8]
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    extras: npt.NDArray[np.bool_]


class Coder:
    """Makes PredictionRows of decoded rows; `cohorts` is shared with their owner and may grow."""

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self._cohorts = cohorts
        self._known = _described(())

    def rows(
        self,
        task: npt.NDArray[np.int32],
        cohort: npt.NDArray[np.int32],
        time_ms: Int64s,
        served: Served,
        picked: npt.NDArray[np.intp],
    ) -> PredictionRows:
        """The rows `picked` (k,) of n served ones, ascending; the other columns are theirs."""
        if len(self._known.kind) < len(self._cohorts):
            self._known = _described(self._cohorts)
        known = self._known
        form, bits = _of(served.form, picked), _of(served.bits, picked)
        which = cohort[:1] if bool((cohort == cohort[:1]).all()) else cohort
        kind = known.kind.take(which)
        value = served.score.take(picked).astype(np.float64, copy=False)
        found = np.zeros(len(picked), dtype=np.int8)
        for place in (0, 1):  # the form of a class of others than binary ones is none's
            same = form == known.form[:, place].take(which)
            same &= bits == known.bits[:, place].take(which)
            np.maximum(found, same * np.int8(place + 1), out=found)
        code = found.astype(np.int32) - np.int32(1)
        regression = kind == _REGRESSION
        if regression.any():
            number = np.where(form == Form.NUMBER, bits.view(np.float64), np.nan)
            np.copyto(value, number, where=regression)
        for one in np.unique(which[kind == _MULTICLASS]).tolist():
            where = np.flatnonzero(cohort == one)
            code[where] = self._cohorts[one].spec.class_of(form[where], bits[where])
            value[where] = np.nan
        if served.probabilities is not None:
            self._positives(value, cohort, kind, served.probabilities, picked)
        extras = None
        if known.extras.any() and known.extras.take(which).any():
            extras = self._extras(cohort, served, picked)
        ids = _of(served.ids, picked)
        return PredictionRows(task, ids, cohort, time_ms, code, value, extras)

    def _positives(
        self,
        value: npt.NDArray[np.float64],
        cohort: npt.NDArray[np.int32],
        kind: npt.NDArray[np.int8],
        probabilities: Sequence[_Probabilities | None],
        picked: npt.NDArray[np.intp],
    ) -> None:
        """P(positive) of binary rows that give a probability for each class."""
        for place in np.flatnonzero((kind == _BINARY) & np.isnan(value)).tolist():
            given = probabilities[int(picked[place])]
            if given:
                value[place] = _of_class(given, self._cohorts[int(cohort[place])].spec.classes[1])

    def _extras(
        self, cohort: npt.NDArray[np.int32], served: Served, picked: npt.NDArray[np.intp]
    ) -> list[bytes | None]:
        """A multiclass row's probabilities in the classes' order, then the body if it is kept."""
        found: list[bytes | None] = []
        for number, place in zip(cohort.tolist(), picked.tolist(), strict=True):
            one = self._cohorts[number]
            extra = b""
            if one.spec.kind is LabelKind.MULTICLASS:
                given = None if served.probabilities is None else served.probabilities[place]
                shares = [_of_class(given or {}, name) for name in one.spec.classes]
                extra = np.array(shares, dtype="<f8").tobytes()
            if one.joined and served.bodies is not None:
                extra += served.bodies[place] or b""
            found.append(extra or None)
        return found


def _described(cohorts: Sequence[Cohort]) -> _Known:
    count = len(cohorts)
    kind = np.array([_KINDS.index(one.spec.kind) for one in cohorts], dtype=np.int8)
    form = np.full((count, 2), len(Form), dtype=np.uint8)
    bits = np.zeros((count, 2), dtype=np.uint64)
    for number, one in enumerate(cohorts):
        if one.spec.kind is LabelKind.BINARY:
            form[number], bits[number] = one.spec.bits[:, 0], one.spec.bits[:, 1]
    extras = np.array([one.joined for one in cohorts], dtype=bool) | (kind == _MULTICLASS)
    return _Known(kind, form, bits, extras)


def _of(column: npt.NDArray[_Item], picked: npt.NDArray[np.intp]) -> npt.NDArray[_Item]:
    """The picked rows of a column, ascending: itself where it is all of them."""
    return column if len(picked) == len(column) else column.take(picked, axis=0)


def _of_class(given: _Probabilities, name: str) -> float:
    """The probability given for a class, NaN if there is none."""
    share = given.get(name)
    return float("nan") if share is None else float(share)
