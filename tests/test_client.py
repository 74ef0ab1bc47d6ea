"""The loggers on a real broker: what is logged arrives, once, on the partition of its id."""

from __future__ import annotations

import uuid

import numpy as np
import orjson
import pytest

import stream.client
from stream.client import LabelLogger, PredictionLogger
from stream.core.partitioner import partitions_of
from tests.conftest import Kafka
from tests.kafka_io import create_topic, read_all

NOW_MS = 1_760_000_000_000
PARTITIONS = 3


@pytest.fixture
def predictions(kafka: Kafka, unique: str) -> str:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", PARTITIONS)
    return f"{unique}predictions"


def test_public_names() -> None:
    assert stream.client.__all__ == [
        "Alert",
        "AlertSubscriber",
        "Counters",
        "LabelLogger",
        "PredictionLogger",
    ]


def test_a_row_arrives_as_it_was_logged(kafka: Kafka, unique: str, predictions: str) -> None:
    with PredictionLogger(
        model="credit",
        version="3",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
    ) as logger:
        logger.log(
            features={"age": np.float32(41), "income": float("nan"), "state": "CA", "new": True},
            prediction=np.int64(1),
            score={"approve": 0.83, "deny": np.float64(0.17)},
            prediction_id="request-1",
            event_time_ms=NOW_MS,
            tags={"country": "US"},
            attributions={"age": 0.12},
            latency_ms=12.5,
            status="ok",
        )
        assert logger.flush()
        assert logger.counters == (1, 0, 0, 0, 0)
    (record,) = read_all(kafka.bootstrap_servers, predictions)
    assert record.key == b"request-1"
    assert record.headers == ()
    assert orjson.loads(record.value or b"") == {
        "prediction_id": "request-1",
        "model": "credit",
        "version": "3",
        "event_time_ms": NOW_MS,
        "features": {"age": 41.0, "income": None, "state": "CA", "new": True},
        "prediction": 1,
        "score": {"approve": 0.83, "deny": 0.17},
        "tags": {"country": "US"},
        "attributions": {"age": 0.12},
        "latency_ms": 12.5,
        "status": "ok",
    }


def test_rows_lie_on_the_partitions_that_java_would_choose(
    kafka: Kafka, unique: str, predictions: str
) -> None:
    with PredictionLogger(
        model="m", bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique
    ) as logger:
        ids = [logger.log(features={"x": i}, prediction=0) for i in range(500)]
    rows = read_all(kafka.bootstrap_servers, predictions)
    keys = [row.key or b"" for row in rows]
    assert sorted(key.decode() for key in keys) == sorted(ids)
    assert all(str(uuid.UUID(each)) == each for each in ids)
    assert [row.partition for row in rows] == partitions_of(keys, PARTITIONS).tolist()


def test_labels_arrive_and_are_retracted(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}labels", PARTITIONS)
    with LabelLogger(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique) as logger:
        logger.log("a", "approve", event_time_ms=NOW_MS, model="credit")
        logger.log("a", None, event_time_ms=NOW_MS + 1)
        logger.log_columns(["b", "c"], np.array([1, 0]), event_time_ms=np.array([NOW_MS, NOW_MS]))
    rows = [
        orjson.loads(row.value or b"")
        for row in read_all(kafka.bootstrap_servers, f"{unique}labels")
    ]
    rows.sort(key=lambda row: (row["prediction_id"], row["event_time_ms"]))
    assert rows == [
        {"prediction_id": "a", "label": "approve", "event_time_ms": NOW_MS, "model": "credit"},
        {"prediction_id": "a", "label": None, "event_time_ms": NOW_MS + 1},
        {"prediction_id": "b", "label": 1, "event_time_ms": NOW_MS},
        {"prediction_id": "c", "label": 0, "event_time_ms": NOW_MS},
    ]
