"""The five models of a workload: how they are served, watched and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stream.core.baseline import with_metrics
from stream.core.pane.reference import Column, LabelColumn, build_profile
from stream.core.records import ModelKey
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import FeatureRule, MonitorSpec, Profile, Severity
from stream.workload.cases import CASES, CLASSES, Case, Drift
from stream.workload.plan import HOUR_MS, MINUTE_MS, Plan

__all__ = ["MODELS", "Model", "monitors", "profiles"]

_REFERENCE_ROWS = 2_000
_BINS = 8
_WINDOW_MS = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Model:
    """A model, and how its producer behaves.

    `share` of all requests is its own. `published` are the versions with a profile; others are
    warmed up. `hourly` is the share of requests that are scored in batches at full hours. With
    `apart` features come on a topic of their own. `burst_ms` is how long labels are held back to
    be sent at once. Drift begins and ends at shares of the workload's time: `data` of one
    feature, of most, and the end; `concept` begin and end.
    """

    name: str
    share: float
    kind: str
    form: str
    published: tuple[str, ...] = ("1", "2")
    hourly: float = 0.0
    apart: bool = False
    burst_ms: int = 0
    labelled: float = 0.65
    data: tuple[float, float, float] = (1.0, 1.0, 1.0)
    concept: tuple[float, float] = (1.0, 1.0)

    def drift(self, share: float) -> Drift:
        """The drift at a share of the workload's time."""
        one, most, over = self.data
        moved = 0 if share < one or share >= over else 1 if share < most else 2
        return Drift(moved, self.concept[0] <= share < self.concept[1])


MODELS: tuple[Model, ...] = (
    Model(
        "fraud", 0.4, "binary", "json", data=(0.15, 0.2, 0.3), concept=(0.62, 0.78), labelled=0.7
    ),
    Model("credit", 0.22, "binary", "arrow", hourly=0.5, data=(0.56, 0.66, 0.76)),
    Model(
        "churn",
        0.16,
        "multiclass",
        "avro",
        published=(),
        data=(0.3, 0.35, 0.44),
        concept=(0.7, 0.9),
    ),
    Model(
        "price",
        0.22,
        "regression",
        "mixed",
        published=("1",),
        apart=True,
        burst_ms=2 * HOUR_MS,
        concept=(0.2, 0.4),
        data=(0.1, 0.2, 0.3),
    ),
    Model("sparse", 0.0, "binary", "json", published=(), labelled=0.8),
)


def monitors(plan: Plan) -> tuple[tuple[MonitorSpec, ...], ...]:
    """Each model's monitors, oldest first; credit's changes at half time."""
    first = _credit()
    second = replace(
        first,
        effective_from_ms=plan.half_ms,
        window_ms=2 * _WINDOW_MS,
        hop_ms=_WINDOW_MS,
        threshold=0.4,
        score="js",
        segments=(SegmentRule("tags.channel", ("web", "app")), SegmentRule("amount > 40")),
        features={"age": FeatureRule(score="ks", threshold=0.25, alert=True)},
    )
    return ((_fraud(),), (first, second), (_churn(),), (_price(),), (_sparse(),))


def profiles(plan: Plan) -> tuple[Profile, ...]:
    """The published profiles, each in force from the beginning."""
    return tuple(
        _profile(plan, number, model, version)
        for number, model in enumerate(MODELS)
        for version in model.published
    )


def _profile(plan: Plan, number: int, model: Model, version: str) -> Profile:
    rng = np.random.default_rng([plan.seed, 101, number, int(version)])
    cases = [CASES[model.kind](rng, Drift()) for _ in range(_REFERENCE_ROWS)]
    columns = _columns(cases)
    labels = [case.truth for case in cases]
    segments = {"country": columns["features.country"]} if model.kind == "binary" else None
    profile = build_profile(
        ModelKey(model.name, version),
        columns,
        bins=_BINS,
        score_bins=64,
        label=LabelColumn(labels, kind=model.kind),
        segments=segments,
    )
    return with_metrics(profile, columns, labels)


def _columns(cases: list[Case]) -> dict[str, Column]:
    columns: dict[str, Column] = {"prediction": [case.prediction for case in cases]}
    for name in cases[0].features:
        columns[f"features.{name}"] = [case.features[name] for case in cases]
    if cases[0].score is not None:
        columns["score"] = [case.score for case in cases if isinstance(case.score, float)]
    return columns


def _base(name: str) -> MonitorSpec:
    return MonitorSpec(
        model=name,
        window_ms=_WINDOW_MS,
        hop_ms=_WINDOW_MS,
        min_rows=30,
        warmup_rows=400,
        threshold=0.35,
        severity_by_share=((Severity.WARNING, 0.4), (Severity.CRITICAL, 0.9)),
        resolve_after=2,
    )


def _fraud() -> MonitorSpec:
    return replace(
        _base("fraud"),
        segments=(
            SegmentRule("country", ("US", "DE"), protected=True, reference="US"),
            SegmentRule("age >= 50"),
        ),
        performance={"accuracy": MetricRule(low=0.7), "f1": MetricRule(max_drop=0.1)},
        estimated={"accuracy": MetricRule(low=0.6)},
        serving={"latency_p90": MetricRule(high=80.0), "error_share": MetricRule(high=0.2)},
        fairness={"selection_rate_difference": MetricRule(low=-0.4, high=0.4)},
    )


def _credit() -> MonitorSpec:
    rule = LabelRule(horizon_ms=HOUR_MS, sample=0.5)
    return replace(
        _base("credit"),
        labels=rule,
        joined=True,
        segments=(SegmentRule("country"),),
        performance={"accuracy": MetricRule(low=0.6, point=True)},
    )


def _churn() -> MonitorSpec:
    return replace(
        _base("churn"),
        labels=LabelRule(kind="multiclass", classes=CLASSES),
        performance={"accuracy": MetricRule(low=0.5)},
    )


def _price() -> MonitorSpec:
    return replace(
        _base("price"),
        labels=LabelRule(kind="regression"),
        performance={"mae": MetricRule(high=45.0)},
    )


def _sparse() -> MonitorSpec:
    return replace(
        _base("sparse"),
        min_rows=4,
        warmup_rows=8,
        labels=LabelRule(kind="binary", classes=("0", "1"), positive="1"),
    )
