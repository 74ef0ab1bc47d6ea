"""Predictions as the join keeps them: classes, scores and what else is needed, as codes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stream.core.join.rows import Coder
from stream.core.labels import LabelKind, LabelSpec, label_bits
from stream.core.outcomes import Cohort, PredictionRows
from stream.core.records import ModelKey, Scalar, Served

MODEL = ModelKey("m", "1")
BINARY = Cohort(MODEL, LabelSpec(LabelKind.BINARY, ("deny", "approve"), (0.0, 0.5, 1.0)))
NUMBERS = Cohort(MODEL, LabelSpec(LabelKind.BINARY, ("0", "1"), (0.0, 0.5, 1.0)))
MANY = Cohort(MODEL, LabelSpec(LabelKind.MULTICLASS, ("10", "2", "red")), joined=True)
REAL = Cohort(MODEL, LabelSpec(LabelKind.REGRESSION))
COHORTS = [BINARY, NUMBERS, MANY, REAL]


def _served(
    predictions: list[Scalar],
    scores: list[float],
    probabilities: list[dict[str, float | None] | None] | None = None,
    bodies: list[bytes | None] | None = None,
) -> Served:
    pairs = [label_bits(value) for value in predictions]
    return Served(
        ids=np.arange(2 * len(pairs), dtype=np.uint64).reshape(-1, 2),
        form=np.array([form for form, _ in pairs], dtype=np.uint8),
        bits=np.array([bits for _, bits in pairs], dtype=np.uint64),
        score=np.array(scores),
        probabilities=probabilities,
        bodies=bodies,
    )


def _rows(served: Served, cohort: list[int], picked: list[int]) -> PredictionRows:
    n = len(picked)
    return Coder(COHORTS).rows(
        np.zeros(n, dtype=np.int32),
        np.array(cohort, dtype=np.int32),
        np.arange(n, dtype=np.int64),
        served,
        np.array(picked, dtype=np.intp),
    )


def test_classes_become_codes_however_they_are_written() -> None:
    served = _served(["approve", "deny", "maybe", None, 1, 1.0, "1", True, 0], [math.nan] * 9)
    rows = _rows(served, [0, 0, 0, 0, 1, 1, 1, 1, 1], list(range(9)))
    assert rows.code.tolist() == [1, 0, -1, -1, 1, 1, 1, 1, 0]
    assert rows.extras is None


def test_only_the_picked_rows_are_made_and_keep_their_ids() -> None:
    rows = _rows(_served([0, 1, 0], [0.1, 0.9, 0.2]), [1, 1], [0, 2])
    assert rows.ids.tolist() == [[0, 1], [4, 5]]
    assert rows.value.tolist() == [0.1, 0.2]


def test_the_positive_probability_of_a_binary_row_is_its_score() -> None:
    given: list[dict[str, float | None] | None] = [{"approve": 0.7, "deny": 0.3}, None, {}]
    rows = _rows(_served(["deny"] * 3, [math.nan, 0.4, math.nan], given), [0, 0, 0], [0, 1, 2])
    np.testing.assert_array_equal(rows.value, [0.7, 0.4, math.nan])


def test_a_regression_keeps_the_predicted_number() -> None:
    rows = _rows(_served([12.5, "text", None], [0.5] * 3), [3, 3, 3], [0, 1, 2])
    np.testing.assert_array_equal(rows.value, [12.5, math.nan, math.nan])
    assert rows.code.tolist() == [-1, -1, -1]


def test_a_multiclass_row_keeps_its_probabilities_and_its_body() -> None:
    given: list[dict[str, float | None] | None] = [{"red": 0.5, "2": 0.2}, None]
    rows = _rows(_served([2.0, "red"], [math.nan] * 2, given, [b"{}", b"[]"]), [2, 2], [0, 1])
    assert rows.code.tolist() == [1, 2]
    assert rows.extras is not None
    first, second = rows.extras
    assert first is not None and second is not None
    np.testing.assert_array_equal(np.frombuffer(first[:24]), [math.nan, 0.2, 0.5])
    assert first[24:] == b"{}" and second[24:] == b"[]"
    assert np.isnan(np.frombuffer(second[:24])).all()


@pytest.mark.parametrize("value", [2**60, -(2**60) + 1])
def test_large_class_numbers_stay_exact(value: int) -> None:
    cohort = Cohort(MODEL, LabelSpec(LabelKind.MULTICLASS, (str(value), str(value + 1))))
    rows = Coder([cohort]).rows(
        np.zeros(2, dtype=np.int32),
        np.zeros(2, dtype=np.int32),
        np.zeros(2, dtype=np.int64),
        _served([value, value + 1], [math.nan] * 2),
        np.arange(2),
    )
    assert rows.code.tolist() == [0, 1]
