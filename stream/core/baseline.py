"""A reference's own performance: its labelled rows, counted and judged as a window's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stream.core.decode.values import Bits, Values, bits_of_numbers, nan_as_null
from stream.core.errors import ProfileError
from stream.core.join.rows import Coder
from stream.core.labels import LabelKind, LabelSpec, label_spec
from stream.core.ledger import ledger_of
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.pane.calibration import class_codes, numbers_of
from stream.core.pane.content import content_hash, profile_to_record
from stream.core.pane.outcomes import OutcomeFold
from stream.core.pane.variables import Column, plain_values
from stream.core.records import Int64s, Kind, Scalar, Served
from stream.core.rules import LabelRule
from stream.core.score.performance import performance
from stream.core.specs import SCORE_PREFIX, Profile

__all__ = ["with_metrics"]

_ROWS = 16_384  # counted at once
_Plain = npt.NDArray[np.float64] | list[Scalar]


def with_metrics(profile: Profile, columns: Mapping[str, Column], labels: Column) -> Profile:
    """The profile with `OutcomeReference.metrics` of these rows, and the hash of its new content.

    `columns` and `labels` are the rows that the profile was built of. The same ledger and the
    same metrics as a window's, so that a window of these very rows has the very same figures; a
    metric that isn't defined is left out. A profile without outcome comes back as it is.

    Raises ProfileError where the outcome can't be counted.
    """
    if profile.outcome is None:
        return profile
    spec = label_spec(replace(profile, warmed_up=False), LabelRule())
    if spec is None:
        raise ProfileError(f"nothing says how the labels of {profile.model} are read")
    counts, rows = _counted(Cohort(profile.model, spec), columns, plain_values(labels))
    found = performance(spec, counts, rows)
    metrics = tuple(
        (name, told.value) for name, told in sorted(found.items()) if told.value is not None
    )
    measured = replace(profile, outcome=replace(profile.outcome, metrics=metrics))
    return replace(measured, hash=content_hash(profile_to_record(measured)))


def _counted(cohort: Cohort, columns: Mapping[str, Column], labels: _Plain) -> tuple[Int64s, int]:
    """The ledger's vector of the labelled rows, and how many they are."""
    coder, fold, values = Coder([cohort]), OutcomeFold(1), Values()
    named = {name: plain_values(column) for name, column in columns.items()}
    for start in range(0, len(labels), _ROWS):
        part = slice(start, start + _ROWS)
        known = np.flatnonzero(_known(labels[part], cohort.spec))
        served = _served({n: c[part] for n, c in named.items()}, len(labels[part]), values)
        form, bits = _bits(labels[part], values)
        fold.add(_outcomes(coder, served, known, (form[known], bits[known])), [cohort])
    counts, rows = ledger_of(cohort.spec).zeros(), 0
    for group in fold.take():
        if group.kind is Kind.OUTCOME:
            counts = counts + group.count_vector()
            rows += group.rows
    return counts, rows


def _known(labels: _Plain, spec: LabelSpec) -> npt.NDArray[np.bool_]:
    """Where there is a label of the model's kind."""
    if spec.kind is LabelKind.REGRESSION:
        return np.isfinite(numbers_of(labels))
    return class_codes(labels, spec.classes) >= 0


def _bits(column: _Plain, values: Values) -> Bits:
    if isinstance(column, list):
        return nan_as_null(values.bits_of(column))
    return nan_as_null(bits_of_numbers(column, None))


def _served(columns: Mapping[str, _Plain], rows: int, values: Values) -> Served:
    """The rows as if they had been decoded."""
    form, bits = _bits(columns.get("prediction", [None] * rows), values)
    score = numbers_of(columns.get("score", np.full(rows, np.nan)))
    return Served(np.zeros((rows, 2), dtype=np.uint64), form, bits, score, _probabilities(columns))


def _probabilities(columns: Mapping[str, _Plain]) -> list[Mapping[str, float | None] | None] | None:
    """Each row's scores by class; None where no column is one."""
    shares = {
        name.removeprefix(SCORE_PREFIX): numbers_of(column).tolist()
        for name, column in columns.items()
        if name.startswith(SCORE_PREFIX)
    }
    if not shares:
        return None
    return [dict(zip(shares, row, strict=True)) for row in zip(*shares.values(), strict=True)]


def _outcomes(coder: Coder, served: Served, known: npt.NDArray[np.intp], label: Bits) -> Outcomes:
    """The rows with their labels as first outcomes, all at one time."""
    size = len(known)
    none, never = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int64)
    kept = coder.rows(none, none, never, served, known)
    return Outcomes(
        task=none,
        cohort=none,
        code=kept.code,
        value=kept.value,
        form=label[0],
        bits=label[1],
        time_ms=never,
        delay_ms=never,
        change=np.full(size, Change.FIRST, dtype=np.uint8),
        late=np.zeros(size, dtype=np.bool_),
        ids=kept.ids,
        offset=never,
        extras=kept.extras,
    )
