"""Prometheus metrics: each declared once with its help text, known series starting at 0.

`Metrics` owns a registry. Its parts `engine`, `observe` and `detect` are what the engine and the
agents tell things to; they fit the observer protocols that those define.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from stream.core.errors import Reason
from stream.core.records import ModelKey
from stream.core.specs import Severity

__all__ = ["DetectMetrics", "EngineMetrics", "Metrics", "ObserveMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


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
        self.observe = ObserveMetrics(self.registry, now)
        self.detect = DetectMetrics(self.registry, models, top_features)


class EngineMetrics:
    """What the engine tells: records, transactions, restores, lag, readiness."""

    def __init__(self, registry: CollectorRegistry, agents: tuple[str, ...]) -> None:
        self._records = Counter(
            "driftstream_records_consumed_total",
            "Kafka records consumed, by agent and topic.",
            ("agent", "topic"),
            registry=registry,
        )
        self._commit = Histogram(
            "driftstream_commit_seconds",
            "Time that a Kafka transaction took to commit.",
            ("agent",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._restore = Histogram(
            "driftstream_restore_seconds",
            "Time that assigned tasks took to restore their state.",
            ("agent",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._aborted = Counter(
            "driftstream_transactions_aborted_total",
            "Kafka transactions given up; their records are read again.",
            ("agent", "reason"),
            registry=registry,
        )
        self._lag = Gauge(
            "driftstream_lag_records",
            "Records that an agent has still to read, over its partitions of a topic.",
            ("agent", "topic"),
            registry=registry,
        )
        self._ready = Gauge(
            "driftstream_agent_ready",
            "1 while an agent has its state restored and reads all its partitions.",
            ("agent",),
            registry=registry,
        )
        self._tasks = Gauge(
            "driftstream_tasks_assigned",
            "Tasks (source partitions) that this worker has.",
            ("agent",),
            registry=registry,
        )
        self._paused = Gauge(
            "driftstream_sources_paused",
            "Partitions that an agent does not read now, because too much in them is invalid.",
            ("agent",),
            registry=registry,
        )
        for agent in agents:
            for metric in (self._commit, self._restore, self._ready, self._tasks, self._paused):
                metric.labels(agent)

    def consumed(self, agent: str, topic: str, records: int) -> None:
        """Records were taken from a topic."""
        self._records.labels(agent, topic).inc(records)

    def committed(self, agent: str, seconds: float) -> None:
        """A transaction was committed."""
        self._commit.labels(agent).observe(seconds)

    def aborted(self, agent: str, reason: str) -> None:
        """A transaction was given up."""
        self._aborted.labels(agent, reason).inc()

    def restored(self, agent: str, tasks: int, records: int, seconds: float) -> None:
        """Tasks have their state again."""
        del tasks, records
        self._restore.labels(agent).observe(seconds)

    def assigned(self, agent: str, tasks: int) -> None:
        """So many tasks are this worker's now."""
        self._tasks.labels(agent).set(tasks)

    def lag(self, agent: str, topic: str, records: int) -> None:
        """How many records of a topic the agent has still to read."""
        self._lag.labels(agent, topic).set(records)

    def paused(self, agent: str, sources: int) -> None:
        """The agent has so many of its sources paused now."""
        self._paused.labels(agent).set(sources)

    def ready(self, agent: str, ready: bool) -> None:
        """The agent became ready, or stopped being so."""
        self._ready.labels(agent).set(ready)


