"""Arrow batches: the same rows as JSON, bad rows by position, broken streams whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stream.core.errors import Reason
from stream.core.records import ModelKey
from tests.decode_arrow_rows import HEADERS, ROWS, columns
from tests.decode_rows import (
    MODEL,
    NOW_MS,
    arrow_bytes,
    arrow_stream,
    decoder,
    profile,
    row,
    rows_of,
    slice_of,
    text,
)


def json_rows(of: dict[str, Any], model: ModelKey = MODEL) -> list[dict[str, Any]]:
    """The rows that Arrow columns hold, as JSON rows."""
    listed = {name: column.to_pylist() for name, column in of.items()}
    rows = []
    for i in range(ROWS):
        features = {
            n.removeprefix("features."): c[i] for n, c in listed.items() if n[:9] == "features."
        }
        fields: dict[str, Any] = {"features": features, "model": model.model}
        fields["version"] = model.version
        for name in ("prediction_id", "event_time_ms", "prediction", "score"):
            fields[name] = listed.get(name, [None] * ROWS)[i]
        rows.append(row(**fields))
    return rows


VARIANTS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "text in a numeric feature": {
        "features__age": pa.array(["1.5", None, "x", "", "2", "3"]),
        "features__income": pa.array(["a", None, "a", "b", "b", "a"]).dictionary_encode(),
    },
    "numbers as dictionaries": {
        "features__age": pa.array([0.5, None, 1.5, math.nan, 2.5, 0.5]).dictionary_encode(),
        "features__code": pa.array([1.0, 2.5, None, math.nan, 1, 1]).dictionary_encode(),
    },
    "floats as categories": {
        "features__code": pa.array([1, 2.5, None, math.nan, math.inf, -0.0]),
        "features__state": pa.array(np.array([1, 2.5, 0, 1, 2, 3], np.float16)),
        "features__age": pa.array(np.array([1, 2.5, 0, 1, 2, 3], np.float16)),
    },
    "booleans, nulls and unsigned": {
        "features__age": pa.array([True, None, False, True, True, False]),
        "features__income": pa.nulls(ROWS),
        "features__state": pa.nulls(ROWS),
        "features__code": pa.array([2**64 - 1, 1, None, 1, 0, 1], pa.uint64()),
    },
    "integers far apart and close together": {
        "features__code": pa.array([-100, 1, 100, 1, 0, 1], pa.int8()),
        "features__state": pa.array([2**64 - 1, 2**64 - 2, 2**64 - 1, 0, 1, 2], pa.uint64()),
        "prediction": pa.array([-(2**63), 2**63 - 1, 0, 1, 0, 1]),
    },
    "unknown features": {
        "features__x": pa.array([1.0, None, math.nan, 2, 3, 4]),
        "features__y": pa.array(["a", None, "b", "b", "a", "c"]).dictionary_encode(),
        "features__z": pa.nulls(ROWS),
        "features__v": pa.array([1.0, None, math.nan, 2, 3, 4]).dictionary_encode(),
    },
    "no features but one": {
        "features__age": None,
        "features__income": None,
        "features__state": None,
        "score": None,
    },
    "large text": {
        "features__state": pa.array(["CA", "é", None, "TX", "", "NY"], pa.large_string())
    },
}


@pytest.mark.parametrize("given_columns", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("topic", ["predictions", "features"])
def test_arrow_rows_equal_json_rows(given_columns: dict[str, Any], topic: str) -> None:
    own = columns(**given_columns)
    value = arrow_bytes(own)
    plain = [text(each) for each in json_rows(own)]
    for known in ([profile()], []):
        decoded = decoder(*known).decode(slice_of([value, value], topic, [HEADERS] * 2))
        assert not decoded.rejected
        found = rows_of(decoded, profile())
        expected = rows_of(decoder(*known).decode(slice_of(plain, topic)), profile())
        for i in range(ROWS):
            assert found[0, i] == found[1, i] == expected[i, 0]


def test_records_of_one_schema_make_one_batch_and_the_first_byte_tells_the_format() -> None:
    batch = pa.record_batch(columns()).replace_schema_metadata({"model": "credit", "version": "3"})
    value = arrow_stream(batch, batch.slice(0, 2))
    (found,) = decoder(profile()).decode(slice_of([value, arrow_bytes(columns())])).batches
    assert found.record.tolist() == [0] * 8 + [1] * 6
    assert found.row.tolist() == [*range(8), *range(6)]
    assert found.numeric.shape == (3, 14)


@pytest.mark.parametrize(
    ("score", "dtype"), [("float", np.float32), ("double", np.float64), (None, np.float32)]
)
def test_numbers_stay_float32_where_all_were_sent_as_that(score: str | None, dtype: type) -> None:
    sent = pa.array([0.1, None, 1.5, math.nan, -math.inf, 1e-45], pa.float32())
    given = columns(features__age=sent, features__income=sent, score=score and sent.cast(score))
    (batch,) = decoder(profile()).decode(slice_of([arrow_bytes(given)], headers=[HEADERS])).batches
    assert batch.numeric.dtype == dtype
    numbers = sent.cast("double").to_numpy(zero_copy_only=False)
    expected = [numbers, numbers, numbers if score else np.full(ROWS, np.nan)]
    assert np.array_equal(batch.numeric, expected, equal_nan=True)


def test_a_delta_of_a_dictionary_is_read() -> None:
    sink = pa.BufferOutputStream()
    parts = [columns(features__state=pa.array(s).dictionary_encode()) for s in ("AAAAAA", "AABBCA")]
    metadata = {"model": "credit", "version": "3"}
    batches = [pa.record_batch(part).replace_schema_metadata(metadata) for part in parts]
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    (raw,) = decoder().decode(slice_of([sink.getvalue().to_pybytes()], headers=[HEADERS])).raw
    assert raw.columns["features.state"] == list("AAAAAAAABBCA")


def test_models_as_columns_are_told_apart_row_by_row() -> None:
    own = columns(
        model=pa.array(["credit", "other", "credit", None, "", "x" * 257]),
        version=pa.array(["3", None, "3", "3", "3", "3"]).dictionary_encode(),
    )
    decoded = decoder(profile()).decode(slice_of([arrow_bytes(own, None)], headers=[HEADERS]))
    assert [b.row.tolist() for b in decoded.batches] == [[0, 2]]
    assert [(r.model, r.row.tolist()) for r in decoded.raw] == [(ModelKey("other", ""), [1])]
    assert [(r.reason, r.rows) for r in decoded.rejected] == [
        (Reason.MISSING_FIELD, (3, 4)),
        (Reason.BAD_ID, (5,)),
    ]


@pytest.mark.parametrize("name", ["model", "version"])
def test_a_column_goes_before_the_metadata(name: str) -> None:
    own = columns(**{name: pa.array(["a"] * 3 + ["b"] * 3)})
    decoded = decoder().decode(slice_of([arrow_bytes(own)], headers=[HEADERS]))
    expected = [MODEL._replace(**{name: value}) for value in "ab"]
    assert [(r.model, r.row.tolist()) for r in decoded.raw] == [
        (expected[0], [0, 1, 2]),
        (expected[1], [3, 4, 5]),
    ]


def test_bad_rows_are_rejected_by_position_and_the_others_kept() -> None:
    own = columns(
        prediction_id=pa.array(["a", None, "", "x" * 257, "é" * 128, "é" * 129]),
        event_time_ms=pa.array([math.nan, NOW_MS, NOW_MS, NOW_MS, NOW_MS, NOW_MS]),
    )
    slice_ = slice_of([text(row()), arrow_bytes(own)], headers=[None, HEADERS])
    decoded = decoder(profile()).decode(slice_)
    assert [(r.record, r.reason, r.rows) for r in decoded.rejected] == [
        (1, Reason.NOT_FINITE_TIME, (0,)),
        (1, Reason.BAD_ID, (1, 2, 3, 5)),
    ]
    assert set(rows_of(decoded, profile())) == {(0, 0), (1, 4)}


@pytest.mark.parametrize(
    ("times", "reasons"),
    [
        (
            [NOW_MS, None, -1, NOW_MS * 1000, NOW_MS + 300_000, NOW_MS + 300_001],
            [
                "",
                "missing_field",
                "time_out_of_range",
                "time_out_of_range",
                "",
                "event_time_in_future",
            ],
        ),
        (
            [NOW_MS, NOW_MS + 0.5, math.inf, None, 1.0, -1.0],
            ["", "wrong_type", "not_finite_time", "missing_field", "", "time_out_of_range"],
        ),
    ],
)
def test_times_are_checked_row_by_row(times: list[Any], reasons: list[str]) -> None:
    value = arrow_bytes(columns(event_time_ms=pa.array(times)))
    decoded = decoder(profile()).decode(slice_of([value], headers=[HEADERS]))
    found = {place: r.reason.value for r in decoded.rejected for place in r.rows}
    assert [found.get(i, "") for i in range(ROWS)] == reasons


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_are_times(unit: str) -> None:
    moment = pa.array([NOW_MS // 1000] * ROWS, pa.timestamp("s")).cast(pa.timestamp(unit))
    value = arrow_bytes(columns(event_time_ms=moment))
    (found,) = decoder(profile()).decode(slice_of([value], headers=[HEADERS])).batches
    assert set(found.event_time_ms.tolist()) == {NOW_MS}


def test_rows_before_the_profile_stay_raw() -> None:
    value = arrow_bytes(columns())
    known = profile(effective_from_ms=NOW_MS + 2)
    decoded = decoder(known).decode(slice_of([value], headers=[HEADERS]))
    assert [b.row.tolist() for b in decoded.batches] == [[2, 3, 4, 5]]
    assert [r.row.tolist() for r in decoded.raw] == [[0, 1]]
