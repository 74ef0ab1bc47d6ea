"""A day of predictions and labels to catch up with: what waits for a partner stays small."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream.core.pane.reference import build_profile
from stream.core.records import Int64s
from stream.core.rules import LabelRule
from tests.conftest import Kafka
from tests.deployment import MODEL, Deployment
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(200)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
ROWS = 20_000
LENGTH_MS = 24 * HOUR_MS
DELAY_MS = 2 * MINUTE_MS
MOST = 3_000  # rows that may wait; what is past is forgotten by the hour, and an hour has 833

rng = np.random.default_rng(29)
RIGHT = rng.random(ROWS) < 0.8
PREDICTED = rng.integers(0, 2, ROWS)


@pytest.fixture
def start_ms() -> int:
    """The first hour of the day that is caught up with."""
    return (int(time.time() * 1000) // HOUR_MS - 30) * HOUR_MS


def _deployment(kafka: Kafka, prefix: str, logs: Path, max_lead: str) -> Deployment:
    return Deployment(
        kafka.bootstrap_servers,
        prefix,
        logs,
        sources="predictions,labels",
        pane="60s",
        idle_after="3s",
        label_patience="3s",
        early_label_horizon="1m",
        commit_interval="50ms",
        slice_records=200,
        max_pending=MOST,
        max_waiting=MOST,
        max_lead=max_lead,
    )


def _made_ms(start_ms: int) -> list[int]:
    return (start_ms + np.arange(ROWS) * LENGTH_MS // ROWS).tolist()


def _records(start_ms: int) -> Iterator[tuple[Record, Record]]:
    """Each prediction and its label."""
    outcomes = zip(_made_ms(start_ms), PREDICTED.tolist(), RIGHT.tolist(), strict=True)
    for number, (made_ms, predicted, right) in enumerate(outcomes):
        name = f"id-{number}"
        row = {
            "prediction_id": name,
            "model": MODEL.model,
            "version": MODEL.version,
            "event_time_ms": made_ms,
            "features": {"x": float(number % 7)},
            "prediction": predicted,
        }
        label = {
            "prediction_id": name,
            "label": predicted if right else 1 - predicted,
            "event_time_ms": made_ms + DELAY_MS,
        }
        key = name.encode()
        yield Record(orjson.dumps(row), key), Record(orjson.dumps(label), key)


def _begun(deployment: Deployment, start_ms: int) -> None:
    """A worker that finds the whole day on the topics."""
    deployment.create_topics(partitions=1)
    columns: dict[str, Any] = {"features.x": [float(i % 7) for i in range(700)]}
    columns["prediction"] = [0, 1] * 350
    deployment.publish(build_profile(MODEL, columns))
    rule = LabelRule(kind="binary", horizon_ms=5 * MINUTE_MS)
    deployment.monitor(window_ms=HOUR_MS, hop_ms=HOUR_MS, min_rows=10, labels=rule)
    predictions, labels = zip(*_records(start_ms), strict=True)
    deployment.produce("predictions", predictions)
    deployment.produce("labels", labels)
    deployment.start()


def _events(deployment: Deployment) -> dict[str, int]:
    """What the worker's metrics say of rows accepted, and of what became of them in the join."""
    found = re.search(r"readyz at http://(\S+)", deployment.log())
    if found is None:
        return {}
    connection = HTTPConnection(found[1], timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    names = "rows_consumed_total{topic|join_events_total{event"
    told = re.findall(rf'^driftstream_(?:{names})="(\w+)"}} (\S+)$', text, re.MULTILINE)
    return {name: int(float(value)) for name, value in told}


def _read_to_the_end(deployment: Deployment) -> Counter[str]:
    """What became of predictions and labels when all were read."""

    def done() -> bool:
        events = _events(deployment)
        return events.get("predictions") == events.get("labels") == ROWS

    deployment.wait("end of the backlog", done)
    return Counter(_events(deployment))


def test_a_backlog_of_hours_waits_within_its_bounds_and_every_window_is_right(
    kafka: Kafka, unique: str, tmp_path: Path, start_ms: int
) -> None:
    deployment = _deployment(kafka, unique, tmp_path, max_lead="10m")
    try:
        _begun(deployment, start_ms)
        events = _read_to_the_end(deployment)
        assert +events == {"predictions": ROWS, "labels": ROWS, "joined": ROWS}
        last_ms = (start_ms + LENGTH_MS + DELAY_MS - 1) // HOUR_MS * HOUR_MS
        deployment.wait(
            "the last outcomes",
            lambda: (
                ("performance", last_ms)
                in {(window["kind"], window["start_ms"]) for window in deployment.windows()}
            ),
        )
        deployment.stop()
        _assert_right(deployment.windows(), np.array(_made_ms(start_ms)))
    finally:
        deployment.kill()


def _assert_right(windows: list[dict[str, Any]], made_ms: Int64s) -> None:
    data = {w["start_ms"] // HOUR_MS: w for w in windows if w["kind"] == "data"}
    performance = {w["start_ms"] // HOUR_MS: w for w in windows if w["kind"] == "performance"}
    assert len(data) + len(performance) == len(windows)
    made = Counter((made_ms // HOUR_MS).tolist())
    assert {hour: window["rows"] for hour, window in data.items()} == made
    assert all(window["unkept_rows"] == 0 for window in data.values())
    known = (made_ms + DELAY_MS) // HOUR_MS
    assert {hour: w["rows"] for hour, w in performance.items()} == Counter(known.tolist())
    for hour, window in performance.items():
        right = float(RIGHT[known == hour].mean())
        assert window["metrics"]["accuracy"]["value"] == pytest.approx(right, abs=1e-8)


def test_without_the_hold_the_same_backlog_does_not_fit(
    kafka: Kafka, unique: str, tmp_path: Path, start_ms: int
) -> None:
    deployment = _deployment(kafka, unique, tmp_path, max_lead="30d")
    try:
        _begun(deployment, start_ms)
        events = _read_to_the_end(deployment)
    finally:
        deployment.kill()
    assert events["unkept"] + events["refused"] > 0