class ObserveMetrics:
    """What the observe agent tells: rows taken, refused, late, astray, and how far time is."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._now = now
        self._rows = Counter(
            "driftstream_rows_consumed_total",
            "Rows accepted: predictions, and features published apart, by topic.",
            ("topic",),
            registry=registry,
        )
        self._rejected = Counter(
            "driftstream_rows_rejected_total",
            "Rows or records sent to the dead letters, by reason code.",
            ("reason",),
            registry=registry,
        )
        self._late = Counter(
            "driftstream_late_rows_total",
            "Rows that came after their pane was passed; they count in an open one.",
            registry=registry,
        )
        self._astray = Counter(
            "driftstream_astray_rows_total",
            "Sampled rows on another partition than murmur2 of their key gives.",
            ("topic",),
            registry=registry,
        )
        self._watermark = Gauge(
            "driftstream_watermark_timestamp_seconds",
            "Event time up to which this worker's partitions of a topic are complete.",
            ("topic",),
            registry=registry,
        )
        self._age = Gauge(
            "driftstream_watermark_age_seconds",
            "How far that event time is behind the clock.",
            ("topic",),
            registry=registry,
        )
        for reason in Reason:
            self._rejected.labels(reason.value)

    def rows(self, topic: str, rows: int, late: int) -> None:
        """Rows were accepted, so many of them after their pane was passed."""
        self._rows.labels(topic).inc(rows)
        self._late.inc(late)

    def rejected(self, reason: Reason, rows: int) -> None:
        """Rows went to the dead letters."""
        self._rejected.labels(reason.value).inc(rows)

    def astray(self, topic: str, rows: int) -> None:
        """Rows of a sample were on another partition than their key says."""
        self._astray.labels(topic).inc(rows)

    def watermark(self, topic: str, watermark_ms: int) -> None:
        """The lowest watermark of this worker's partitions of a topic."""
        seconds = watermark_ms / 1000
        self._watermark.labels(topic).set(seconds)
        self._age.labels(topic).set_function(lambda: max(0.0, self._now() - seconds))


class DetectMetrics:
    """What the detect agent tells: windows, drift by model, incidents.

    At most `models` model@versions have series, and each at most `top` feature scores: those that
    are highest in its last window.
    """

    def __init__(self, registry: CollectorRegistry, models: int, top: int) -> None:
        self._limit = models
        self._top = top
        self._shown: dict[ModelKey, list[tuple[str, str]]] = {}
        self._windows = Counter(
            "driftstream_windows_closed_total",
            "Windows written, by whether they had rows enough to be scored.",
            ("scored",),
            registry=registry,
        )
        self._moved = Counter(
            "driftstream_moved_rows_total",
            "Rows that came for a pane already closed and were counted in a later one.",
            registry=registry,
        )
        self._share = Gauge(
            "driftstream_drift_share_ratio",
            "Share of a model's features that drifted in its last scored window.",
            ("model", "version"),
            registry=registry,
        )
        self._score = Gauge(
            "driftstream_feature_score",
            "A feature's drift score in the last scored window; the highest of each model.",
            ("model", "version", "feature", "score"),
            registry=registry,
        )
        self._open = Gauge(
            "driftstream_incidents_open",
            "Incidents open now, by severity.",
            ("severity",),
            registry=registry,
        )
        self._unshown = Counter(
            "driftstream_models_without_series_total",
            "Windows of models beyond the number that may have series (metrics_models).",
            registry=registry,
        )
        for scored in ("true", "false"):
            self._windows.labels(scored)
        for severity in Severity:
            self._open.labels(severity.value)

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """A window was written; its share of drifted features if it was scored."""
        self._windows.labels(str(scored).lower()).inc()
        if drift_share is not None and self._has_series(model):
            self._share.labels(*model).set(drift_share)

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """A scored window's scores by feature; the highest take the place of the last ones."""
        if not self._has_series(model):
            return
        highest = sorted(scores, key=lambda name: (-scores[name], name))[: self._top]
        for feature, old_score in self._shown[model]:
            if feature not in highest or old_score != score:
                self._score.remove(*model, feature, old_score)
        for feature in highest:
            self._score.labels(*model, feature, score).set(scores[feature])
        self._shown[model] = [(feature, score) for feature in highest]

    def incidents_open(self, severity: Severity, count: int) -> None:
        """So many incidents of a severity are open in this worker's tasks."""
        self._open.labels(severity.value).set(count)

    def moved(self, rows: int) -> None:
        """Rows came for a closed pane."""
        self._moved.inc(rows)

    def _has_series(self, model: ModelKey) -> bool:
        if model in self._shown:
            return True
        if len(self._shown) >= self._limit:
            self._unshown.inc()
            return False
        self._shown[model] = []
        return True
