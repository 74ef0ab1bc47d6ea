"""A monitor's parts in a few words, as people would write them."""

from __future__ import annotations

import orjson

from stream.core.rules import LabelRule, MetricRule, SegmentRule

__all__ = ["length", "said"]


def said(value: object) -> str:
    """A field of a monitor on one line.

    >>> said(LabelRule(kind="binary", positive="yes")), said({"f1": MetricRule(low=0.8)})
    ('binary, positive yes, 7d', 'f1 min 0.8')
    """
    if isinstance(value, LabelRule):
        return _labels(value)
    if isinstance(value, tuple) and value and isinstance(value[0], SegmentRule):
        return ", ".join(_segment(rule) for rule in value)
    if isinstance(value, dict) and value:
        rules = {name: rule for name, rule in value.items() if isinstance(rule, MetricRule)}
        if len(rules) == len(value):
            return ", ".join(f"{name} {_metric(rule)}" for name, rule in sorted(rules.items()))
    return orjson.dumps(value, default=str).decode()


def length(milliseconds: int) -> str:
    """A duration in the largest unit that divides it."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _labels(rule: LabelRule) -> str:
    if not rule.wanted:
        return "none"
    parts = [rule.kind or "as the profile says"]
    if rule.classes:
        parts.append(f"classes {' '.join(rule.classes)}")
    if rule.positive:
        parts.append(f"positive {rule.positive}")
    parts.append(length(rule.horizon_ms))
    if rule.sample < 1:
        parts.append(f"sample {rule.sample:g}")
    return ", ".join(parts)


def _segment(rule: SegmentRule) -> str:
    values = f" ({' '.join(rule.values)})" if rule.values else ""
    against = f" against {rule.reference}" if rule.reference else ""
    return rule.by + values + (f" protected{against}" if rule.protected else "")


def _metric(rule: MetricRule) -> str:
    bounds = {
        "min": rule.low,
        "max": rule.high,
        "max_drop": rule.max_drop,
        "max_rise": rule.max_rise,
    }
    told = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    return " ".join([*told, "by the value alone"] if rule.point else told)
