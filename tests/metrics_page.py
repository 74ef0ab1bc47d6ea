"""The page of metrics that a worker shows Prometheus."""

from __future__ import annotations

from prometheus_client import generate_latest

from stream.adapters.metrics import Metrics
from stream.agents.detect.observer import DetectObserver
from stream.agents.observe.observer import ObserveObserver
from stream.core.errors import Reason
from stream.core.outcomes import JoinEvent
from stream.core.records import ModelKey
from stream.core.specs import Severity
from stream.engine.observer import EngineObserver

CREDIT = ModelKey("credit", "3")
_FIGURE = (0.9, 0.8, 0.95)


def text_of(metrics: Metrics) -> str:
    """What Prometheus is told."""
    return generate_latest(metrics.registry).decode()


def filled() -> Metrics:
    """The metrics of a worker in which something of every kind has happened."""
    metrics = Metrics(now=lambda: 100.0)
    engine: EngineObserver = metrics.engine
    engine.consumed("observe", "predictions", 5)
    engine.committed("observe", 0.01)
    engine.paced("observe", 1.0)
    engine.aborted("observe", "error")
    engine.restored("observe", 2, 10, 0.5)
    engine.assigned("observe", 2)
    engine.lag("observe", "predictions", 7)
    engine.paused("observe", 1)
    engine.ready("observe", ready=True)
    observe: ObserveObserver = metrics.observe
    observe.rows("predictions", 5)
    observe.late(1)
    observe.rejected(Reason.BAD_ID, 2)
    observe.astray("predictions", 1)
    observe.watermark("predictions", 90_000)
    observe.joined(JoinEvent.JOINED, 3)
    observe.pending(0, 2, 1)
    observe.invalid(1)
    observe.refused_profile()
    detect: DetectObserver = metrics.detect
    detect.window_closed(CREDIT, scored=True, drift_share=0.25)
    detect.feature_scores(CREDIT, "psi", {"age": 0.3, "income": 0.1})
    detect.expected(CREDIT, {"accuracy": _FIGURE}, {"latency_p50": _FIGURE})
    detect.performance(CREDIT, {"accuracy": _FIGURE}, 0.9, {"p50": 60_000.0, "p99": 90_000.0})
    detect.incidents_open("drift", Severity.WARNING, 1)
    detect.moved(3)
    detect.correction_late(1)
    detect.models_refused(1)
    detect.labels_behind(60_000)
    detect.refused("monitors")
    return metrics
