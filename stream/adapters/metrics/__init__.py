"""Prometheus metrics: each declared once with its help text, known series starting at 0.

`Metrics` owns a registry. Its parts `engine`, `observe` and `detect` are what the engine and the
agents tell things to; they fit the observer protocols that those define.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from stream.adapters.metrics.declared import Declared
from stream.adapters.metrics.detect import DetectMetrics
from stream.adapters.metrics.engine import EngineMetrics
from stream.adapters.metrics.observe import ObserveMetrics

__all__ = ["DetectMetrics", "EngineMetrics", "Metrics", "ObserveMetrics"]

_REFUSED = Declared(
    Counter,
    "driftstream_records_refused_total",
    "Profiles, monitors or partials that were nonsense, or a profile that contradicted "
    "an earlier one; they are ignored.",
    ("agent", "topic"),
)


class Metrics:
    """All metrics of one process in a registry of their own.

    `models` bounds how many model@versions have series of their own, first come first served;
    `top_features` how many features of each. `now` is the clock that ages are measured by.
    """

    def __init__(
        self,
        *,
        agents: Iterable[str] = ("observe", "detect"),
        models: int = 100,
        top_features: int = 5,
        now: Callable[[], float] = time.time,
    ) -> None:
        # `_created` series double every counter and are no convention of Prometheus itself.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.engine = EngineMetrics(self.registry, tuple(agents))
        refused = _REFUSED.on(self.registry)
        self.observe = ObserveMetrics(self.registry, refused, now)
        self.detect = DetectMetrics(self.registry, refused, models, top_features)
