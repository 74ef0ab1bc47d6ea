"""Arrow streams that are broken, hostile or too large: rejected whole, and nothing raises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.decode import DecodeLimits
from stream.core.errors import Reason
from stream.core.records import ModelKey
from tests.decode_arrow_rows import HEADERS, ROWS, columns
from tests.decode_rows import (
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


def zeros(rows: int) -> dict[str, Any]:
    return {
        "prediction_id": pa.array([str(i) for i in range(rows)]),
        "event_time_ms": pa.array([NOW_MS] * rows),
        "features.age": pa.array(np.zeros(rows)),
    }


GOOD = arrow_bytes(columns())
ZSTD = pa.ipc.IpcWriteOptions(compression="zstd")
BROKEN: dict[str, tuple[bytes, Reason]] = {
    "not Arrow": (b"hello", Reason.MALFORMED),
    "JSON": (text(row()), Reason.MALFORMED),
    "cut short": (GOOD[: len(GOOD) // 2], Reason.MALFORMED),
    "no rows": (
        arrow_stream(
            pa.record_batch(columns()).slice(0, 0).replace_schema_metadata({"model": "m"})
        ),
        Reason.EMPTY,
    ),
    "no model": (arrow_bytes(columns(), None), Reason.MISSING_FIELD),
    "no id": (arrow_bytes(columns(prediction_id=None)), Reason.MISSING_FIELD),
    "no time": (arrow_bytes(columns(event_time_ms=None)), Reason.MISSING_FIELD),
    "bytes as id": (arrow_bytes(columns(prediction_id=pa.array([b"x"] * ROWS))), Reason.WRONG_TYPE),
    "text as time": (arrow_bytes(columns(event_time_ms=pa.array(["x"] * ROWS))), Reason.WRONG_TYPE),
    "lists as a feature": (
        arrow_bytes(columns(features__l=pa.array([[1]] * ROWS))),
        Reason.WRONG_TYPE,
    ),
    "text as score": (arrow_bytes(columns(score=pa.array(["x"] * ROWS))), Reason.WRONG_TYPE),
    "a long model": (arrow_bytes(columns(), ModelKey("x" * 257, "")), Reason.BAD_ID),
    "too many features": (
        arrow_bytes(columns(**{f"features__{i}": pa.nulls(ROWS) for i in range(40)})),
        Reason.TOO_MANY_FEATURES,
    ),
    "too many rows": (arrow_bytes(zeros(3_001)), Reason.OVERSIZED),
    "a bomb": (arrow_bytes(zeros(3_000), options=ZSTD), Reason.OVERSIZED),
    "a column of nothing for every name": (
        arrow_bytes(zeros(2_900) | {f"features.{i}": pa.nulls(2_900) for i in range(20)}),
        Reason.OVERSIZED,
    ),
    "a long text for every row": (
        arrow_bytes(columns(features__state=pa.array(["x" * 30_000] * ROWS).dictionary_encode())),
        Reason.OVERSIZED,
    ),
    "not UTF-8": (GOOD.replace(b"CAXXTX", b"\xff\xff\xff\xff\xff\xff"), Reason.MALFORMED),
}
SMALL = DecodeLimits(max_features=30, max_rows_per_record=3_000, max_unpacked_bytes=40_000)


@pytest.mark.parametrize("known", [True, False], ids=["profile", "no profile"])
@pytest.mark.parametrize(("value", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_stream_is_rejected_whole(value: bytes, reason: Reason, known: bool) -> None:
    decode = decoder(*([profile()] if known else []), limits=SMALL)
    decoded = decode.decode(slice_of([GOOD, value], headers=[HEADERS] * 2))
    assert [(r.record, r.reason, r.rows) for r in decoded.rejected] == [(1, reason, ())]
    assert len(rows_of(decoded, profile())) == ROWS


def test_a_compressed_stream_within_bounds_is_read() -> None:
    value = arrow_bytes(columns(), options=ZSTD)
    decoded = decoder(profile()).decode(slice_of([value, GOOD], headers=[HEADERS] * 2))
    found = rows_of(decoded, profile())
    assert [found[0, i] for i in range(ROWS)] == [found[1, i] for i in range(ROWS)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_arrow_never_raises(data: st.DataObject) -> None:
    value = bytearray(data.draw(st.sampled_from([GOOD, arrow_bytes(columns(), options=ZSTD)])))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    for known in ([profile()], []):
        decoded = decoder(*known).decode(slice_of([bytes(value), GOOD], headers=[HEADERS] * 2))
        found = rows_of(decoded, profile())
        refused = {r.record for r in decoded.rejected}
        assert {r for r, _ in found} | refused == {0, 1}
        assert not set(found) & {(r.record, i) for r in decoded.rejected for i in r.rows}
