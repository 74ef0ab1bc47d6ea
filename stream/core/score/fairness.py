"""How a binary model treats the groups of a protected segment: rates, differences, ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from stream.core.labels import LabelKind, LabelSpec
from stream.core.records import Int64s
from stream.core.rules import MetricRule
from stream.core.score.performance.evidence import Confusion, Evidence
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    Z,
    estimate,
    mover,
    wilson,
)
from stream.core.score.performance.thresholds import Breach, breaches

__all__ = ["FAIRNESS_METRICS", "fairness", "fairness_breaches", "reference_group"]

_Proportion = tuple[float, float]  # successes, rows


def _selected(table: Confusion) -> _Proportion:
    return float(table.predicted[1]), table.rows


def _true_positive(table: Confusion) -> _Proportion:
    return float(table.hits[1]), float(table.labelled[1])


def _false_positive(table: Confusion) -> _Proportion:
    return float(table.predicted[1] - table.hits[1]), table.rows - float(table.labelled[1])


def _precision(table: Confusion) -> _Proportion:
    return float(table.hits[1]), float(table.predicted[1])


# Each rate as a proportion of a group's confusion table; a new one is a line here.
RATES: dict[str, Callable[[Confusion], _Proportion]] = {
    "selection_rate": _selected,
    "tpr": _true_positive,
    "fpr": _false_positive,
    "ppv": _precision,
}
FAIRNESS_METRICS = tuple(
    f"{rate}{suffix}" for rate in RATES for suffix in ("", "_difference", "_ratio")
)


def fairness(
    spec: LabelSpec, groups: Mapping[str, Int64s], reference: str = ""
) -> dict[str, Estimate]:
    """What each group's outcomes say, as `tpr.GROUP`, `tpr_difference.GROUP`, `tpr_ratio.GROUP`.

    `groups` are the vectors of the outcomes of one protected rule's segments, by segment. Rates
    are the shares predicted positive of all rows (selection_rate), of the positive (tpr) and
    the negative ones (fpr), and the share positive of those predicted so (ppv), with Wilson's
    intervals. A difference is the group's rate less the reference group's, a ratio the first by
    the second; the reference group itself has neither. {} of other kinds than binary.
    """
    if spec.kind is not LabelKind.BINARY:
        return {}
    found = {name: Evidence(spec, groups[name]) for name in sorted(groups)}
    tables = {name: evidence.confusion for name, evidence in found.items() if evidence.sound}
    base = tables.get(reference_group(spec, groups, reference))
    told: dict[str, Estimate] = {}
    for rate, of in RATES.items():
        for name, table in tables.items():
            own = of(table)
            known = table.known and own[1] > 0
            told[f"{rate}.{name}"] = (
                estimate(own[0] / own[1], wilson(*own), own[1]) if known else UNDEFINED
            )
            if base is None or table is base:
                continue
            other = of(base)
            known = known and base.known and other[1] > 0
            told[f"{rate}_difference.{name}"] = _difference(own, other) if known else UNDEFINED
            told[f"{rate}_ratio.{name}"] = _ratio(own, other) if known else UNDEFINED
    return told


def reference_group(spec: LabelSpec, groups: Mapping[str, Int64s], reference: str = "") -> str:
    """The group that others are compared with: the one named, else that with most outcomes.

    Of equals the first by name; "" if there are no groups.
    """
    if reference:
        return reference
    rows = {name: Evidence(spec, groups[name]).confusion.rows for name in sorted(groups)}
    return max(rows, key=rows.__getitem__, default="")


def fairness_breaches(
    estimates: Mapping[str, Estimate], rules: Mapping[str, MetricRule]
) -> tuple[Breach, ...]:
    """The metrics beyond their rules, sorted by name.

    A rule's name is one of FAIRNESS_METRICS, for all groups, or that with a group's
    (`tpr_difference.country=US`), which then comes first. There is no reference to drop from.
    """
    each = {
        name: rule
        for name in estimates
        if (rule := rules.get(name) or rules.get(name.split(".", 1)[0])) is not None
    }
    return breaches(estimates, each, {})


def _difference(own: _Proportion, other: _Proportion) -> Estimate:
    """The difference of two independent proportions.

    Source of the interval: Newcombe, Interval estimation for the difference between independent
    proportions: comparison of eleven methods, 1998, method 10 (hybrid score).
    """
    first, second = own[0] / own[1], other[0] / other[1]
    interval = mover([(1.0, first, wilson(*own)), (-1.0, second, wilson(*other))])
    return estimate(first - second, interval, own[1])


def _ratio(own: _Proportion, other: _Proportion) -> Estimate:
    """The ratio of two independent proportions; undefined where the second is 0.

    Source of the interval: Katz, Baptista, Azen and Pike, Obtaining confidence intervals for the
    risk ratio in cohort studies, 1978 (the log method). Where that says nothing, as the first is
    0 or both are 1, half a row of either outcome is added to both groups.
    """
    if other[0] <= 0:
        return UNDEFINED
    value = (own[0] / own[1]) / (other[0] / other[1])
    extra = 0.5 if own[0] <= 0 or (own[0] == own[1] and other[0] == other[1]) else 0.0
    hits, rows = own[0] + extra, own[1] + 2.0 * extra
    base, of = other[0] + extra, other[1] + 2.0 * extra
    spread = 1.0 / hits - 1.0 / rows + 1.0 / base - 1.0 / of
    factor = math.exp(Z * math.sqrt(max(spread, 0.0)))
    middle = (hits / rows) / (base / of)
    low, high = min(middle / factor, value), max(middle * factor, value)
    return estimate(value, (low, high), own[1])
