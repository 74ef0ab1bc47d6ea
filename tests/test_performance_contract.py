"""What holds of every metric, whatever the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.labels import LabelKind, LabelSpec
from stream.core.outcomes import Outcomes
from stream.core.records import Scalar
from stream.core.score.performance import METRICS, Estimate, metric_names, performance
from tests.outcome_rows import BINARY, MULTICLASS, REGRESSION, counted, outcomes

PROBABILITY = st.one_of(st.sampled_from([0.0, 0.5, 1.0, math.nan, 2.0]), st.floats(0, 1))
NUMBER = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1e11, 1e-300, 5e-324, -1e11]), st.floats(-1e6, 1e6)
)
FROM_0_TO_1 = {
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "specificity", "roc_auc"),
    *("average_precision", "ece"),
}


@st.composite
def binary_rows(draw: st.DrawFn) -> Outcomes:
    n = draw(st.integers(1, 12))
    return outcomes(
        draw(st.lists(st.sampled_from([0, 1]), min_size=n, max_size=n)),
        code=draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n)),
        value=draw(st.lists(PROBABILITY, min_size=n, max_size=n)),
    )


@st.composite
def multiclass_rows(draw: st.DrawFn) -> Outcomes:
    n = draw(st.integers(1, 12))
    names = [*MULTICLASS.classes, "new"]
    probabilities = draw(st.lists(PROBABILITY, min_size=3 * n, max_size=3 * n))
    return outcomes(
        draw(st.lists(st.sampled_from(names), min_size=n, max_size=n)),
        code=draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)),
        probabilities=np.array(probabilities).reshape(n, 3),
    )


@st.composite
def regression_rows(draw: st.DrawFn) -> Outcomes:
    n = draw(st.integers(1, 12))
    return outcomes(
        draw(st.lists(NUMBER, min_size=n, max_size=n)),
        value=draw(st.lists(st.one_of(NUMBER, st.just(math.nan)), min_size=n, max_size=n)),
    )


def _checked(spec: LabelSpec, rows: Outcomes) -> dict[str, Estimate]:
    told = performance(spec, counted(spec, rows), len(rows))
    assert tuple(told) == metric_names(spec)
    for name, one in told.items():
        assert one.rows <= len(rows)
        assert (one.low is None) == (one.high is None)
        if one.low is None or one.high is None:
            continue
        assert one.value is not None
        slack = 1e-8 * max(1.0, abs(one.value))
        assert one.low <= one.high, name
        if name != "ece":
            assert one.low - slack <= one.value <= one.high + slack, name
        if name in FROM_0_TO_1 or "." in name or name.rsplit("_", 1)[0] in FROM_0_TO_1:
            assert one.low >= 0 and one.high <= 1 + slack, name
        assert all(map(math.isfinite, (one.value, one.low, one.high))), name
    return told


@given(rows=binary_rows())
def test_binary_estimates_are_sound_for_any_rows(rows: Outcomes) -> None:
    _checked(BINARY, rows)


@given(rows=multiclass_rows())
def test_multiclass_estimates_are_sound_for_any_rows(rows: Outcomes) -> None:
    _checked(MULTICLASS, rows)


@given(rows=regression_rows())
def test_regression_estimates_are_sound_for_any_rows(rows: Outcomes) -> None:
    _checked(REGRESSION, rows)


@pytest.mark.parametrize("spec", [BINARY, MULTICLASS, REGRESSION])
def test_more_taken_out_than_there_was_tells_nothing(spec: LabelSpec) -> None:
    labels: dict[LabelKind, list[Scalar]] = {
        LabelKind.MULTICLASS: ["deny"],
        LabelKind.BINARY: [1],
        LabelKind.REGRESSION: [1.0],
    }
    one = counted(spec, outcomes(labels[spec.kind], code=[1], value=[0.5]))
    told = performance(spec, -one, -1)
    assert tuple(told) == metric_names(spec)
    assert all(estimate == Estimate(None, None, None, 0) for estimate in told.values())


def test_every_metric_is_of_some_kind_and_says_what_it_promises() -> None:
    for name, metric in METRICS.items():
        assert metric.kinds, name
        of = getattr(metric.of, "func", metric.of)
        assert of.__doc__, name
