"""What rows carry is the same whatever their format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from stream import schemas
from stream.core.records import Header
from stream.core.specs import Profile
from tests.decode_rows import (
    ARROW,
    MODEL,
    NOW_MS,
    arrow_bytes,
    profile,
    row,
    slice_of,
)
from tests.decode_served import UUID, carried, expected, serving

AVRO_ROWS = [
    row(tags={"country": "US"}, latency_ms=2.5, status="error"),
    row(prediction_id=UUID, prediction="yes", score={"yes": 0.5, "no": 0.5}, tags={}),
    row(features={"age": 1.5, "extra": "x"}, prediction=None, score=None, tags={"shop": "7"}),
]


@pytest.mark.parametrize("known", [(), (profile(),)])
def test_avro_rows_carry_what_json_rows_do(known: Sequence[Profile]) -> None:
    bodies = [schemas.encode_avro("prediction", each) for each in AVRO_ROWS]
    headers = [(("content-type", b"application/avro"),)] * len(bodies)
    found = serving(*known).decode(slice_of(bodies, headers=headers))
    assert found.rejected == ()
    assert carried(found) == {(i, 0): expected(each) for i, each in enumerate(AVRO_ROWS)}


ROOT: tuple[Header, ...] = (("content-type", ARROW.encode()),)
PREDICTIONS: dict[str, pa.Array] = {
    "integers": pa.array([1, None, 2**60]),
    "floats": pa.array([0.5, math.nan, None]),
    "booleans": pa.array([True, None, False]),
    "texts": pa.array(["yes", None, "1"]),
    "a dictionary": pa.array(["yes", "no", "yes"]).dictionary_encode(),
    "nothing": pa.nulls(3),
}


@pytest.mark.parametrize("predictions", PREDICTIONS.values(), ids=PREDICTIONS.keys())
@pytest.mark.parametrize("known", [(), (profile(),)])
@pytest.mark.parametrize("topic", ["predictions", "features"])
def test_arrow_rows_carry_what_json_rows_do(
    topic: str, known: Sequence[Profile], predictions: pa.Array
) -> None:
    columns = {
        "prediction_id": pa.array(["a", UUID, "c"]),
        "event_time_ms": pa.array([NOW_MS] * 3),
        "features.age": pa.array([1.5, None, 2.0], pa.float32()),
        "features.state": pa.array(["CA", None, "NY"]).dictionary_encode(),
        "features.extra": pa.array([2**60, 1, None]),
        "prediction": predictions,
        "score": pa.array([0.5, math.nan, None]),
        "score.a": pa.array([None, 0.25, None], pa.float64()),
        "score.b": pa.array([None, 0.75, None], pa.float64()),
        "latency_ms": pa.array([1, 2, None]),
        "status": pa.array(["ok", "error", None]).dictionary_encode(),
        "tags.country": pa.array(["US", None, "DE"]),
        "tags.shop": pa.array([1, 2, None]),
    }
    listed = {name: column.to_pylist() for name, column in columns.items()}
    rows = []
    for i in range(3):
        at = {name: _null(values[i]) for name, values in listed.items()}
        classes = {"a": at["score.a"], "b": at["score.b"]} if i == 1 else None
        fields = {n: at[n] for n in ("prediction_id", "prediction", "latency_ms", "status")}
        features = {n: at[f"features.{n}"] for n in ("age", "state", "extra")}
        tags = {n: at[f"tags.{n}"] for n in ("country", "shop")}
        rows.append(row(**fields, features=features, tags=tags, score=classes or at["score"]))
    found = serving(*known).decode(slice_of([arrow_bytes(columns, MODEL)], topic, headers=[ROOT]))
    assert found.rejected == ()
    want = {(0, i): expected(each, predicted=topic == "predictions") for i, each in enumerate(rows)}
    for each in want.values():
        extra = each["plain"]["extra"]
        each["plain"]["extra"] = None if extra is None else float(extra)
    assert carried(found) == want


def test_arrow_rows_need_no_more_than_ids() -> None:
    columns = {"prediction_id": pa.array(["a"]), "event_time_ms": pa.array([NOW_MS])}
    found = serving().decode(slice_of([arrow_bytes(columns)], headers=[ROOT]))
    want = expected(row(prediction_id="a", features=None, prediction=None, score=None))
    assert carried(found) == {(0, 0): want}


def _null(value: Any) -> Any:
    return None if value != value else value
