"""How often the 95 % intervals hold the truth: samples of 500 rows, a pane each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream.core.labels import LabelSpec
from stream.core.outcomes import Cohort, Outcomes
from stream.core.pane.outcomes import OutcomeFold
from stream.core.score.performance import performance
from tests.outcome_rows import BINARY, MODEL, MULTICLASS, REGRESSION, outcomes

SAMPLES, ROWS = 800, 500
TRUTH = 500  # samples that the truth is the mean of, put together
Floats = npt.NDArray[np.float64]


def _rows(labels: Any, n: int, **columns: Any) -> Outcomes:
    pane = np.arange(n) // ROWS * 1_000
    return outcomes(labels, time_ms=pane.tolist(), **columns)


def _binary(rng: np.random.Generator, n: int, a: float, b: float, lift: float) -> Outcomes:
    p = rng.beta(a, b, n)
    odds = np.log(p / (1 - p)) * lift + 0.3
    y = rng.random(n) < 1 / (1 + np.exp(-odds))
    return _rows(y.astype(int).tolist(), n, code=(p > 0.5).astype(int), value=p)


def _multiclass(rng: np.random.Generator, n: int) -> Outcomes:
    p = rng.dirichlet([1.0, 0.6, 1.5], n)
    weights = p**0.7 / (p**0.7).sum(axis=1, keepdims=True)
    y = (rng.random((n, 1)) > weights.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    labels = [MULTICLASS.classes[k] for k in y.tolist()]
    return _rows(labels, n, code=p.argmax(axis=1), probabilities=p)


def _regression(rng: np.random.Generator, n: int) -> Outcomes:
    x = rng.gamma(3.0, 2.0, n)
    y = x + 10 + rng.normal(0, 1.5, n)
    return _rows(y.tolist(), n, value=x * 0.9 + 10.3)


_Draw = Callable[[np.random.Generator, int], Outcomes]
CASES: dict[str, tuple[LabelSpec, _Draw]] = {
    "binary": (BINARY, lambda rng, n: _binary(rng, n, 1.0, 1.6, 0.8)),
    "binary, rare": (BINARY, lambda rng, n: _binary(rng, n, 0.7, 3.0, 1.0)),
    "multiclass": (MULTICLASS, _multiclass),
    "regression": (REGRESSION, _regression),
}


def _counted(spec: LabelSpec, rows: Outcomes) -> list[Any]:
    fold = OutcomeFold(1_000)
    fold.add(rows, [Cohort(MODEL, spec)])
    return [group.count_vector() for group in fold.take()]


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_truth_in_95_of_100_samples(case: str) -> None:
    spec, draw = CASES[case]
    truth_rows = draw(np.random.default_rng(11), TRUTH * ROWS)
    whole = np.sum(_counted(spec, truth_rows), axis=0)
    truth = performance(spec, whole, len(truth_rows))
    held = dict.fromkeys(truth, 0)
    told = dict.fromkeys(truth, 0)
    for vector in _counted(spec, draw(np.random.default_rng(12), SAMPLES * ROWS)):
        for name, estimate in performance(spec, vector, ROWS).items():
            real = truth[name].value
            if estimate.low is None or estimate.high is None or real is None:
                continue
            told[name] += 1
            held[name] += estimate.low <= real <= estimate.high
    shares = {name: held[name] / told[name] for name in truth}
    assert min(told.values()) == SAMPLES
    assert {name: s for name, s in shares.items() if not 0.92 <= s <= 0.98} == {}
