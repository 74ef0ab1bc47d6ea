"""Labels in Arrow batches: the same as JSON's, bad rows by position."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from stream import schemas
from stream.core.errors import Reason
from stream.core.records import Decoded, Header, ModelKey
from tests.decode_labels import decoded, expected, label, seen
from tests.decode_rows import (
    ARROW,
    MODEL,
    NOW_MS,
    arrow_bytes,
    decoder,
    slice_of,
    text,
)

AVRO: tuple[Header, ...] = (("content-type", b"application/avro"),)


def arrow(columns: dict[str, Any], model: ModelKey | None = None) -> Decoded:
    value = arrow_bytes(columns, model)
    headers: list[Sequence[Header] | None] = [(("content-type", ARROW.encode()),)]
    return decoder().decode(slice_of([value], "labels", headers=headers))


LABEL_COLUMNS: dict[str, pa.Array] = {
    "integers": pa.array([1, 0, None, -7]),
    "integers beyond 2^53": pa.array([2**60, 1, None, -(2**63)]),
    "unsigned ones": pa.array([2**64 - 1, 1, None, 2**53], pa.uint64()),
    "small ones": pa.array([1, 0, 1, None], pa.int8()),
    "floats": pa.array([0.5, -0.0, None, 2.0**60]),
    "float32": pa.array([0.5, 1.0, None, 3.0], pa.float32()),
    "float16": pa.array([0.5, 1.0, None, 3.0], pa.float16()),
    "booleans": pa.array([True, False, None, True]),
    "texts": pa.array(["approve", "1", None, "é"]),
    "large texts": pa.array(["approve", "", None, "é"], pa.large_string()),
    "a dictionary of texts": pa.array(["a", "b", None, "a"]).dictionary_encode(),
    "a dictionary with a null": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 1]), pa.array(["a", None])
    ),
    "a dictionary of numbers": pa.array([1, 2**60, None, 1]).dictionary_encode(),
    "nothing but retractions": pa.nulls(4),
}


@pytest.mark.parametrize("column", LABEL_COLUMNS.values(), ids=LABEL_COLUMNS.keys())
def test_arrow_labels_are_the_json_ones(column: pa.Array) -> None:
    rows = [
        label(prediction_id=f"id-{i}", label=value, event_time_ms=NOW_MS - i)
        for i, value in enumerate(column.to_pylist())
    ]
    found = arrow(
        {
            "prediction_id": pa.array([row_["prediction_id"] for row_ in rows]),
            "label": column,
            "event_time_ms": pa.array([row_["event_time_ms"] for row_ in rows]),
        }
    )
    assert found.rejected == ()
    assert seen(found.labels) == {(0, i): expected(row_) for i, row_ in enumerate(rows)}
    by_json = decoded([text(row_) for row_ in rows]).labels
    assert found.labels is not None
    assert by_json is not None
    assert found.labels.texts == by_json.texts


UUIDS = [f"0190a1b2-0000-7000-8000-{i:012X}" for i in range(4)]
ID_COLUMNS: dict[str, pa.Array] = {
    "UUIDs as text": pa.array(UUIDS),
    "as large text": pa.array(UUIDS, pa.large_string()),
    "as a dictionary": pa.array(UUIDS).dictionary_encode(),
    "as bytes": pa.array([uuid.UUID(each).bytes for each in UUIDS], pa.binary(16)),
    "a part of a column": pa.array(["x", *UUIDS, "y"])[1:5],
    "a part of bytes": pa.array([bytes(16), *(uuid.UUID(u).bytes for u in UUIDS)], pa.binary(16))[
        1:
    ],
}


@pytest.mark.parametrize("column", ID_COLUMNS.values(), ids=ID_COLUMNS.keys())
@pytest.mark.parametrize("named", ["no model", "a column", "a dictionary", "metadata", "nulls"])
def test_arrow_ids_and_models_are_the_json_ones(column: pa.Array, named: str) -> None:
    models = {"a column": ["b", None, "a", ""], "a dictionary": ["b", None, "b", "c"]}
    given = models.get(named, ["credit" if named == "metadata" else None] * 4)
    columns = {
        "prediction_id": column,
        "label": pa.array([1, 2, 3, 4]),
        "event_time_ms": pa.array([NOW_MS] * 4),
    }
    if named in models:
        names = pa.array(given)
        columns["model"] = names.dictionary_encode() if named == "a dictionary" else names
    if named == "nulls":
        columns["model"] = pa.nulls(4)
    found = arrow(columns, MODEL if named == "metadata" else None)
    rows = [
        label(prediction_id=each, label=i + 1, model=model)
        for i, (each, model) in enumerate(zip(UUIDS, given, strict=True))
    ]
    assert found.rejected == ()
    assert seen(found.labels) == {(0, i): expected(row_) for i, row_ in enumerate(rows)}


def test_bad_rows_of_a_batch_of_labels_are_rejected_by_position() -> None:
    found = arrow(
        {
            "prediction_id": pa.array(["a", None, "c", "d", "e", "f", "g"]),
            "label": pa.array([1.0, 1.0, math.nan, math.inf, None, 2.0, 3.0]),
            "event_time_ms": pa.array([NOW_MS, NOW_MS, NOW_MS, NOW_MS, NOW_MS, None, NOW_MS]),
            "model": pa.array(["m"] * 6 + ["m" * 257]),
        }
    )
    reasons = {row_: r.reason for r in found.rejected for row_ in r.rows}
    assert reasons == {
        1: Reason.BAD_ID,
        2: Reason.WRONG_TYPE,
        3: Reason.WRONG_TYPE,
        5: Reason.MISSING_FIELD,
        6: Reason.BAD_ID,
    }
    assert list(seen(found.labels)) == [(0, 0), (0, 4)]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"label": None}, Reason.MISSING_FIELD),
        ({"prediction_id": None}, Reason.MISSING_FIELD),
        ({"event_time_ms": None}, Reason.MISSING_FIELD),
        ({"label": pa.array([[1]])}, Reason.WRONG_TYPE),
        ({"label": pa.array([b"x"])}, Reason.WRONG_TYPE),
        ({"model": pa.array([1])}, Reason.WRONG_TYPE),
        ({"label": pa.array([math.nan]).dictionary_encode()}, Reason.WRONG_TYPE),
    ],
)
def test_a_batch_that_holds_no_labels_is_rejected(columns: dict[str, Any], reason: Reason) -> None:
    whole = {
        "prediction_id": pa.array(["a"]),
        "label": pa.array([1]),
        "event_time_ms": pa.array([NOW_MS]),
        **columns,
    }
    found = arrow({name: column for name, column in whole.items() if column is not None})
    assert [(r.record, r.reason, r.rows) for r in found.rejected] == [(0, reason, ())]
    assert found.labels is None


def test_formats_side_by_side_come_in_the_order_of_records() -> None:
    batch = arrow_bytes(
        {
            "prediction_id": pa.array(["b", "c"]),
            "label": pa.array(["yes", "no"]),
            "event_time_ms": pa.array([NOW_MS, NOW_MS]),
            "model": pa.array(["two", "one"]),
        },
        None,
    )
    rows = [label(prediction_id="a", model="one"), label(prediction_id="d", model="three")]
    values = [text(rows[0]), batch, schemas.encode_avro("label", rows[1]), text(rows[0])]
    headers = [None, (("content-type", ARROW.encode()),), AVRO, None]
    found = decoder().decode(slice_of(values, "labels", headers=headers))
    expected_rows = {
        (0, 0): expected(rows[0]),
        (1, 0): expected(label(prediction_id="b", label="yes", model="two")),
        (1, 1): expected(label(prediction_id="c", label="no", model="one")),
        (2, 0): expected(rows[1]),
        (3, 0): expected(rows[0]),
    }
    assert seen(found.labels) == expected_rows
    assert found.labels is not None
    assert len(set(found.labels.models)) == len(found.labels.models)
    assert set(found.labels.texts.values()) == {"yes", "no"}
