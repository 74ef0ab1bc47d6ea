from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.core.catalog import Profiles
from stream.core.ledger import SERVING, Part
from stream.core.pane.serving import ServingFold
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Group,
    Kind,
    ModelKey,
    RawBatch,
    Served,
)
from stream.core.score.serving import SERVING_METRICS, serving

PANE = 60_000
NAMES = ((), ("a",), ("a", "b"))
Floats = npt.NDArray[np.float64]


def _batch(
    latency: Floats | None, error: npt.NDArray[np.bool_] | None, model: str = "m"
) -> RawBatch:
    n = len(latency) if latency is not None else len(error) if error is not None else 0
    none = np.zeros(n, dtype=np.uint64)
    served = Served(
        np.zeros((n, 2), dtype=np.uint64),
        none.astype(np.uint8),
        none,
        np.full(n, np.nan),
        latency_ms=latency,
        error=error,
    )
    zeros = np.zeros(n, dtype=np.int32)
    carries = np.full(n, CARRIES_PREDICTION, dtype=np.uint8)
    return RawBatch(ModelKey(model, "1"), zeros, zeros, zeros.astype(np.int64), carries, {}, served)


def _told(groups: list[Group]) -> list[tuple[object, ...]]:
    return [
        (g.model, g.pane_ms, g.segment, g.kind, g.rows, tuple(g.count_vector().tolist()))
        for g in groups
    ]


def _rows(seed: int, n: int) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    latency = np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(3, 1, n))
    return latency, rng.random(n) < 0.1, rng.integers(0, 3 * PANE, n)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), cut=st.integers(1, 59))
def test_slices_decide_nothing(seed: int, cut: int) -> None:
    latency, error, times = _rows(seed, 60)
    sets = np.random.default_rng(seed).integers(0, 3, 60).astype(np.int32)
    whole, sliced = ServingFold(Profiles(), PANE), ServingFold(Profiles(), PANE)
    whole.add(_batch(latency, error), times, sets, NAMES)
    for part in (slice(cut, 60), slice(0, cut)):
        sliced.add(_batch(latency[part], error[part]), times[part], sets[part], NAMES)
    assert _told(whole.take()) == _told(sliced.take())
    assert whole.take() == []


def test_each_answer_counts_in_its_pane_and_segments() -> None:
    latency, error, times = _rows(1, 400)
    sets = np.random.default_rng(1).integers(0, 3, 400).astype(np.int32)
    duplicate = np.random.default_rng(2).random(400) < 0.1
    fold = ServingFold(Profiles(), PANE)
    fold.add(_batch(latency, error), times, sets, NAMES, duplicate)
    groups = {(g.pane_ms, g.segment): g for g in fold.take()}
    assert len(groups) == 9
    for (pane_ms, segment), group in groups.items():
        inside = (times // PANE * PANE == pane_ms) & ~duplicate
        inside &= np.array([not segment or segment in NAMES[number] for number in sets])
        timed = inside & np.isfinite(latency)
        failed = inside & error
        answers = SERVING.part(group.count_vector(), Part.ANSWERS).tolist()
        assert answers == [(timed | failed).sum(), failed.sum(), timed.sum()]
        assert group.rows == answers[0]
        assert group.kind is Kind.SERVING
        told = serving(group.count_vector(), int(inside.sum()), PANE)
        for name, q in (("latency_p50", 0.5), ("latency_p90", 0.9), ("latency_p99", 0.99)):
            real = float(np.quantile(latency[timed], q, method="inverted_cdf"))
            assert told[name].value == pytest.approx(real, rel=0.02)
            assert told[name].rows == timed.sum()


def test_rows_that_say_nothing_leave_no_trace() -> None:
    fold = ServingFold(Profiles(), PANE)
    times = np.zeros(4, dtype=np.int64)
    fold.add(_batch(np.array([np.nan, np.inf, -1.0, np.nan]), None), times)
    fold.add(_batch(None, np.zeros(4, dtype=np.bool_)), times)
    features = _batch(np.ones(4), None)
    features.carries[:] = CARRIES_FEATURES
    fold.add(features, times)
    assert fold.take() == []
    fold.add(_batch(np.ones(4), None), times)
    fold.clear()
    assert fold.take() == []


def test_error_share_and_throughput_are_of_all_predictions() -> None:
    fold = ServingFold(Profiles(), PANE)
    error = np.arange(200) < 12
    fold.add(_batch(None, error), np.zeros(200, dtype=np.int64))
    (group,) = fold.take()
    told = serving(group.count_vector(), 300, 60_000)
    assert tuple(told) == SERVING_METRICS
    interval = stats.binomtest(12, 300).proportion_ci(0.95, method="wilson")
    share = told["error_share"]
    assert share.value == 0.04
    assert (share.low, share.high) == pytest.approx((interval.low, interval.high))
    rate = told["throughput"]
    assert rate.value == 5.0
    assert rate.low == pytest.approx(stats.chi2.ppf(0.025, 600) / 2 / 60, rel=0.01)
    assert rate.high == pytest.approx(stats.chi2.ppf(0.975, 602) / 2 / 60, rel=0.01)
    assert told["latency_p50"].value is None


def test_nothing_served_tells_nothing() -> None:
    told = serving(SERVING.zeros(), 0, PANE)
    assert tuple(told) == SERVING_METRICS
    assert all(one.value is None for one in told.values())


@pytest.mark.parametrize("q", [0.5, 0.99])
def test_latency_intervals_hold_the_true_quantile(q: float) -> None:
    rng = np.random.default_rng(3)
    real = float(stats.lognorm.ppf(q, 1.0, scale=np.exp(3)))
    name = f"latency_p{round(q * 100)}"
    held = 0
    for _ in range(400):
        fold = ServingFold(Profiles(), PANE)
        fold.add(_batch(rng.lognormal(3, 1, 500), None), np.zeros(500, dtype=np.int64))
        (group,) = fold.take()
        told = serving(group.count_vector(), 500, PANE)[name]
        assert told.low is not None and told.high is not None
        held += told.low / 1.02 <= real <= told.high * 1.02
    assert 0.93 <= held / 400 <= 1.0
