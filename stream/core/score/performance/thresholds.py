"""Which metrics are beyond what a monitor allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stream.core.numbers import significant
from stream.core.rules import MetricRule
from stream.core.score.performance.interval import Estimate

__all__ = ["Breach", "breaches"]


@dataclass(frozen=True, slots=True)
class Breach:
    """A metric beyond its limit: `rule` is the monitor's word (min, max, max_drop, max_rise)."""

    metric: str
    value: float
    low: float | None
    high: float | None
    limit: float
    rule: str


def breaches(
    estimates: Mapping[str, Estimate],
    rules: Mapping[str, MetricRule],
    reference: Mapping[str, float],
) -> tuple[Breach, ...]:
    """The metrics that are bad by their rules, sorted by name; at most one for each rule's word.

    The whole interval must be beyond the limit, or with `point` the value. A metric that isn't
    defined, or has no interval, isn't bad; nor has one without a reference value dropped or
    risen. A value at the limit is allowed.
    """
    found = []
    for metric in sorted(rules):
        told = estimates.get(metric)
        if told is None or told.value is None:
            continue
        rule = rules[metric]
        best = told.value if rule.point else told.high
        worst = told.value if rule.point else told.low
        for word, limit, below in _limits(rule, reference.get(metric)):
            edge = best if below else worst
            if edge is not None and (edge < limit if below else edge > limit):
                found.append(Breach(metric, told.value, told.low, told.high, limit, word))
    return tuple(found)


def _limits(rule: MetricRule, reference: float | None) -> Iterator[tuple[str, float, bool]]:
    """Each limit of a rule: its word, the value, and whether being below it is bad."""
    if rule.low is not None:
        yield "min", rule.low, True
    if rule.high is not None:
        yield "max", rule.high, False
    if reference is not None and rule.max_drop is not None:
        yield "max_drop", significant(reference - rule.max_drop), True
    if reference is not None and rule.max_rise is not None:
        yield "max_rise", significant(reference + rule.max_rise), False
