"""What a soak sends: the SDK's loggers at a steady rate, labels 30 s behind, odd rows too."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from stream import schemas
from stream.adapters.monitors import default_monitor, encode_monitors
from stream.client import LabelLogger, PredictionLogger
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.pane.reference import LabelColumn, build_profile
from stream.core.records import ModelKey
from stream.core.rules import LabelRule

__all__ = ["Traffic", "publish"]

_PROFILED = (ModelKey("credit", "1"), ModelKey("fraud", "1"))
_WARMED, _CHANGING = "churn", "price"
_VERSION_SECONDS, _LABEL_SECONDS, _TURN_SECONDS = 300, 30.0, 0.1
_MINUTE_MS = 60_000
_STATES = ("CA", "NY", "TX", "WA", "OR")


def _features(rng: random.Random) -> dict[str, object]:
    return {
        "age": round(rng.gauss(40, 10), 1),
        "income": None if rng.random() < 0.02 else round(rng.expovariate(1 / 50_000), 2),
        "state": rng.choice(_STATES),
    }


def publish(servers: str, prefix: str) -> None:
    """Publishes the profiles of two models, and a monitor of a minute's windows for each."""
    producer = Producer({"bootstrap.servers": servers})
    rng = random.Random(1)
    rows = [_features(rng) for _ in range(5_000)]
    columns = {f"features.{name}": [row[name] for row in rows] for name in rows[0]}
    columns["score"] = [rng.random() for _ in rows]
    columns["prediction"] = [int(rng.random() < 0.5) for _ in rows]
    label = LabelColumn([int(rng.random() < 0.5) for _ in rows])
    for model in _PROFILED:
        profile = build_profile(model, columns, label=label)  # type: ignore[arg-type]  # scalars
        value = schemas.encode_json("reference_profile", profile_to_record(profile))
        producer.produce(prefix + "profiles", value, profile_key(profile))
    for name in (*(model.model for model in _PROFILED), _WARMED, _CHANGING):
        spec = replace(
            default_monitor(_MINUTE_MS),
            model=name,
            window_ms=_MINUTE_MS,
            hop_ms=_MINUTE_MS,
            warmup_rows=2_000,
            labels=LabelRule(horizon_ms=2 * _MINUTE_MS),
        )
        producer.produce(prefix + "monitors", encode_monitors((spec,)), name.encode())
    producer.flush()


class Traffic:
    """Sends from a thread while the block lasts. `sent` are predictions."""

    def __init__(self, servers: str, prefix: str, rate: int) -> None:
        self._where = {"bootstrap_servers": servers, "topic_prefix": prefix}
        self._rate = rate
        self._rng = random.Random(2)
        self._labels = LabelLogger(**self._where)  # type: ignore[arg-type]  # two texts
        self._loggers = {
            name: self._logger(name, "1", "arrow" if name == "fraud" else "json")
            for name in ("credit", "fraud", _WARMED, _CHANGING)
        }
        self._raw = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
        self._topic = prefix + "predictions"
        self._due: deque[tuple[float, str, int]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        for logger in (*self._loggers.values(), self._labels):
            logger.close()

    def _logger(self, model: str, version: str, form: str) -> PredictionLogger:
        return PredictionLogger(model=model, version=version, format=form, **self._where)  # type: ignore[arg-type]  # known words

    def _run(self) -> None:
        started, version = time.monotonic(), 1
        while not self._stop.is_set():
            now = time.monotonic() - started
            if now > version * _VERSION_SECONDS:
                version += 1
                self._loggers[_CHANGING].close()
                self._loggers[_CHANGING] = self._logger(_CHANGING, str(version), "json")
            while self.sent < now * self._rate:
                self._predict(now)
            while self._due and self._due[0][0] <= now:
                _, name, label = self._due.popleft()
                for _ in range(1 + (self._rng.random() < 0.05)):
                    self._labels.log(name, label)
            self._stop.wait(_TURN_SECONDS)

    def _predict(self, now: float) -> None:
        rng = self._rng
        self.sent += 1
        if rng.random() < 0.001:
            self._raw.produce(self._topic, b'{"prediction_id": 1, "nonsense": true}')
            self._raw.poll(0)
            return
        behind_ms = rng.choice((0, 0, 0, 3_000, 60_000)) if rng.random() < 0.05 else 0
        score = rng.random()
        name = rng.choice(tuple(self._loggers))
        made = self._loggers[name].log(
            features=_features(rng),
            prediction=int(score > 0.5),
            score=round(score, 3),
            event_time_ms=time.time_ns() // 1_000_000 - behind_ms,
            latency_ms=round(rng.expovariate(1 / 20), 2),
            status="ok",
        )
        self._due.append((now + _LABEL_SECONDS, made, int(rng.random() < score)))
