"""What a metric is called and what it means, said once beside the class that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Declared"]

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Declared(Generic[_Metric]):
    """A metric's type, name, help text and labels; each registry has a metric of its own."""

    metric: Callable[..., _Metric]
    name: str
    doc: str
    labels: tuple[str, ...] = ()

    def on(self, registry: CollectorRegistry) -> _Metric:
        """Makes the metric on a registry; ValueError if that has one of the name already."""
        return self.metric(self.name, self.doc, self.labels, registry=registry)
