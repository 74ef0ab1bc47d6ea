"""What an engine is told once: where Kafka is, how often to commit, how much to take at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stream.core.errors import ConfigError
from stream.delivery import ENGINE_OWNED

__all__ = ["EngineSettings"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One engine's settings, checked whole when made (ConfigError).

    `kafka` holds librdkafka properties that every client gets; those the protocol rests on
    (isolation level, offsets, transactions) are the engine's own and refused here.
    `start_from` says where a source is read from that the group has never committed.
    `kept_tasks_ms` is how long the state of a task that another worker took is kept in memory.
    `max_failures` is how many times in a row an agent may raise before the process ends.
    `embedded` says that the broker is librdkafka's mock cluster: topics appear by themselves.
    """

    bootstrap_servers: str
    prefix: str = "driftstream."
    commit_interval_ms: int = 1_000
    slice_records: int = 2_000
    slice_bytes: int = 4 * 1024 * 1024
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 10_000
    instance_id: str = ""
    start_from: Literal["earliest", "latest"] = "earliest"
    kept_tasks_ms: int = 5 * 60_000
    max_backoff_ms: int = 30_000
    max_failures: int = 5
    embedded: bool = False
    tune_gc: bool = True
    kafka: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuses settings that contradict each other or the protocol."""
        if not self.bootstrap_servers:
            raise ConfigError(
                "no Kafka brokers are named: set KAFKA_BOOTSTRAP_SERVERS or bootstrap_servers"
            )
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.commit_interval_ms * 2 > self.transaction_timeout_ms:
            raise ConfigError(
                f"commit_interval_ms ({self.commit_interval_ms}) may be at most half of "
                f"transaction_timeout_ms ({self.transaction_timeout_ms})"
            )
        for name in sorted(ENGINE_OWNED.intersection(self.kafka)):
            raise ConfigError(
                f"the Kafka property {name} is set by the engine itself, because exactly-once "
                "processing rests on it: remove it from the kafka settings"
            )

    def topic(self, logical: str) -> str:
        """A topic's name on the broker."""
        return self.prefix + logical

    def group(self, agent: str) -> str:
        """An agent's consumer group."""
        return self.prefix + agent

    def changelog(self, agent: str) -> str:
        """The name on the broker of an agent's changelog."""
        return f"{self.prefix}{agent}-changelog"


_POSITIVE = (
    "commit_interval_ms",
    "slice_records",
    "slice_bytes",
    "transaction_timeout_ms",
    "session_timeout_ms",
    "kept_tasks_ms",
    "max_backoff_ms",
    "max_failures",
)
