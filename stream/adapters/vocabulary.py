"""The names of scores and metrics that monitors may use, and what these can be at most."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream.adapters.documents import nearest
from stream.core.expression import is_expression
from stream.core.labels import LabelKind
from stream.core.rules import MetricRule, SegmentRule
from stream.core.specs import MonitorSpec

__all__ = ["Vocabulary", "name_problems", "reach_problems"]

Range = tuple[float, float]

_SHARE: Final = (0.0, 1.0)
_POSITIVE: Final = (0.0, math.inf)
_ANY: Final = (-math.inf, math.inf)
_RANGES: Final[Mapping[str, Range]] = {
    **dict.fromkeys(
        (
            *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "specificity"),
            *("roc_auc", "average_precision", "ece", "error_share"),
            *("selection_rate", "tpr", "fpr", "ppv"),
        ),
        _SHARE,
    ),
    **dict.fromkeys(("mcc", "cohen_kappa"), (-1.0, 1.0)),
    **dict.fromkeys(("log_loss", "mae", "rmse", "mape", "throughput"), _POSITIVE),
    "r2": (-math.inf, 1.0),
    "brier": (0.0, 2.0),  # of two classes at most 1
}
_ENDINGS: Final[Mapping[str, Range]] = {
    "_difference": (-1.0, 1.0),
    "_macro": _SHARE,
    "_micro": _SHARE,
    "_weighted": _SHARE,
}
_BOUNDED_SCORES: Final = frozenset({"js", "hellinger", "ks"})  # besides ratios and their changes
_BOUNDED_ENDINGS: Final = ("_ratio", "_change")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every name there is, by what it is a name of.

    `performance` gives the kinds of labels that each metric applies to, `of_classes` those that
    are told of each class of a multiclass model too, as `f1.approve`. Fairness metrics may be
    told of one group, as `tpr.sex=F`.
    """

    scores: Collection[str]
    performance: Mapping[str, Collection[str]] = field(default_factory=dict)
    of_classes: Collection[str] = ()
    estimated: Collection[str] = ()
    serving: Collection[str] = ()
    fairness: Collection[str] = ()


def name_problems(spec: MonitorSpec, known: Vocabulary) -> Iterator[str]:
    """The monitor's names that there aren't, each after its place, with the nearest there is."""
    named = {"score": spec.score}
    named |= {f"features.{name}.score": rule.score or "" for name, rule in spec.features.items()}
    for place, score in named.items():
        if score and score not in known.scores:
            yield f"{place}: no score {score!r}; {nearest(score, known.scores)}"
    for metric in spec.performance:
        yield from _performance_problems(metric, spec, known)
    for place, metrics, names in (
        ("estimated", spec.estimated, known.estimated),
        ("serving", spec.serving, known.serving),
    ):
        for metric in metrics:
            if metric not in names:
                yield f"{place}.{metric}: no metric {metric!r}; {nearest(metric, names)}"
    for metric in spec.fairness:
        base, dot, group = metric.partition(".")
        if base not in known.fairness:
            yield f"fairness.{metric}: no metric {base!r}; {nearest(base, known.fairness)}"
        elif dot and not any(_is_group(group, rule) for rule in spec.segments):
            yield f"fairness.{metric}: no protected rule of segment_by has a group {group!r}"


def _performance_problems(metric: str, spec: MonitorSpec, known: Vocabulary) -> Iterator[str]:
    place, kind, classes = f"performance.{metric}", spec.labels.kind, spec.labels.classes
    base, dot, of_class = metric.partition(".")
    kinds = known.performance.get(metric, ())
    if dot and base in known.of_classes:
        kinds = (LabelKind.MULTICLASS,)
        if classes and of_class not in classes:
            yield f"{place}: no class {of_class!r}; {nearest(of_class, classes)}"
    elif metric not in known.performance:
        yield f"{place}: no metric {metric!r}; {nearest(metric, known.performance)}"
    if kind and kinds and kind not in kinds:
        yield f"{place}: is for {' and '.join(sorted(kinds))}, not for {kind}"


def _is_group(segment: str, rule: SegmentRule) -> bool:
    if is_expression(rule.by):
        return rule.protected and segment in (rule.by, f"not ({rule.by})")
    return rule.protected and segment.startswith(f"{rule.by}=")


def reach_problems(spec: MonitorSpec) -> Iterator[str]:
    """The monitor's thresholds that nothing can pass, or that everything does."""
    shares = {"drift_share": spec.drift_share}
    shares |= {f"severity_by_share.{name}": share for name, share in spec.severity_by_share}
    for place, share in shares.items():
        if share >= 1:
            yield f"{place} must be below 1: no share of features is above it"
    scored = {"threshold": (spec.score, spec.threshold)}
    scored |= {
        f"features.{name}.threshold": (rule.score or spec.score, rule.threshold)
        for name, rule in spec.features.items()
    }
    for place, (score, threshold) in scored.items():
        bounded = score in _BOUNDED_SCORES or score.endswith(_BOUNDED_ENDINGS)
        if bounded and threshold is not None and threshold >= 1:
            yield f"{place} must be below 1: {score} never is above it"
    for kind in ("performance", "estimated", "serving", "fairness"):
        for metric, rule in getattr(spec, kind).items():
            for problem in _beyond(rule, _range(metric)):
                yield f"{kind}.{metric}: {problem}"


def _beyond(rule: MetricRule, reach: Range) -> Iterator[str]:
    least, most = reach
    said = f"it is from {least:g} to {most:g}" if least > -math.inf else f"it is at most {most:g}"
    if rule.low is not None and rule.low <= least:
        yield f"min {rule.low:g} can never be passed: {said}"
    if rule.high is not None and rule.high >= most:
        yield f"max {rule.high:g} can never be passed: {said}"
    if rule.low is not None and rule.low > most:
        yield f"min {rule.low:g} is always passed: {said}"
    if rule.high is not None and rule.high < least:
        yield f"max {rule.high:g} is always passed: {said}"
    for word, bound in (("max_drop", rule.max_drop), ("max_rise", rule.max_rise)):
        if bound is not None and bound >= most - least:
            yield f"{word} {bound:g} can never be passed: {said}"


def _range(metric: str) -> Range:
    """The least and the greatest value of a metric, of a class's or a group's too."""
    base = metric.partition(".")[0]
    for ending, reach in _ENDINGS.items():
        if base.endswith(ending):
            return reach
    if base.endswith("_ratio") or base.startswith("latency_"):
        return _POSITIVE
    return _RANGES.get(base, _ANY)
