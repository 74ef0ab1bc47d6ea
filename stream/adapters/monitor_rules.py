"""What a monitor may say of its labels, segments and metrics; what is wrong, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stream.core.conditions import text_of
from stream.core.errors import ConfigError
from stream.core.expression import is_expression, parse
from stream.core.labels import MAX_CLASSES, LabelKind
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import MonitorSpec

__all__ = [
    "MAX_HORIZON_MS",
    "MAX_RULES",
    "MAX_VALUES",
    "rule_problems",
]

MAX_HORIZON_MS = 45 * 86_400_000
MAX_RULES = 20  # of segment_by
MAX_VALUES = 1_000  # of one of them
_MAX_VALUE = 200  # characters of a column's name or value


def rule_problems(spec: MonitorSpec) -> Iterator[str]:
    """What is wrong with a monitor's labels, segments and metrics, each with its place."""
    yield from _label_problems(spec.labels)
    yield from _segment_problems(spec.segments)
    for kind in ("performance", "estimated", "serving", "fairness"):
        for name, rule in getattr(spec, kind).items():
            for problem in _metric_problems(rule, against_reference=kind in _AGAINST_REFERENCE):
                yield f"{kind}.{name}: {problem}"
    if not spec.labels.wanted:
        for kind in ("performance", "fairness"):
            if getattr(spec, kind):
                yield f"{kind} needs labels, and the monitor says labels: none"
        if spec.joined:
            yield "joined needs labels, and the monitor says labels: none"
    if spec.fairness and not any(rule.protected for rule in spec.segments):
        yield "fairness compares the groups of a segment_by with protected: true; there is none"


_AGAINST_REFERENCE = frozenset({"performance", "estimated"})


def _label_problems(rule: LabelRule) -> Iterator[str]:
    known = [str(kind) for kind in LabelKind]
    if rule.kind not in ("", *known):
        yield f"labels.kind must be one of {', '.join(known)}"
    if len(set(rule.classes)) != len(rule.classes):
        yield "labels.classes must differ from each other"
    if any(not name for name in rule.classes):
        yield "labels.classes must not be empty texts"
    if rule.kind == LabelKind.BINARY and len(rule.classes) not in (0, 2):
        yield "labels.classes of a binary model are two"
    elif rule.kind != LabelKind.BINARY and len(rule.classes) == 1:
        yield "labels.classes are at least two"
    if len(rule.classes) > MAX_CLASSES:
        yield f"labels.classes are at most {MAX_CLASSES}, not {len(rule.classes)}"
    if rule.kind == LabelKind.REGRESSION and rule.classes:
        yield "labels.classes: a regression has none"
    if rule.positive and (
        rule.kind in (LabelKind.REGRESSION, LabelKind.MULTICLASS) or len(rule.classes) > 2
    ):
        yield "labels.positive is a binary model's"
    elif rule.positive and rule.classes and rule.positive not in rule.classes:
        yield f"labels.positive {rule.positive!r} is none of labels.classes"
    if not 0 < rule.horizon_ms <= MAX_HORIZON_MS:
        yield "labels.horizon must be longer than 0, at most 45d"
    if not 0 < rule.sample <= 1:
        yield "labels.sample must be above 0, at most 1"


def _segment_problems(rules: tuple[SegmentRule, ...]) -> Iterator[str]:
    if len(rules) > MAX_RULES:
        yield f"segment_by: at most {MAX_RULES}, not {len(rules)}"
    seen: set[str] = set()
    for rule in rules:
        place = f"segment_by {rule.by!r}"
        name = rule.by
        if is_expression(rule.by):
            try:
                name = text_of(parse(rule.by))
            except ConfigError as error:
                yield f"segment_by: {error}"
                continue
            if rule.values or rule.reference:
                yield f"{place}: values and reference are a column's, and this is an expression"
        else:
            yield from _column_problems(rule, place)
        if name in seen:
            yield f"{place} stands twice"
        seen.add(name)


def _column_problems(rule: SegmentRule, place: str) -> Iterator[str]:
    if not rule.by or rule.by != rule.by.strip() or not rule.by.isprintable():
        yield f"{place}: a column's name is neither empty nor has spaces around it"
    if max(map(len, (rule.by, rule.reference, *rule.values))) > _MAX_VALUE:
        yield f"{place}: names and values have at most {_MAX_VALUE} characters"
    if len(rule.values) > MAX_VALUES:
        yield f"{place}: at most {MAX_VALUES} values"
    if len(set(rule.values)) != len(rule.values) or "" in rule.values:
        yield f"{place}: values must differ from each other and not be empty"
    if rule.reference and not rule.protected:
        yield f"{place}: a reference is a protected rule's; add protected: true"
    if rule.reference and rule.values and rule.reference not in rule.values:
        yield f"{place}: the reference {rule.reference!r} is none of its values"


def _metric_problems(rule: MetricRule, *, against_reference: bool) -> Iterator[str]:
    bounds = {
        "min": rule.low,
        "max": rule.high,
        "max_drop": rule.max_drop,
        "max_rise": rule.max_rise,
    }
    if all(bound is None for bound in bounds.values()):
        words = "min, max, max_drop or max_rise" if against_reference else "min or max"
        yield f"says no threshold; give {words}"
    for word, bound in bounds.items():
        if bound is not None and not math.isfinite(bound):
            yield f"{word} must be a finite number"
        elif bound is not None and word.startswith("max_"):
            if not against_reference:
                yield f"{word} is against the reference, which says nothing of this metric"
            elif bound < 0:
                yield f"{word} must not be below 0"
    if rule.low is not None and rule.high is not None and rule.low > rule.high:
        yield "min must not be above max"
