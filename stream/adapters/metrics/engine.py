"""Metrics of the engine: records, transactions, restores, lag, readiness."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stream.adapters.metrics.declared import Declared

__all__ = ["EngineMetrics"]

_seconds = partial(
    Histogram, buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
)

_RECORDS = Declared(
    Counter,
    "driftstream_records_consumed_total",
    "Kafka records consumed, by agent and topic.",
    ("agent", "topic"),
)
_COMMIT = Declared(
    _seconds,
    "driftstream_commit_seconds",
    "Time that a Kafka transaction took to commit.",
    ("agent",),
)
_INTERVAL = Declared(
    Gauge,
    "driftstream_commit_interval_seconds",
    "Time from one commit to the next now: commit_interval, or more where commits take long.",
    ("agent",),
)
_RESTORE = Declared(
    _seconds,
    "driftstream_restore_seconds",
    "Time that assigned tasks took to restore their state.",
    ("agent",),
)
_ABORTED = Declared(
    Counter,
    "driftstream_transactions_aborted_total",
    "Kafka transactions given up; their records are read again.",
    ("agent", "reason"),
)
_LAG = Declared(
    Gauge,
    "driftstream_lag_records",
    "Records that an agent has still to read, over its partitions of a topic.",
    ("agent", "topic"),
)
_READY = Declared(
    Gauge,
    "driftstream_agent_ready",
    "1 while an agent has its state restored and reads all its partitions.",
    ("agent",),
)
_TASKS = Declared(
    Gauge,
    "driftstream_tasks_assigned",
    "Tasks (source partitions) that this worker has.",
    ("agent",),
)
_PAUSED = Declared(
    Gauge,
    "driftstream_sources_paused",
    "Partitions that an agent does not read now: invalid, or too far ahead of their partner.",
    ("agent",),
)


class EngineMetrics:
    """What the engine tells: records, transactions, restores, lag, readiness."""

    def __init__(self, registry: CollectorRegistry, agents: tuple[str, ...]) -> None:
        self._is_ready: dict[str, bool] = {}
        self._records = _RECORDS.on(registry)
        self._commit = _COMMIT.on(registry)
        self._interval = _INTERVAL.on(registry)
        self._restore = _RESTORE.on(registry)
        self._aborted = _ABORTED.on(registry)
        self._lag = _LAG.on(registry)
        self._ready = _READY.on(registry)
        self._tasks = _TASKS.on(registry)
        self._paused = _PAUSED.on(registry)
        for agent in agents:
            for metric in (self._commit, self._restore, self._ready, self._tasks, self._paused):
                metric.labels(agent)

    def consumed(self, agent: str, topic: str, records: int) -> None:
        """Records were taken from a topic."""
        self._records.labels(agent, topic).inc(records)

    def committed(self, agent: str, seconds: float) -> None:
        """A transaction was committed."""
        self._commit.labels(agent).observe(seconds)

    def paced(self, agent: str, seconds: float) -> None:
        """The next commit is due after so long."""
        self._interval.labels(agent).set(seconds)

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
        self._is_ready[agent] = ready

    def is_ready(self, agent: str) -> bool:
        """What the agent last said of itself; False before it said anything."""
        return self._is_ready.get(agent, False)
