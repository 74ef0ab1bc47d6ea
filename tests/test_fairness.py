from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stream.core.outcomes import Cohort
from stream.core.pane.outcomes import OutcomeFold
from stream.core.records import Int64s
from stream.core.rules import MetricRule
from stream.core.score.fairness import (
    FAIRNESS_METRICS,
    fairness,
    fairness_breaches,
    reference_group,
)
from tests.outcome_rows import BINARY, MODEL, MULTICLASS, REGRESSION, counted, outcomes

GROUPS = ("sex=F", "sex=M", "sex=other")


def _frame(seed: int = 0, n: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.choice(3, n, p=[0.4, 0.55, 0.05])
    y = rng.random(n) < np.array([0.3, 0.45, 0.4])[group]
    code = np.where(rng.random(n) < np.array([0.25, 0.1, 0.2])[group], ~y, y).astype(int)
    code[rng.random(n) < 0.02] = -1
    return pd.DataFrame({"group": group, "y": y.astype(int), "code": code})


def _vectors(frame: pd.DataFrame) -> dict[str, Int64s]:
    fold = OutcomeFold(60_000)
    rows = outcomes(
        frame["y"].tolist(), code=frame["code"].to_numpy(), cohort=frame["group"].tolist()
    )
    fold.add(rows, [Cohort(MODEL, BINARY, (name,)) for name in GROUPS])
    return {g.segment: g.count_vector() for g in fold.take() if g.segment}


def _wilson(k: int, n: int) -> tuple[float, float]:
    interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _counts(frame: pd.DataFrame, group: int) -> dict[str, tuple[int, int]]:
    own = frame[frame["group"] == group]
    chosen, positive = own["code"] == 1, own["y"] == 1
    return {
        "selection_rate": (int(chosen.sum()), len(own)),
        "tpr": (int((chosen & positive).sum()), int(positive.sum())),
        "fpr": (int((chosen & ~positive).sum()), int((~positive).sum())),
        "ppv": (int((chosen & positive).sum()), int(chosen.sum())),
    }


def test_rates_differences_and_ratios_equal_those_of_a_table_in_pandas() -> None:
    frame = _frame()
    told = fairness(BINARY, _vectors(frame), "sex=M")
    assert {name.split(".", 1)[0] for name in told} == set(FAIRNESS_METRICS)
    assert not any("difference.sex=M" in name or "ratio.sex=M" in name for name in told)
    base = _counts(frame, 1)
    for number, name in enumerate(GROUPS):
        for rate, (k, n) in _counts(frame, number).items():
            one = told[f"{rate}.{name}"]
            low, high = _wilson(k, n)
            assert one.rows == n
            assert (one.value, one.low, one.high) == pytest.approx((k / n, low, high))
            if name == "sex=M":
                continue
            k0, n0 = base[rate]
            low0, high0 = _wilson(k0, n0)
            p, p0 = k / n, k0 / n0
            below = math.hypot(p - low, high0 - p0)
            above = math.hypot(high - p, p0 - low0)
            found = told[f"{rate}_difference.{name}"]
            assert (found.value, found.low, found.high) == pytest.approx(
                (p - p0, p - p0 - below, p - p0 + above)
            )
            interval = stats.contingency.relative_risk(k, n, k0, n0).confidence_interval(0.95)
            found = told[f"{rate}_ratio.{name}"]
            assert (found.value, found.low, found.high) == pytest.approx(
                (p / p0, interval.low, interval.high)
            )


def test_the_reference_is_the_named_group_or_the_largest() -> None:
    vectors = _vectors(_frame())
    assert reference_group(BINARY, vectors) == "sex=M"
    assert reference_group(BINARY, vectors, "sex=F") == "sex=F"
    assert reference_group(BINARY, {}) == ""
    equal = {"b": vectors["sex=F"], "a": vectors["sex=F"]}
    assert reference_group(BINARY, equal) == "a"
    unseen = fairness(BINARY, vectors, "sex=unseen")
    assert not any("_difference" in name for name in unseen)


def test_what_a_group_cannot_tell_is_undefined() -> None:
    vectors = {
        "a": counted(BINARY, outcomes([0, 0, 0, 1], code=[0, 0, 0, 0])),
        "b": counted(BINARY, outcomes([0, 1, 0, 1, 1], code=[1, 1, 0, 0, 1])),
        "c": counted(BINARY, outcomes([0, 0, 0], value=[0.1, 0.5, 0.2])),
    }
    told = fairness(BINARY, vectors)
    assert told["ppv.a"].value is None
    assert told["tpr.c"].value is None
    assert told["selection_rate.c"].value is None
    ratio = told["selection_rate_ratio.a"]
    assert (ratio.value, ratio.low) == (0.0, 0.0)
    assert ratio.high is not None and 0.5 < ratio.high < 5
    assert fairness(BINARY, vectors, "a")["selection_rate_ratio.b"].value is None
    both = {name: counted(BINARY, outcomes([1] * 4, code=[1] * 4)) for name in "ab"}
    certain = fairness(BINARY, both)["tpr_ratio.b"]
    assert certain.low is not None and certain.high is not None
    assert certain.low < 0.8
    assert certain.high > 1.2


def test_other_kinds_have_no_fairness() -> None:
    assert fairness(REGRESSION, {"a": counted(REGRESSION, outcomes([1.0]))}) == {}
    assert fairness(MULTICLASS, {"a": counted(MULTICLASS, outcomes(["deny"]))}) == {}


def test_a_rule_is_for_every_group_or_for_one() -> None:
    told = fairness(BINARY, _vectors(_frame()), "sex=M")
    rules = {
        "fpr_difference": MetricRule(low=-0.1, high=0.1),
        "ppv_ratio.sex=F": MetricRule(low=0.8),
        "ppv_ratio": MetricRule(low=0.1),
    }
    found = fairness_breaches(told, rules)
    assert [(b.metric, b.rule, b.limit) for b in found] == [
        ("fpr_difference.sex=F", "max", 0.1),
        ("ppv_ratio.sex=F", "min", 0.8),
    ]
