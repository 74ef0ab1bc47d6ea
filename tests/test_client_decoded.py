"""What the SDK writes, the worker reads: the same rows whatever the format, and none refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stream import schemas
from stream.client import PredictionLogger
from stream.client.options import Format
from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.records import Decoded, ModelKey
from tests.conftest import Kafka
from tests.kafka_io import create_topic
from tests.slices import topic_slice

NOW_MS = 1_760_000_000_000
ROWS: list[dict[str, Any]] = [
    {
        "features": {"age": 41, "income": 1.5, "state": "CA", "new": True},
        "prediction": "approve",
        "score": {"approve": 0.83, "deny": 0.17},
        "tags": {"country": "US"},
        "attributions": {"age": 0.5, "income": math.nan},
        "latency_ms": 3.5,
        "status": "ok",
    },
    {
        "features": {"age": None, "income": math.nan, "state": None, "new": False},
        "prediction": "deny",
        "score": {"approve": 0.25, "deny": math.nan},
        "status": "error",
    },
    {
        "features": {"age": 7, "income": math.inf, "state": "NY", "new": np.bool_(True)},
        "prediction": "deny",
        "score": {"approve": np.float32(0.25)},
    },
]


def decoded(kafka: Kafka, topic: str) -> Decoded:
    parsed = {name: schemas.schema(name) for name in ("prediction", "feature_row")}
    return Decoder(Profiles(), schemas=parsed).decode(
        topic_slice(kafka.bootstrap_servers, topic, "predictions")
    )


def plain(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("wire", ["json", "avro", "arrow"])
def test_the_worker_reads_what_was_logged(
    kafka: Kafka, unique: str, wire: Format, *, by_columns: bool
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 1)
    with PredictionLogger(
        model="credit",
        version="3",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        format=wire,
    ) as logger:
        if by_columns:
            names = ROWS[0]["features"]
            logger.log_columns(
                features={name: [row["features"][name] for row in ROWS] for name in names},
                prediction=[row["prediction"] for row in ROWS],
                score={
                    name: np.array([row["score"].get(name, math.nan) for row in ROWS])
                    for name in ("approve", "deny")
                },
                tags={"country": ["US", None, None]},
                status=["ok", "error", None],
                event_time_ms=NOW_MS,
            )
        else:
            for row in ROWS:
                logger.log(**row, event_time_ms=NOW_MS)
    result = decoded(kafka, f"{unique}predictions")
    assert result.rejected == ()
    assert result.batches == ()
    (batch,) = result.raw
    assert batch.model == ModelKey("credit", "3")
    assert batch.event_time_ms.tolist() == [NOW_MS] * 3
    assert {name: [plain(v) for v in column] for name, column in batch.columns.items()} == {
        "features.age": [41, None, 7],
        "features.income": [1.5, None, math.inf],
        "features.state": ["CA", None, "NY"],
        "features.new": [True, False, True],
        "prediction": ["approve", "deny", "deny"],
        "score.approve": [0.83, 0.25, 0.25],
        "score.deny": [0.17, None, None],
    }
