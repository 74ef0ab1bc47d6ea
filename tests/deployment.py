"""A whole deployment under a prefix of its own: topics, worker processes, and what they wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from stream import schemas
from stream.adapters.kafka.topics import ensure_topics
from stream.adapters.monitors import encode_monitors
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.pane.partial import decode_partial
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey
from stream.core.specs import MonitorSpec, Profile
from stream.settings import load_settings
from stream.topics import TOPICS
from stream.worker import topics_of
from tests.kafka_io import Read, Record, create_topic, produce_all, read_all

__all__ = ["MODEL", "PANE_MS", "Deployment", "reference", "row"]

MODEL = ModelKey("credit", "1")
PANE_MS = 1_000
_COMMAND = [sys.executable, "-c", "from stream.cli.entry import main; main()", "worker"]
_DEADLINE = 100.0
_STEP = 0.2


def reference(model: ModelKey = MODEL, *, features: int = 3) -> Profile:
    """A profile of normal features, a state and a prediction."""
    rng = np.random.default_rng(11)
    columns: dict[str, Any] = {
        f"features.x{i}": rng.normal(i, 1.0, 2_000).tolist() for i in range(features)
    }
    columns["features.state"] = rng.choice(["CA", "NY", "TX"], 2_000).tolist()
    columns["prediction"] = rng.integers(0, 2, 2_000).tolist()
    return build_profile(model, columns)


def row(number: int, event_time_ms: int, rng: np.random.Generator, **extra: object) -> Record:
    """A keyed prediction of MODEL; seeded values, so that its bytes are the same each time."""
    features: dict[str, object] = {f"x{i}": round(float(rng.normal(i, 1.0)), 4) for i in range(3)}
    features["state"] = ("CA", "NY", "TX", None)[number % 4]
    body: dict[str, object] = {
        "prediction_id": f"id-{number}",
        "model": MODEL.model,
        "version": MODEL.version,
        "event_time_ms": event_time_ms,
        "features": features,
        "prediction": number % 2,
    }
    body.update(extra)
    return Record(orjson.dumps(body), f"id-{number}".encode())


class Deployment:
    """Topics under a prefix, and workers (real processes) that run on them."""

    def __init__(self, bootstrap_servers: str, prefix: str, logs: Path, **settings: object) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.prefix = prefix
        self._logs = logs
        self._environ = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DRIFTSTREAM_TOPIC_PREFIX": prefix,
            "DRIFTSTREAM_PANE": f"{PANE_MS}ms",
            "DRIFTSTREAM_OUT_OF_ORDERNESS": "500ms",
            "DRIFTSTREAM_SESSION_TIMEOUT": "6s",
            "DRIFTSTREAM_TRANSACTION_TIMEOUT": "4s",
            "DRIFTSTREAM_HTTP_PORT": "0",
            "DRIFTSTREAM_REPLICATION": "1",
        }
        for name, value in settings.items():
            self._environ[f"DRIFTSTREAM_{name.upper()}"] = str(value)
        self.workers: list[subprocess.Popen[bytes]] = []

    def topic(self, logical: str) -> str:
        """A topic's name on the broker."""
        return self.prefix + logical

    def create_topics(self, *, partitions: int, timestamps_by_producer: bool = False) -> None:
        """Makes the topics; records keep their producer's timestamps if a test needs its own."""
        if timestamps_by_producer:
            for name in ("features", "predictions", "labels"):
                config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
                create_topic(self.bootstrap_servers, self.topic(name), partitions, config=config)
        settings = load_settings({}, environ=self._environ)
        conf = {"bootstrap.servers": self.bootstrap_servers}
        ensure_topics(
            conf,
            self.prefix,
            source_partitions=partitions,
            replication=1,
            topics=topics_of(settings) if self.workers else TOPICS,
        )

    def publish(self, profile: Profile) -> None:
        """Puts a profile on its topic."""
        value = schemas.encode_json("reference_profile", profile_to_record(profile))
        self.produce("profiles", [Record(value, profile_key(profile))])

    def monitor(self, **fields: object) -> None:
        """Puts a monitor of MODEL on its topic, in force from the beginning."""
        spec = MonitorSpec(model=MODEL.model, **fields)  # type: ignore[arg-type]  # a test's own
        self.produce("monitors", [Record(encode_monitors((spec,)), MODEL.model.encode())])

    def produce(self, logical: str, records: Sequence[Record]) -> None:
        """Produces to a topic and waits for the acknowledgements."""
        produce_all(self.bootstrap_servers, self.topic(logical), records)

    def start(self, **environ: str) -> subprocess.Popen[bytes]:
        """Starts a worker."""
        log = (self._logs / f"{self.prefix}{len(self.workers)}.log").open("wb")
        with log:
            worker = subprocess.Popen(
                _COMMAND, env={**os.environ, **self._environ, **environ}, stderr=log, stdout=log
            )
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        """Ends all workers; each must leave by itself with status 0."""
        running = [worker for worker in self.workers if worker.poll() is None]
        for worker in running:
            worker.send_signal(signal.SIGTERM)
        for worker in running:
            assert worker.wait(30) == 0, self.log()

    def kill(self) -> None:
        """Kills what still runs, as a test's last resort."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait(10)

    def log(self) -> str:
        """The ends of all workers' logs."""
        files = sorted(self._logs.glob(f"{self.prefix}*.log"))
        return "\n".join(f"{file.name}:\n{file.read_text()[-3_000:]}" for file in files)

    def read(self, logical: str) -> list[Read]:
        """All committed records of a topic."""
        return read_all(self.bootstrap_servers, self.topic(logical))

    def windows(self) -> list[dict[str, Any]]:
        """All windows, in order of their ends."""
        found = [orjson.loads(read.value or b"") for read in self.read("windows")]
        return sorted(found, key=lambda window: (window["end_ms"], window["model"]))

    def window_bytes(self) -> list[bytes]:
        """The windows as they stand on the topic, sorted."""
        return sorted(read.value or b"" for read in self.read("windows"))

    def counted(self) -> Counter[str]:
        """Sums over all committed partials: rows, feature rows, and each count slot's total."""
        total: Counter[str] = Counter()
        schema = schemas.schema("pane_partial")
        for read in self.read("partials"):
            for group in decode_partial(read.value or b"", schema).groups:
                total["rows"] += group.rows
                total["feature_rows"] += group.feature_rows
                total["late_rows"] += group.late_rows
                if group.raw is None:
                    places = np.flatnonzero(group.count_vector()).tolist()
                    total.update({f"slot {i}": int(group.count_vector()[i]) for i in places})
        return total

    def wait(self, what: str, done: Callable[[], bool], seconds: float = _DEADLINE) -> None:
        """Waits for a condition over what the workers wrote; fails with their logs."""
        deadline = time.monotonic() + seconds
        while not done():
            dead = [w.returncode for w in self.workers if w.poll() not in {None, 0, -9}]
            assert not dead, f"a worker ended with {dead} before {what}\n{self.log()}"
            assert time.monotonic() < deadline, f"no {what} after {seconds} s\n{self.log()}"
            self._let_work()

    def _let_work(self) -> None:
        """Waits a little for a worker to end; it won't, and meanwhile has the machine."""
        running = [worker for worker in self.workers if worker.poll() is None]
        with suppress(subprocess.TimeoutExpired):
            for worker in running[-1:]:
                worker.wait(_STEP)

    def wait_for_rows(self, rows: int) -> None:
        """Waits until the windows hold so many rows."""
        self.wait(f"{rows} rows", lambda: sum(w["rows"] for w in self.windows()) >= rows)
