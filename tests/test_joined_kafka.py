"""`joined` on a real Kafka under kill -9: every outcome once, with the features that were sent."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from stream import schemas
from stream.adapters.kafka.offsets import ends
from stream.core.partitioner import partitions_of
from stream.core.rules import LabelRule
from tests.conftest import Kafka
from tests.decode_rows import ARROW, arrow_bytes
from tests.deployment import MODEL, Deployment
from tests.kafka_io import Record, read_all

pytestmark = pytest.mark.timeout(240)

PARTITIONS = 3
ROUNDS = 4  # all but the last end with a kill
ROWS = 3_000  # a round
DELAY_MS = 30_000

Row = dict[str, Any]


@pytest.fixture
def deployment(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[Deployment]:
    settings = {"sources": "predictions,labels", "slice_records": 25}
    made = Deployment(kafka.bootstrap_servers, unique, tmp_path, **settings)
    yield made
    made.kill()


def _rows(start_ms: int) -> list[Row]:
    rng = np.random.default_rng(41)
    return [
        {
            "prediction_id": f"id-{number}",
            "event_time_ms": start_ms + 5 * number,
            "features": {
                "age": round(float(rng.normal(40, 9)), 3),
                "children": int(rng.integers(0, 5)),
                "state": ("CA", "NY", None)[number % 3],
            },
            "prediction": int(rng.integers(0, 2)),
            "score": round(float(rng.random()), 6),
        }
        for number in range(ROUNDS * ROWS)
    ]


def _as_json(rows: list[Row]) -> list[Record]:
    named = {"model": MODEL.model, "version": MODEL.version}
    return [Record(orjson.dumps(row | named), row["prediction_id"].encode()) for row in rows]


def _as_arrow(rows: list[Row]) -> list[Record]:
    """Batches of fifty rows of one partition."""
    places = partitions_of([row["prediction_id"].encode() for row in rows], PARTITIONS)
    records = []
    for partition in range(PARTITIONS):
        mine = [row for row, place in zip(rows, places.tolist(), strict=True) if place == partition]
        for start in range(0, len(mine), 50):
            batch = mine[start : start + 50]
            columns = {name: pa.array([row[name] for row in batch]) for name in batch[0]}
            features = columns.pop("features").flatten()
            fields = batch[0]["features"]
            columns |= {f"features.{n}": f for n, f in zip(fields, features, strict=True)}
            headers = (("content-type", ARROW.encode()),)
            value = arrow_bytes(columns, MODEL)
            records.append(Record(value, headers=headers, partition=partition))
    return records


def _labels(rows: list[Row], expected: Counter[tuple[str, str, int]]) -> list[Record]:
    """Each row's label; of some the same again, or another one that corrects it."""
    records = []
    for number, row in enumerate(rows):
        name, right = row["prediction_id"], row["prediction"]
        told = [right]
        expected[name, "first", right] += 1
        if number % 10 == 0:
            told.append(right)
        if number % 10 == 5:
            told.append(1 - right)
            expected[name, "corrected", 1 - right] += 1
        at_ms = row["event_time_ms"] + DELAY_MS
        for label in told:
            value = {"prediction_id": name, "label": label, "event_time_ms": at_ms}
            records.append(Record(orjson.dumps(value), name.encode()))
    return records


class _Killer:
    """Ends workers while a transaction of theirs with joined records is open."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._admin = AdminClient({"bootstrap.servers": deployment.bootstrap_servers})
        self._partitions = [(deployment.topic("joined"), p) for p in range(PARTITIONS)]

    def start_and_kill(self) -> None:
        """A new worker, killed as soon as it has put out joined records and not committed them."""
        before = self._end()
        slowly = {"DRIFTSTREAM_COMMIT_INTERVAL": "2s"}  # its transactions are seen open
        worker = self._deployment.start(DRIFTSTREAM_INSTANCE_ID="one", **slowly)

        markers = 2 * PARTITIONS  # of a transaction of the last worker
        self._deployment.wait("joined records", lambda: self._end() > before + markers)
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)

    def _end(self) -> int:
        found = ends(self._admin, self._partitions, IsolationLevel.READ_UNCOMMITTED)
        return sum(found.values())


def test_every_outcome_is_joined_once_whenever_the_worker_is_killed(
    deployment: Deployment,
) -> None:
    deployment.create_topics(partitions=PARTITIONS)
    deployment.monitor(labels=LabelRule(kind="binary", classes=("0", "1")), joined=True)
    rows = _rows((int(time.time()) - 7_200) * 1000)
    expected: Counter[tuple[str, str, int]] = Counter()
    killer = _Killer(deployment)
    for number in range(ROUNDS):
        part = rows[number * ROWS : (number + 1) * ROWS]
        labels = _labels(part, expected)
        predictions = (_as_arrow if number % 2 else _as_json)(part)
        topics = {"predictions": predictions, "labels": labels}
        for topic in sorted(topics, reverse=number < 2):
            deployment.produce(topic, topics[topic])
        if number < ROUNDS - 1:
            killer.start_and_kill()
    deployment.start(DRIFTSTREAM_INSTANCE_ID="one")
    due = expected.total()
    deployment.wait("all outcomes", lambda: len(deployment.read("joined")) >= due)
    deployment.stop()
    written = read_all(
        deployment.bootstrap_servers, deployment.topic("joined"), isolation="read_uncommitted"
    )
    assert len(written) > due, "no kill left an unfinished transaction behind"
    _assert_once(deployment, {row["prediction_id"]: row for row in rows}, expected)


def _assert_once(
    deployment: Deployment, sent: dict[str, Row], expected: Counter[tuple[str, str, int]]
) -> None:
    found: Counter[tuple[str, str, int]] = Counter()
    last: dict[str, int] = {}
    for read in deployment.read("joined"):
        record = schemas.decode_json("joined", read.value or b"")
        name = record["prediction_id"]
        assert read.key == name.encode()
        found[name, record["state"], record["label"]] += 1
        last[name] = record["label"]
        for field, value in sent[name].items():
            assert record[field] == value, (name, field)
            assert type(record[field]) is type(value), (name, field)
        assert (record["model"], record["version"]) == MODEL
        assert record["delay_ms"] == DELAY_MS
    assert found == expected
    assert last == {name: label for name, state, label in expected if state == "first"} | {
        name: label for name, state, label in expected if state == "corrected"
    }
