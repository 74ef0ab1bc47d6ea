"""Detect on a real Kafka: killed in the midst of windows and a warm-up, it says the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Kafka
from tests.deployment import PANE_MS, Deployment, row
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(240)

ROWS = 24_000
STEP_MS = 5
TOPICS = ("windows", "alerts", "profiles")


@pytest.fixture
def deployments(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[list[Deployment]]:
    found = [
        Deployment(
            kafka.bootstrap_servers,
            f"{unique}{name}-",
            tmp_path,
            sources="predictions",
            idle_after="12s",
            slice_records=20,
            commit_interval="200ms",
        )
        for name in ("straight", "killed")
    ]
    yield found
    for deployment in found:
        deployment.kill()


def _rows(start_ms: int) -> list[Record]:
    """Two minutes of rows; the features move after three quarters."""
    rng = np.random.default_rng(8)
    records = []
    for number in range(ROWS):
        time_ms = start_ms + STEP_MS * number
        moved = {"x0": 9.0, "x1": 9.0, "state": "TX"} if number > ROWS * 3 // 4 else None
        extra = {"features": moved} if moved else {}
        plain = row(number, time_ms, rng, **extra)
        records.append(Record(plain.value, plain.key, timestamp_ms=time_ms))
    return records


def _said(deployment: Deployment, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    return sorted((r.key or b"", r.value or b"") for r in deployment.read(topic))


def test_killed_workers_write_the_same_windows_alerts_and_profile(
    deployments: list[Deployment],
) -> None:
    start_ms = (int(time.time() * 1000) - 3_600_000) // (10 * PANE_MS) * 10 * PANE_MS
    records = _rows(start_ms)
    straight, killed = deployments
    for deployment in deployments:
        deployment.create_topics(partitions=3, timestamps_by_producer=True)
        deployment.monitor(
            window_ms=10 * PANE_MS, hop_ms=5 * PANE_MS, min_rows=200, warmup_rows=3_000
        )
        deployment.produce("predictions", records)
    straight.start()
    for kill in range(4):
        worker = killed.start(DRIFTSTREAM_INSTANCE_ID="one")
        if kill < 3:
            before = killed.counted()["rows"]
            killed.wait("progress", lambda b=before: killed.counted()["rows"] > b)  # type: ignore[misc]  # a loop's value
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
    last_ms = start_ms + STEP_MS * ROWS
    for deployment in deployments:
        deployment.wait("the last window", lambda d=deployment: _closed(d, last_ms))  # type: ignore[misc]  # a loop's value
        deployment.stop()
    for topic in TOPICS:
        assert _said(killed, topic) == _said(straight, topic)
        assert _said(killed, topic)
    windows = killed.windows()
    tumbling = [window for window in windows if window["start_ms"] % (10 * PANE_MS) == 0]
    assert sum(window["rows"] for window in tumbling) == ROWS
    assert windows[0]["reason"] == "warmup"
    assert windows[-3]["dirty"]


def _closed(deployment: Deployment, last_ms: int) -> bool:
    windows = deployment.windows()
    return bool(windows) and windows[-1]["end_ms"] >= last_ms
