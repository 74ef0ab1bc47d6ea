"""Avro and Arrow on the wire, and columns in every format."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from stream import schemas
from stream.client import LabelLogger, PredictionLogger
from stream.client.options import Format
from stream.core.errors import SchemaError
from stream.core.partitioner import partitions_of
from tests.client_rows import arrow_table, rows_of
from tests.conftest import Kafka
from tests.kafka_io import create_topic, read_all

NOW_MS = 1_760_000_000_000
PARTITIONS = 3
FORMATS: tuple[Format, ...] = ("json", "avro", "arrow")

Logger = Callable[..., PredictionLogger]


@pytest.fixture
def topic(kafka: Kafka, unique: str) -> str:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", PARTITIONS)
    return f"{unique}predictions"


@pytest.fixture
def logger(kafka: Kafka, unique: str, topic: str) -> Logger:
    del topic

    def make(**settings: Any) -> PredictionLogger:
        return PredictionLogger(
            model="credit",
            version="3",
            bootstrap_servers=kafka.bootstrap_servers,
            topic_prefix=unique,
            **settings,
        )

    return make


def all_rows(kafka: Kafka, topic: str) -> dict[str, dict[str, Any]]:
    rows = {}
    for record in read_all(kafka.bootstrap_servers, topic):
        for row in rows_of(record):
            key = row["prediction_id"]
            assert record.partition == partitions_of([key.encode()], PARTITIONS)[0]
            rows[key] = row
    return rows


@pytest.mark.parametrize("wire", FORMATS)
def test_a_row_is_the_same_in_every_format(
    kafka: Kafka, topic: str, logger: Logger, wire: Format
) -> None:
    with logger(format=wire) as each:
        key = each.log(
            features={"age": 41, "income": 1.5, "state": "CA", "new": True, "gone": None},
            prediction="approve",
            score={"approve": 0.83, "deny": 0.17},
            event_time_ms=NOW_MS,
            tags={"country": "US"},
            attributions={"age": 0.12},
            latency_ms=12.5,
            status="ok",
        )
    assert all_rows(kafka, topic) == {
        key: {
            "prediction_id": key,
            "model": "credit",
            "version": "3",
            "event_time_ms": NOW_MS,
            "features": {"age": 41, "income": 1.5, "state": "CA", "new": True, "gone": None},
            "prediction": "approve",
            "score": {"approve": 0.83, "deny": 0.17},
            "tags": {"country": "US"},
            "attributions": {"age": 0.12},
            "latency_ms": 12.5,
            "status": "ok",
        }
    }


def numpy_columns() -> dict[str, Any]:
    return {
        "features": {
            "age": np.arange(100, dtype=np.float32),
            "n": np.arange(100),
            "state": np.array(["CA", "NY"] * 50),
            "mixed": [1, "two"] * 50,
        },
        "prediction": np.arange(100) % 2,
        "score": np.linspace(0, 1, 100),
    }


def pandas_columns() -> dict[str, Any]:
    columns = numpy_columns()
    frame = pd.DataFrame(columns["features"])
    return {**columns, "features": frame, "score": pd.Series(columns["score"])}


def arrow_columns() -> dict[str, Any]:
    columns = numpy_columns()
    del columns["features"]["mixed"]
    table = pa.table(columns["features"])
    return {**columns, "features": table, "score": pa.array(columns["score"])}


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("columns", [numpy_columns, pandas_columns, arrow_columns])
def test_columns_are_the_rows_they_stand_for(
    kafka: Kafka,
    topic: str,
    logger: Logger,
    wire: Format,
    columns: Callable[[], dict[str, Any]],
) -> None:
    given = columns()
    with logger(format=wire) as each:
        ids = each.log_columns(**given, event_time_ms=NOW_MS)
        assert each.flush()
        assert each.counters == (100, 0, 0, 0, 0)
    rows = all_rows(kafka, topic)
    assert sorted(rows) == sorted(ids)
    for place, key in enumerate(ids):
        row = rows[key]
        features = {"age": float(place), "n": place, "state": ("CA", "NY")[place % 2]}
        if "mixed" in given["features"]:
            features["mixed"] = (1, "two")[place % 2]
        assert row["features"] == features
        assert row["prediction"] == place % 2
        assert row["score"] == pytest.approx(place / 99)
        assert (row["model"], row["version"], row["event_time_ms"]) == ("credit", "3", NOW_MS)


def test_arrow_batches_are_small_and_typed(kafka: Kafka, topic: str, logger: Logger) -> None:
    rows = 6_000
    ages = np.random.default_rng(7).normal(size=rows).astype(np.float32)
    with logger(format="arrow") as each:
        each.log_columns(features={"age": ages, "state": ["CA", "NY", "WA"] * 2_000})
    tables = [arrow_table(record) for record in read_all(kafka.bootstrap_servers, topic)]
    assert sum(table.num_rows for table in tables) == rows
    assert max(table.num_rows for table in tables) <= 1_000
    assert len(tables) <= 2 * rows // 1_000 + PARTITIONS
    large = [table for table in tables if table.num_rows >= 50]  # of few rows texts stay plain
    assert large
    for table in large:
        kinds = {field.name: str(field.type) for field in table.schema}
        assert kinds == {
            "prediction_id": "fixed_size_binary[16]",
            "event_time_ms": "int64",
            "features.age": "float",
            "features.state": "dictionary<values=string, indices=int8, ordered=0>",
        }


def test_an_arrow_batch_too_large_for_a_record_is_split(
    kafka: Kafka, topic: str, logger: Logger
) -> None:
    texts = [f"{number:04d}" + "x" * 5_000 for number in range(600)]
    with logger(format="arrow", kafka={"message.max.bytes": 300_000}) as each:
        ids = each.log_columns(features={"text": texts})
        assert each.flush()
        assert each.counters == (600, 0, 0, 0, 0)
    rows = all_rows(kafka, topic)
    assert [rows[key]["features"]["text"] for key in ids] == texts


def test_arrow_rows_wait_for_others_but_not_for_long(
    kafka: Kafka, topic: str, logger: Logger
) -> None:
    with logger(format="arrow", linger_seconds=0.2) as each:
        ids = [each.log(features={"x": number}) for number in range(50)]
        ids += [each.log(features={"x": "a text where numbers were"}), each.log()]
        assert each.flush()
    assert sorted(all_rows(kafka, topic)) == sorted(ids)
    assert len(read_all(kafka.bootstrap_servers, topic)) <= 3 * PARTITIONS


@pytest.mark.parametrize("wire", FORMATS)
def test_what_json_cannot_say(kafka: Kafka, topic: str, logger: Logger, wire: Format) -> None:
    with logger(format=wire) as each:
        each.log(features={"big": 2**80}, prediction_id="big")
    (big_record,) = read_all(kafka.bootstrap_servers, topic)
    (big,) = rows_of(big_record)
    assert big["features"]["big"] == 2.0**80
    with logger(format=wire) as each:
        key = each.log(features={"up": math.inf, "down": -math.inf, "nan": math.nan, "n": None})
    records = read_all(kafka.bootstrap_servers, topic)
    (record,) = (each for each in records if each.value != big_record.value)
    if wire == "json":
        assert b'{"up":Infinity,"down":-Infinity,"nan":null,"n":null}' in (record.value or b"")
        return
    (row,) = rows_of(record)
    assert row["prediction_id"] == key
    assert (row["features"]["up"], row["features"]["down"]) == (math.inf, -math.inf)
    assert math.isnan(row["features"]["nan"])


@pytest.mark.parametrize("wire", FORMATS)
def test_labels(kafka: Kafka, unique: str, wire: Format) -> None:
    topic = f"{unique}labels"
    create_topic(kafka.bootstrap_servers, topic, PARTITIONS)
    with LabelLogger(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, format=wire
    ) as each:
        each.log("a", "approve", event_time_ms=NOW_MS)
        each.log_columns(["b", "c"], [1, None], event_time_ms=NOW_MS, model="credit")
    labels = {}
    for record in read_all(kafka.bootstrap_servers, topic):
        if wire == "json":
            rows = [orjson.loads(record.value or b"")]
        elif wire == "avro":
            assert dict(record.headers)["schema"] == b"label"
            rows = [schemas.decode_avro("label", record.value or b"")]
        else:
            rows = arrow_table(record).to_pylist()
        labels.update({row["prediction_id"]: (row["label"], row.get("model")) for row in rows})
    assert labels == {"a": ("approve", None), "b": (1, "credit"), "c": (None, "credit")}


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"features": {"a": [1, 2]}, "prediction": [1]}, "prediction: has 1 values"),
        ({"features": {"a": np.ones((2, 2))}}, "features.a: has 2 dimensions"),
        ({"features": {"a": [1, [2]]}}, r"features.a\[1\]: is \[2\]"),
        ({"features": {1: [1]}}, "features: has the column 1"),
        ({"features": 5}, "features: is a int"),
        ({"features": {"a": [1]}, "score": ["high"]}, r"score\[0\]: is 'high'"),
        ({"features": {"a": [1]}, "tags": {"t": [1]}}, r"tags.t\[0\]: is 1"),
        ({"features": {"a": [1]}, "prediction_id": [""]}, "prediction_id: has 0 bytes"),
        ({"features": {"a": [1]}, "event_time_ms": [None]}, "event_time_ms: has a missing"),
        ({"features": {"a": [1]}, "status": ["bad"]}, "status: is 'bad'"),
        ({}, "has no column"),
    ],
)
def test_wrong_columns_are_named_and_nothing_is_buffered(
    wire: Format, columns: dict[str, Any], said: str
) -> None:
    each = PredictionLogger(
        model="m",
        bootstrap_servers="127.0.0.1:1",
        format=wire,
        on_error="raise",
        exit_seconds=0.0,
    )
    with pytest.raises(SchemaError, match=said):
        each.log_columns(**columns)
    assert each.counters.buffered == 0
    assert each.close(0.0)
