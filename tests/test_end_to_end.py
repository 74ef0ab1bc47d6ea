"""Workers as they run in production, on a real Kafka: counts are exact, windows deterministic."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pytest

from stream import schemas
from stream.core.pane.raw import bin_raw
from stream.core.records import CARRIES_COLUMN
from tests.conftest import Kafka
from tests.deployment import PANE_MS, Deployment, reference, row
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(300)

Deploy = Callable[..., Deployment]
HOUR_MS = 3_600_000


@pytest.fixture
def deploy(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[Deploy]:
    made: list[Deployment] = []

    def build(name: str = "", **settings: object) -> Deployment:
        prefix = f"{unique}{name}"
        made.append(Deployment(kafka.bootstrap_servers, prefix, tmp_path, **settings))
        return made[-1]

    yield build
    for deployment in made:
        deployment.kill()


def _expected(records: list[Record]) -> Counter[str]:
    """What the partials of these predictions must add up to, counted row by row."""
    bodies = [orjson.loads(record.value or b"") for record in records]
    columns = {f"features.x{i}": [b["features"][f"x{i}"] for b in bodies] for i in range(3)}
    columns["features.state"] = [b["features"]["state"] for b in bodies]
    columns["prediction"] = [b["prediction"] for b in bodies]
    columns[CARRIES_COLUMN] = [3] * len(bodies)
    counts = bin_raw(columns, reference()).counts
    total = Counter({f"slot {i}": int(counts[i]) for i in np.flatnonzero(counts).tolist()})
    total["rows"] = total["feature_rows"] = len(records)
    return total


def test_five_kills_lose_nothing_and_count_nothing_twice(deploy: Deploy) -> None:
    deployment = deploy(sources="predictions", slice_records=200, commit_interval="300ms")
    deployment.create_topics(partitions=4)
    deployment.publish(reference())
    rng = np.random.default_rng(1)
    start_ms = int(time.time() * 1000) - HOUR_MS
    sent: list[Record] = []
    for kill in range(6):
        records = [row(i, start_ms + 3 * i, rng) for i in range(len(sent), len(sent) + 8_000)]
        sent += records
        deployment.produce("predictions", records)
        worker = deployment.start(DRIFTSTREAM_INSTANCE_ID="one")
        if kill < 5:
            before = deployment.counted()["rows"]
            deployment.wait("progress", lambda b=before: deployment.counted()["rows"] > b)  # type: ignore[misc]
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
    deployment.wait("all rows", lambda: deployment.counted()["rows"] >= len(sent))
    deployment.stop()
    counted = deployment.counted()
    del counted["late_rows"]
    assert counted == _expected(sent)


def _two_topics(start_ms: int) -> tuple[list[Record], list[Record]]:
    """Predictions, and features published apart, with their own timestamps; some out of order."""
    rng = np.random.default_rng(5)
    predictions, features = [], []
    for number in range(6_000):
        arrived = start_ms + 10 * number
        late = int(rng.integers(0, 3_000)) if number % 50 == 0 else int(rng.integers(0, 400))
        record = row(number, arrived - late, rng)
        predictions.append(Record(record.value, record.key, timestamp_ms=arrived))
        if number % 2:
            apart = row(number, arrived - late, rng)
            features.append(Record(apart.value, apart.key, timestamp_ms=arrived))
    return predictions, features


class _Plan(NamedTuple):
    """How a deployment reads the same records: `first` names a topic that is read far ahead."""

    name: str
    slice_records: int = 500
    workers: int = 1
    first: str = ""


_PLANS = (
    _Plan("one", slice_records=1),
    _Plan("slices"),
    _Plan("large", slice_records=5_000),
    _Plan("three", workers=3),
    _Plan("ahead", first="predictions"),
    _Plan("behind", first="features"),
)


def test_windows_are_the_same_bytes_whatever_the_slices_workers_and_interleaving(
    deploy: Deploy,
) -> None:
    start_ms = (int(time.time() * 1000) - 2 * HOUR_MS) // 10_000 * 10_000
    predictions, features = _two_topics(start_ms)
    topics = {"predictions": predictions, "features": features}
    running: dict[_Plan, Deployment] = {}
    for plan in _PLANS:
        # The other topic must come before it is taken for silent, on a busy machine too.
        idle = "40s" if plan.first else "25s"
        deployment = deploy(f"{plan.name}-", slice_records=plan.slice_records, idle_after=idle)
        deployment.create_topics(partitions=3, timestamps_by_producer=True)
        deployment.publish(reference())
        deployment.monitor(window_ms=10 * PANE_MS, hop_ms=5 * PANE_MS, min_rows=200)
        for topic in (plan.first,) if plan.first else topics:
            deployment.produce(topic, topics[topic])
        for _ in range(plan.workers):
            deployment.start()
        if plan.first:
            _wait_until_read(deployment, plan.first, len(topics[plan.first]))
            other = "features" if plan.first == "predictions" else "predictions"
            deployment.produce(other, topics[other])
        running[plan] = deployment
    found: dict[str, list[bytes]] = {}
    for plan, deployment in running.items():
        last_ms = start_ms + 10 * len(predictions)
        deployment.wait("the last window", lambda d=deployment, t=last_ms: _closed(d, t))  # type: ignore[misc]
        deployment.stop()
        found[plan.name] = deployment.window_bytes()
        windows = deployment.windows()
        assert not any(window["moves"] for window in windows)
        tumbling = [w for w in windows if w["start_ms"] % (10 * PANE_MS) == 0]
        assert sum(w["rows"] for w in tumbling) == len(predictions)
        assert sum(w["feature_rows"] for w in tumbling) == len(predictions) + len(features)
    for name, written in found.items():
        assert written == found["one"], name


def _wait_until_read(deployment: Deployment, topic: str, rows: int) -> None:
    kind = "rows" if topic == "predictions" else "feature_rows"
    deployment.wait(f"{topic} read", lambda: deployment.counted()[kind] >= rows)


def _closed(deployment: Deployment, last_ms: int) -> bool:
    windows = deployment.windows()
    return bool(windows) and windows[-1]["end_ms"] >= last_ms


def test_a_burst_in_random_order_after_an_hour_of_silence_loses_no_row(deploy: Deploy) -> None:
    deployment = deploy(sources="predictions", idle_after="2s")
    deployment.create_topics(partitions=3, timestamps_by_producer=True)
    deployment.publish(reference())
    deployment.monitor(window_ms=60 * PANE_MS, hop_ms=60 * PANE_MS, min_rows=100)
    rng = np.random.default_rng(9)
    now_ms = int(time.time() * 1000)
    before = [row(i, now_ms - 2 * HOUR_MS + i, rng) for i in range(500)]
    stamped = [Record(r.value, r.key, timestamp_ms=now_ms - 2 * HOUR_MS + 500) for r in before]
    deployment.produce("predictions", stamped)
    deployment.start()
    deployment.wait_for_rows(500)
    order = rng.permutation(5_000)
    burst = [row(500 + int(i), now_ms - HOUR_MS + 600 * int(i), rng) for i in order]
    deployment.produce("predictions", burst)
    deployment.wait_for_rows(5_500)
    deployment.stop()
    windows = deployment.windows()
    assert sum(window["rows"] for window in windows) == 5_500
    assert sum(window["late_rows"] for window in windows) > 1_000


def test_malformed_records_go_to_the_dead_letters_and_all_good_ones_count(deploy: Deploy) -> None:
    deployment = deploy(sources="predictions", idle_after="2s")
    deployment.create_topics(partitions=3)
    deployment.publish(reference())
    deployment.monitor(window_ms=60 * PANE_MS, hop_ms=60 * PANE_MS, min_rows=100)
    rng = np.random.default_rng(3)
    start_ms = int(time.time() * 1000) - HOUR_MS
    good = [row(i, start_ms + 2 * i, rng) for i in range(20_000)]
    bad = [_BAD[i % len(_BAD)](f"bad-{i}", start_ms) for i in range(2_000)]
    mixed: list[Record] = [*good, *(record for record, _ in bad)]
    shuffled = [mixed[i] for i in rng.permutation(len(mixed))]
    deployment.produce("predictions", shuffled)
    worker = deployment.start()
    deployment.wait_for_rows(20_000)
    assert worker.poll() is None
    deployment.stop()
    counted = deployment.counted()
    del counted["late_rows"]
    assert counted == _expected(good)
    letters = [
        schemas.decode_avro("dead_letter", r.value or b"") for r in deployment.read("dead-letters")
    ]
    assert {letter["key"]: letter["reason"] for letter in letters} == {
        record.key: reason for record, reason in bad
    }
    originals = {record.key: record.value for record, _ in bad}
    assert len(letters) == len(bad)
    assert all(letter["value"] == originals[letter["key"]] for letter in letters)


def _spoilt(**fields: object) -> Callable[[str, int], Record]:
    def make(key: str, start_ms: int) -> Record:
        body = orjson.loads(row(0, start_ms, np.random.default_rng(0)).value or b"")
        return Record(orjson.dumps({**body, "prediction_id": key, **fields}), key.encode())

    return make


def _cut(key: str, start_ms: int) -> Record:
    record = row(0, start_ms, np.random.default_rng(0), prediction_id=key)
    return Record((record.value or b"")[:-20], key.encode())


def _future(key: str, _start_ms: int) -> Record:
    future = int(time.time() * 1000) + HOUR_MS
    record = row(0, future, np.random.default_rng(0), prediction_id=key)
    return Record(record.value, key.encode())


def _bytes(value: bytes | None) -> Callable[[str, int], Record]:
    return lambda key, _start_ms: Record(value, key.encode())


def _with(
    make: Callable[[str, int], Record], reason: str
) -> Callable[[str, int], tuple[Record, str]]:
    return lambda key, start_ms: (make(key, start_ms), reason)


_BAD = [
    _with(_cut, "malformed"),
    _with(_bytes(b"\x93 not json"), "unknown_format"),
    _with(_bytes(b'{"model": "credit"}'), "missing_field"),
    _with(_spoilt(event_time_ms="yesterday"), "wrong_type"),
    _with(_spoilt(features={"x0": [1, 2]}), "wrong_type"),
    _with(_spoilt(event_time_ms=-5), "time_out_of_range"),
    _with(_spoilt(features={f"f{i}": 1 for i in range(1_001)}), "too_many_features"),
    _with(_future, "event_time_in_future"),
    _with(_bytes(None), "empty"),
]
