"""Every performance metric by its name. A new one is a function in a file, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stream.core.labels import LabelKind, LabelSpec
from stream.core.records import Int64s
from stream.core.score.performance import (
    agreement,
    averages,
    by_class,
    errors,
    hits,
    probabilities,
    ranking,
)
from stream.core.score.performance.evidence import Evidence
from stream.core.score.performance.interval import UNDEFINED, Estimate

__all__ = ["CLASS_METRICS", "METRICS", "Metric", "metric_names", "performance"]

_BINARY = frozenset({LabelKind.BINARY})
_MULTICLASS = frozenset({LabelKind.MULTICLASS})
_CLASSES = _BINARY | _MULTICLASS
_REGRESSION = frozenset({LabelKind.REGRESSION})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's function, the kinds of outcomes it is told of, and which way is better.

    The function takes counts alone, so that their order can't matter, and returns
    `interval.UNDEFINED` where it has nothing to tell. `higher_is_better` is None of a figure
    whose best value lies between.
    """

    kinds: frozenset[LabelKind]
    higher_is_better: bool | None
    of: Callable[[Evidence], Estimate]


METRICS: dict[str, Metric] = {
    "accuracy": Metric(_CLASSES, True, hits.accuracy),
    "balanced_accuracy": Metric(_CLASSES, True, hits.balanced_accuracy),
    "precision": Metric(_BINARY, True, partial(by_class.precision, k=1)),
    "recall": Metric(_BINARY, True, partial(by_class.recall, k=1)),
    "f1": Metric(_BINARY, True, partial(by_class.f1, k=1)),
    "specificity": Metric(_BINARY, True, partial(by_class.specificity, k=1)),
    "precision_macro": Metric(_MULTICLASS, True, averages.precision_macro),
    "recall_macro": Metric(_MULTICLASS, True, averages.recall_macro),
    "f1_macro": Metric(_MULTICLASS, True, averages.f1_macro),
    "precision_micro": Metric(_MULTICLASS, True, averages.precision_micro),
    "recall_micro": Metric(_MULTICLASS, True, averages.recall_micro),
    "f1_micro": Metric(_MULTICLASS, True, averages.f1_micro),
    "precision_weighted": Metric(_MULTICLASS, True, averages.precision_weighted),
    "recall_weighted": Metric(_MULTICLASS, True, averages.recall_weighted),
    "f1_weighted": Metric(_MULTICLASS, True, averages.f1_weighted),
    "mcc": Metric(_CLASSES, True, agreement.mcc),
    "cohen_kappa": Metric(_CLASSES, True, agreement.cohen_kappa),
    "roc_auc": Metric(_BINARY, True, ranking.roc_auc),
    "average_precision": Metric(_BINARY, True, ranking.average_precision),
    "log_loss": Metric(_CLASSES, False, probabilities.log_loss),
    "brier": Metric(_CLASSES, False, probabilities.brier),
    "ece": Metric(_CLASSES, False, probabilities.ece),
    "mae": Metric(_REGRESSION, False, errors.mae),
    "rmse": Metric(_REGRESSION, False, errors.rmse),
    "mape": Metric(_REGRESSION, False, errors.mape),
    "r2": Metric(_REGRESSION, True, errors.r2),
    "bias": Metric(_REGRESSION, None, errors.bias),
}

# Of models of more than two classes, told of each class as `name.class`.
CLASS_METRICS: dict[str, Callable[[Evidence, int], Estimate]] = {
    "precision": by_class.precision,
    "recall": by_class.recall,
    "f1": by_class.f1,
}


def performance(spec: LabelSpec, counts: Int64s, rows: int) -> dict[str, Estimate]:
    """Every metric of `rows` outcomes whose ledger's vector is `counts`, by name (`metric_names`).

    None is defined where `counts` are below zero: corrections of outcomes that aren't there.
    """
    evidence = Evidence(spec, counts)
    if rows <= 0 or not evidence.sound:
        return dict.fromkeys(metric_names(spec), UNDEFINED)
    told = {name: m.of(evidence) for name, m in METRICS.items() if spec.kind in m.kinds}
    if spec.kind is LabelKind.MULTICLASS:
        for name, of in CLASS_METRICS.items():
            for k, label in enumerate(spec.classes):
                told[f"{name}.{label}"] = of(evidence, k)
    return told


def metric_names(spec: LabelSpec) -> tuple[str, ...]:
    """The metrics told of outcomes of a spec: what thresholds may name."""
    names = [name for name, metric in METRICS.items() if spec.kind in metric.kinds]
    if spec.kind is LabelKind.MULTICLASS:
        names += [f"{name}.{label}" for name in CLASS_METRICS for label in spec.classes]
    return tuple(names)
