"""Arrow streams whose buffers, lengths or schemas lie, and batches of which only some is bad."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from stream.core.errors import Reason
from stream.core.records import Header
from tests.hostile.case import Case, Maker, good, refused
from tests.kafka_io import Record

__all__ = ["ARROW", "BATCH", "LARGE_ARROW"]

BATCH: Header = ("content-type", b"application/vnd.apache.arrow.stream")
_ROWS = 5
_METADATA = {"model": "credit", "version": "1"}


def _columns(number: int, now_ms: int, rows: int = _ROWS, **given: Any) -> dict[str, Any]:
    """Rows that are all right; of a name given as ... there is no column."""
    states = ["CA", "NY", "TX", None, "CA"]
    whole: dict[str, Any] = {
        "prediction_id": pa.array([f"odd-{number}-{row}" for row in range(rows)]),
        "event_time_ms": pa.array([now_ms] * rows, pa.int64()),
        "features.x0": pa.array(np.linspace(0, 1, rows)),
        "features.state": pa.array([states[i % 5] for i in range(rows)]).dictionary_encode(),
        "prediction": pa.array([row % 2 for row in range(rows)]),
        **given,
    }
    return {name: column for name, column in whole.items() if column is not ...}


def _stream(columns: Mapping[str, Any], metadata: Any = None, options: Any = None) -> bytes:
    batch = pa.record_batch(dict(columns)).replace_schema_metadata(metadata or _METADATA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    value: bytes = sink.getvalue().to_pybytes()
    return value


def _whole(reason: Reason, metadata: Any = None, **given: Any) -> Maker:
    """A batch that is refused whole for its schema or for what all of its rows have."""

    def make(number: int, now_ms: int) -> Case:
        columns = {name.replace("__", "."): each for name, each in given.items()}
        value = _stream(_columns(number, now_ms, **columns), metadata)
        return refused(reason, value, number, BATCH)

    return make


def _patched(old: bytes, new: bytes, count: int = 1) -> Maker:
    """A batch in which some bytes of its body are others."""

    def make(number: int, now_ms: int) -> Case:
        whole = _stream(_columns(number, now_ms))
        assert old in whole
        return refused(Reason.MALFORMED, whole.replace(old, new, count), number, BATCH)

    return make


def _offsets(*given: int) -> Maker:
    """A batch whose first column of texts has these offsets in the place of its own."""

    def make(number: int, now_ms: int) -> Case:
        columns = _columns(number, now_ms)
        texts = columns["prediction_id"]
        size = len(f"odd-{number}-0")
        own = struct.pack("<6i", *range(0, 6 * size, size))
        assert len(texts) == _ROWS
        whole = _stream(columns)
        assert own in whole
        return refused(
            Reason.MALFORMED, whole.replace(own, struct.pack("<6i", *given), 1), number, BATCH
        )

    return make


def _indices(number: int, now_ms: int) -> Case:
    """Dictionary indices of the state beyond the dictionary."""
    whole = _stream(_columns(number, now_ms))
    own = struct.pack("<5i", 0, 1, 2, 0, 0)
    assert own in whole
    value = whole.replace(own, struct.pack("<5i", 0, 1, 999, 0, -7), 1)
    return refused(Reason.MALFORMED, value, number, BATCH)


def _cut(number: int, now_ms: int) -> Case:
    whole = _stream(_columns(number, now_ms))
    end = len(whole) - 9 - (number * 37) % (len(whole) - 300)  # behind the end is only a mark
    return refused(Reason.MALFORMED, whole[: end | 1], number, BATCH)  # never between messages


def _flipped(number: int, now_ms: int) -> Case:
    """The length of the first message, its lowest byte turned around."""
    whole = bytearray(_stream(_columns(number, now_ms)))
    whole[5] ^= 0x40
    return refused(Reason.MALFORMED, bytes(whole), number, BATCH)


def _bomb(codec: str, rows: int) -> Maker:
    """Many rows of noughts, packed."""

    def make(number: int, now_ms: int) -> Case:
        ids = [None, pa.py_buffer(bytes(16 * rows))]
        columns = {
            "prediction_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, ids),
            "event_time_ms": pa.array(np.full(rows, now_ms)),
            "features.x0": pa.array(np.zeros(rows)),
        }
        options = pa.ipc.IpcWriteOptions(compression=codec)
        return refused(Reason.OVERSIZED, _stream(columns, options=options), number, BATCH)

    return make


def _claims(claimed: int, reason: Reason, codec: str = "lz4") -> Maker:
    """A packed column that claims to unpack to this many bytes."""

    def make(number: int, now_ms: int) -> Case:
        rows = 4_000
        columns = _columns(number, now_ms, rows)
        options = pa.ipc.IpcWriteOptions(compression=codec)
        whole = _stream(columns, options=options)
        own = struct.pack("<q", 8 * rows)
        assert own in whole
        value = whole.replace(own, struct.pack("<q", claimed), 1)
        return refused(reason, value, number, BATCH)

    return make


def _partly(number: int, now_ms: int) -> Case:
    """Two rows without a usable id, one that is of the future, two that count."""
    ids = [f"odd-{number}-a", "", "x" * 300, f"odd-{number}-b", f"odd-{number}-c"]
    times = [now_ms, now_ms, now_ms, now_ms + (1 << 40), now_ms]
    columns = _columns(number, now_ms, prediction_id=pa.array(ids), event_time_ms=pa.array(times))
    reasons = {Reason.BAD_ID: 2, Reason.EVENT_TIME_IN_FUTURE: 1}
    record = Record(_stream(columns), f"odd-{number}".encode(), (BATCH,))
    return Case("predictions", record, 2, reasons)


def _times(number: int, now_ms: int) -> Case:
    """Times that are NaN, infinite, negative, beyond all calendars; one that counts."""
    times = [float("nan"), float("-inf"), -1.0, 1e300, float(now_ms)]
    value = _stream(_columns(number, now_ms, event_time_ms=pa.array(times)))
    reasons = {Reason.NOT_FINITE_TIME: 2, Reason.TIME_OUT_OF_RANGE: 2}
    return Case("predictions", Record(value, f"odd-{number}".encode(), (BATCH,)), 1, reasons)


def _bytes(value: bytes, reason: Reason = Reason.MALFORMED) -> Maker:
    return lambda number, _now_ms: refused(reason, value, number, BATCH)


def _twice(number: int, now_ms: int) -> Case:
    """Two columns of one name."""
    columns = _columns(number, now_ms)
    arrays = [*columns.values(), columns["features.x0"]]
    batch = pa.RecordBatch.from_arrays(arrays, names=[*columns, "features.x0"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema.with_metadata(_METADATA)) as writer:
        writer.write_batch(batch.replace_schema_metadata(_METADATA))
    return refused(Reason.SCHEMA_MISMATCH, sink.getvalue().to_pybytes(), number, BATCH)


def _twice_over(number: int, now_ms: int) -> Case:
    """A stream behind a stream."""
    whole = _stream(_columns(number, now_ms))
    return good(whole + whole, number, BATCH, rows=_ROWS)


ARROW: Mapping[str, Maker] = {
    "Arrow, cut short": _cut,
    "Arrow of another first length": _flipped,
    "Arrow of nothing but a mark": _bytes(b"\xff\xff\xff\xff"),
    "Arrow of an endless message": _bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64)),
    "Arrow of a message of no bytes": _bytes(b"\xff\xff\xff\xff\x00\x00\x00\x00"),
    "Arrow whose texts end before they begin": _offsets(0, 50, 10, 20, 30, 40),
    "Arrow whose texts begin before the buffer": _offsets(-8, 0, 8, 16, 24, 32),
    "Arrow whose texts end behind the buffer": _offsets(0, 8, 16, 24, 32, 1 << 30),
    "Arrow of indices beyond their dictionary": _indices,
    "Arrow of a dictionary that is no UTF-8": _patched(b"CANYTX", b"\xff\xfe\xc3\x28TX"),
    "Arrow packed to a bomb by LZ4": _bomb("lz4", 90_000),
    "Arrow packed to a bomb by Zstandard": _bomb("zstd", 90_000),
    "Arrow that claims to unpack to 2^60 bytes": _claims(1 << 60, Reason.OVERSIZED),
    "Arrow that claims to unpack to -5 bytes": _claims(-5, Reason.MALFORMED),
    "Arrow that unpacks to more than it claims": _claims(64, Reason.MALFORMED),
    "Arrow that unpacks to less than it claims": _claims(40_000, Reason.MALFORMED, "zstd"),
    "Arrow without a model": _whole(Reason.MISSING_FIELD, {"version": "1"}),
    "Arrow of a model of 300 letters": _whole(Reason.BAD_ID, {"model": "m" * 300}),
    "Arrow of a model that is no UTF-8": _whole(Reason.MALFORMED, {b"model": b"\xff\xfe"}),
    "Arrow without ids": _whole(Reason.MISSING_FIELD, prediction_id=...),
    "Arrow of two columns of a name": _twice,
    "Arrow of lists": _whole(Reason.WRONG_TYPE, features__l=pa.array([[1]] * _ROWS)),
    "Arrow of structs": _whole(Reason.WRONG_TYPE, features__s=pa.array([{"a": 1}] * _ROWS)),
    "Arrow of times as texts": _whole(Reason.WRONG_TYPE, event_time_ms=pa.array(["now"] * _ROWS)),
    "Arrow of which some rows are bad": _partly,
    "Arrow of times of all kinds": _times,
    "Arrow behind Arrow": _twice_over,
}
LARGE_ARROW: Mapping[str, Maker] = {
    "Arrow of 100,001 rows": lambda number, now_ms: refused(
        Reason.OVERSIZED, _stream(_columns(number, now_ms, 100_001)), number, BATCH
    ),
    "Arrow of 1,001 features": _whole(
        Reason.TOO_MANY_FEATURES,
        **{f"features__{i}": pa.nulls(_ROWS) for i in range(1_001)},
    ),
}
