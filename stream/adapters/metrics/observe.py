"""Metrics of the observe agent: rows taken, refused, late, astray, and how far time is."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.adapters.metrics.declared import Declared
from stream.core.errors import Reason
from stream.core.outcomes import JoinEvent

__all__ = ["ObserveMetrics"]

_ROWS = Declared(
    Counter,
    "driftstream_rows_consumed_total",
    "Rows accepted: predictions, and features published apart, by topic.",
    ("topic",),
)
_REJECTED = Declared(
    Counter,
    "driftstream_rows_rejected_total",
    "Rows or records sent to the dead letters, by reason code.",
    ("reason",),
)
_LATE = Declared(
    Counter,
    "driftstream_late_rows_total",
    "Rows that came after their pane was passed; they count in an open one.",
)
_ASTRAY = Declared(
    Counter,
    "driftstream_astray_rows_total",
    "Sampled rows on another partition than murmur2 of their key gives.",
    ("topic",),
)
_WATERMARK = Declared(
    Gauge,
    "driftstream_watermark_timestamp_seconds",
    "Event time up to which this worker's partitions of a topic are complete.",
    ("topic",),
)
_AGE = Declared(
    Gauge,
    "driftstream_watermark_age_seconds",
    "How far that event time is behind the clock.",
    ("topic",),
)
_INVALID = Declared(
    Gauge,
    "driftstream_sources_invalid",
    "Partitions held back because too much in them is invalid: the worker isn't ready.",
)
_JOINED = Declared(
    Counter,
    "driftstream_join_events_total",
    "What became of predictions and labels in the join, by event.",
    ("event",),
)
_PENDING = Declared(
    Gauge,
    "driftstream_pending_predictions",
    "Predictions kept for their labels and later duplicates, by partition.",
    ("partition",),
)
_WAITING = Declared(
    Gauge,
    "driftstream_waiting_labels",
    "Labels kept for predictions that may still come, by partition.",
    ("partition",),
)


class ObserveMetrics:
    """What the observe agent tells: rows taken, refused, late, astray, and how far time is."""

    def __init__(
        self, registry: CollectorRegistry, refused: Counter, now: Callable[[], float]
    ) -> None:
        self._refused = refused
        self._now = now
        self._rows = _ROWS.on(registry)
        self._rejected = _REJECTED.on(registry)
        self._late = _LATE.on(registry)
        self._astray = _ASTRAY.on(registry)
        self._watermark = _WATERMARK.on(registry)
        self._age = _AGE.on(registry)
        self._invalid = _INVALID.on(registry)
        self._joined = _JOINED.on(registry)
        self._pending = _PENDING.on(registry)
        self._waiting = _WAITING.on(registry)
        for reason in Reason:
            self._rejected.labels(reason.value)
        for event in JoinEvent:
            self._joined.labels(event.value)

    def rows(self, topic: str, count: int) -> None:
        """Rows of a topic were accepted."""
        self._rows.labels(topic).inc(count)

    def rejected(self, reason: str, count: int) -> None:
        """Rows went to the dead letters."""
        self._rejected.labels(reason).inc(count)

    def late(self, count: int) -> None:
        """Rows counted in a later pane than their event time's."""
        self._late.inc(count)

    def astray(self, topic: str, count: int) -> None:
        """Rows of a sample were on another partition than their key says."""
        self._astray.labels(topic).inc(count)

    def joined(self, event: str, count: int) -> None:
        """Predictions or labels met the event of that name in the join."""
        self._joined.labels(event).inc(count)

    def pending(self, task: int, predictions: int, labels: int) -> None:
        """So many predictions and labels of a partition are kept; none where it was given up."""
        self._pending.labels(str(task)).set(predictions)
        self._waiting.labels(str(task)).set(labels)

    def invalid(self, sources: int) -> None:
        """So many sources are held back because too much in them is invalid."""
        self._invalid.set(sources)

    def refused_profile(self) -> None:
        """A profile on the topic was nonsense, or contradicted an earlier one."""
        self._refused.labels("observe", "profiles").inc()

    def watermark(self, topic: str, watermark_ms: int) -> None:
        """The lowest watermark of this worker's partitions of a topic."""
        seconds = watermark_ms / 1000
        self._watermark.labels(topic).set(seconds)
        self._age.labels(topic).set_function(lambda: max(0.0, self._now() - seconds))
