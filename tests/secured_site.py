"""A deployment on a Kafka that asks who comes: its users, their settings, its topics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

import numpy as np
import orjson

from stream.adapters.kafka.topics import ensure_topics
from stream.client import PredictionLogger
from stream.client.options import Format
from stream.settings import Settings, load_settings
from stream.worker import topics_of
from tests.deployment import MODEL, PANE_MS
from tests.kafka_io import read_all
from tests.secured_kafka import Right, SecuredKafka, documented_rights

__all__ = ["CONNECTING", "PASSWORD", "WINDOW_MS", "Site", "until"]

PASSWORD = "correct-horse"
WINDOW_MS = 10 * PANE_MS
# Commands by the word they begin with, as they are when Kafka refuses them.
CONNECTING = {
    "demo": ["demo"],
    "profile": ["profile", "show"],
    "apply": ["apply", "-f", "monitors.yaml"],
    "monitors": ["monitors"],
    "topics": ["topics", "list"],
    "produce": ["produce", "rows.csv", "--model", "m"],
    "alerts": ["alerts", "tail"],
    "windows": ["windows", "tail"],
    "digest": ["digest"],
    "dead-letters": ["dead-letters", "list"],
    "state": ["state", "reset", "observe", "--yes"],
    "worker": ["worker", "--http-port", "0"],
}

_QUICK = {
    "pane": "1s",
    "out_of_orderness": "200ms",
    "idle_after": "1s",
    "commit_interval": "100ms",
    "sources": "predictions",
    "http_port": "0",
}
_HOUR_MS = 3_600_000
_ROWS = 3_600


class Site:
    """Topics under a prefix of their own, made by the broker's owner."""

    def __init__(self, kafka: SecuredKafka, prefix: str) -> None:
        self.kafka = kafka
        self.prefix = prefix

    def create_topics(self) -> None:
        """Makes all topics, changelogs too."""
        inside = {"bootstrap.servers": self.kafka.inside}
        topics = topics_of(load_settings({}, environ={"DRIFTSTREAM_SOURCES": "predictions"}))
        ensure_topics(inside, self.prefix, source_partitions=2, replication=1, topics=topics)

    def user(self, role: str, without: Collection[Right] = ()) -> str:
        """A new user with the rights that the documentation gives a role; its name."""
        name = f"{self.prefix}{role.lower()}"
        self.kafka.add_user(name, PASSWORD)
        self.kafka.grant(name, set(self.rights(role)) - set(without))
        return name

    def rights(self, role: str) -> list[Right]:
        """A role's documented rights, on this deployment's names."""
        return documented_rights(role, self.prefix)

    def properties(self, user: str, **changed: str) -> dict[str, str]:
        """Librdkafka's properties of a user; `changed` ones have _ for . in their names."""
        return self.kafka.login(user, PASSWORD) | {
            name.replace("_", "."): value for name, value in changed.items()
        }

    def environ(self, user: str, **changed: str) -> dict[str, str]:
        """The same as variables of the environment, and where the deployment is."""
        given = self.properties(user, **changed).items()
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "DRIFTSTREAM_TOPIC_PREFIX": self.prefix,
        } | {f"DRIFTSTREAM_KAFKA_{name.upper().replace('.', '_')}": value for name, value in given}

    def settings(self, user: str, **changed: str) -> Settings:
        """A quick worker's settings."""
        quick = {f"DRIFTSTREAM_{name.upper()}": value for name, value in _QUICK.items()}
        return load_settings({}, environ=quick | self.environ(user, **changed))

    def logger(self, user: str, **changed: str) -> PredictionLogger:
        """The SDK's logger as that user."""
        return PredictionLogger(
            model="m",
            bootstrap_servers=self.kafka.bootstrap_servers,
            topic_prefix=self.prefix,
            kafka=self.properties(user, **changed),
        )

    def log_an_hour(self, logger: PredictionLogger) -> int:
        """Logs a row for each second of a whole hour of the past; returns how many."""
        start = time.time_ns() // 1_000_000 // _HOUR_MS * _HOUR_MS - 2 * _HOUR_MS
        times = [start + second * 1_000 for second in range(_ROWS)]
        logger.log_columns(features={"x": list(range(_ROWS))}, event_time_ms=times)
        assert logger.flush(20), logger.counters
        return _ROWS

    def send_drifted_rows(self, user: str) -> None:
        """Two windows' rows of MODEL, none like the reference; in JSON, and again in Arrow."""
        start_ms = (int(time.time() * 1000) - 600_000) // WINDOW_MS * WINDOW_MS
        rng = np.random.default_rng(5)
        forms: tuple[Format, ...] = ("json", "arrow")
        for form in forms:
            with PredictionLogger(
                model=MODEL.model,
                version=MODEL.version,
                bootstrap_servers=self.kafka.bootstrap_servers,
                topic_prefix=self.prefix,
                format=form,
                kafka=self.properties(user),
            ) as logger:
                logger.log_columns(
                    features={f"x{i}": rng.normal(i + 3, 1.0, 1_000) for i in range(3)},
                    prediction=[0] * 1_000,
                    event_time_ms=[start_ms + 20 * i for i in range(1_000)],
                )
                assert logger.flush(20), logger.counters

    def rows(self) -> int:
        """The rows of all windows so far."""
        read = read_all(self.kafka.inside, f"{self.prefix}windows")
        return sum(orjson.loads(each.value or b"")["rows"] for each in read)


def until(condition: Callable[[], object], seconds: float = 80.0) -> bool:
    """True as soon as the condition holds, False at the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()  # never set: the worker's threads get their turn
    while not condition():
        pause.wait(0.02)
        if time.monotonic() > deadline:
            return False
    return True
