"""Outcomes made up for tests, and what they come to by plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.labels import LabelKind, LabelSpec, label_bits
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.pane.outcomes import OutcomeFold
from stream.core.records import Int64s, ModelKey, Scalar

__all__ = ["BINARY", "MODEL", "MULTICLASS", "REGRESSION", "counted", "outcomes"]

MODEL = ModelKey("credit", "3")
_EDGES = tuple(place / 64 for place in range(65))
BINARY = LabelSpec(LabelKind.BINARY, ("0", "1"), _EDGES)
MULTICLASS = LabelSpec(LabelKind.MULTICLASS, ("approve", "deny", "review"), _EDGES)
REGRESSION = LabelSpec(LabelKind.REGRESSION)


def outcomes(
    labels: Sequence[Scalar] | npt.NDArray[np.float64],
    *,
    code: Sequence[int] | npt.NDArray[np.int_] | None = None,
    value: Sequence[float] | npt.NDArray[np.float64] | None = None,
    cohort: Sequence[int] | None = None,
    time_ms: Sequence[int] | None = None,
    delay_ms: Sequence[int] | None = None,
    change: Sequence[Change] | None = None,
    late: Sequence[bool] | None = None,
    probabilities: npt.NDArray[np.float64] | None = None,
) -> Outcomes:
    """Outcomes with these labels, all first ones of cohort 0 in one pane unless said otherwise."""
    n = len(labels)
    plain: Sequence[Scalar] = labels.tolist() if isinstance(labels, np.ndarray) else labels
    known = {label: label_bits(label) for label in set(plain)}
    bits = np.array([known[label] for label in plain], dtype=np.uint64).reshape(n, 2)
    zeros = np.zeros(n, dtype=np.int64)
    return Outcomes(
        zeros.astype(np.int32),
        np.asarray(zeros if cohort is None else cohort, dtype=np.int32),
        np.asarray(zeros - 1 if code is None else code, dtype=np.int32),
        np.asarray(np.full(n, np.nan) if value is None else value, dtype=np.float64),
        bits[:, 0].astype(np.uint8),
        bits[:, 1].copy(),
        np.asarray(zeros if time_ms is None else time_ms, dtype=np.int64),
        np.asarray(zeros if delay_ms is None else delay_ms, dtype=np.int64),
        np.asarray(zeros if change is None else change, dtype=np.uint8),
        np.asarray(zeros if late is None else late, dtype=np.bool_),
        np.zeros((n, 2), dtype=np.uint64),
        np.arange(n, dtype=np.int64),
        None if probabilities is None else [row.tobytes() for row in probabilities],
    )


def counted(spec: LabelSpec, rows: Outcomes) -> Int64s:
    """The ledger's vector of outcomes that are all first ones in one pane."""
    fold = OutcomeFold(60_000)
    assert not fold.add(rows, [Cohort(MODEL, spec)])
    (group,) = fold.take()
    return group.count_vector()
