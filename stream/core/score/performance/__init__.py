"""Performance of a window's outcomes: metrics with intervals, from mergeable counts."""

from __future__ import annotations

from stream.core.score.performance.delay import delay_quantiles
from stream.core.score.performance.interval import Estimate
from stream.core.score.performance.registry import (
    CLASS_METRICS,
    METRICS,
    Metric,
    metric_names,
    performance,
)
from stream.core.score.performance.thresholds import Breach, breaches

__all__ = [
    "CLASS_METRICS",
    "METRICS",
    "Breach",
    "Estimate",
    "Metric",
    "breaches",
    "delay_quantiles",
    "metric_names",
    "performance",
]
