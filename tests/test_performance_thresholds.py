from __future__ import annotations

import pytest

from stream.core.rules import MetricRule
from stream.core.score.performance import Breach, Estimate, breaches

F1 = Estimate(0.8, 0.75, 0.84, 400)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (MetricRule(low=0.85), [("min", 0.85)]),
        (MetricRule(low=0.84), []),  # the interval's end is at the limit: allowed
        (MetricRule(low=0.82), []),  # the value is below, the interval is not
        (MetricRule(low=0.82, point=True), [("min", 0.82)]),
        (MetricRule(low=0.8, point=True), []),
        (MetricRule(high=0.74), [("max", 0.74)]),
        (MetricRule(high=0.78), []),
        (MetricRule(high=0.78, point=True), [("max", 0.78)]),
        (MetricRule(max_drop=0.05), [("max_drop", 0.85)]),
        (MetricRule(max_drop=0.07), []),
        (MetricRule(max_drop=0.09, point=True), [("max_drop", 0.81)]),
        (MetricRule(max_rise=-0.2), [("max_rise", 0.7)]),
        (MetricRule(low=0.9, max_drop=0.01), [("min", 0.9), ("max_drop", 0.89)]),
        (MetricRule(), []),
    ],
)
def test_a_metric_is_bad_when_its_interval_is_beyond_the_limit(
    rule: MetricRule, found: list[tuple[str, float]]
) -> None:
    told = breaches({"f1": F1}, {"f1": rule}, {"f1": 0.9})
    assert told == tuple(Breach("f1", 0.8, 0.75, 0.84, limit, word) for word, limit in found)


def test_what_is_unknown_is_not_bad() -> None:
    rules = {"f1": MetricRule(max_drop=0.0), "mcc": MetricRule(low=1.0), "r2": MetricRule(low=1.0)}
    single = Estimate(0.1, None, None, 1)
    assert breaches({"f1": F1, "mcc": single}, rules, {}) == ()
    assert breaches({"mcc": Estimate(None, None, None, 0)}, rules, {}) == ()
    pointed = {"mcc": MetricRule(low=1.0, point=True)}
    assert [b.metric for b in breaches({"mcc": single}, pointed, {})] == ["mcc"]


def test_breaches_are_sorted_by_name() -> None:
    rules = {name: MetricRule(low=0.9) for name in ("recall", "accuracy", "f1")}
    found = breaches(dict.fromkeys(rules, F1), rules, {})
    assert [b.metric for b in found] == ["accuracy", "f1", "recall"]
