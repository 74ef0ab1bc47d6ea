"""Predictions as Avro whose bytes, frames or schemas are broken or greedy, by kind."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import fastavro

from stream import schemas
from stream.core.errors import Reason
from stream.core.records import Header
from tests.hostile.case import Case, Maker, body, good, refused

__all__ = ["AVRO", "LARGE_AVRO", "NAMED", "UNKNOWN_ID"]

NAMED: tuple[Header, ...] = (("content-type", b"application/avro"), ("schema", b"prediction"))
UNKNOWN_ID = 4_000_000_000
_TYPE: Header = NAMED[0]
_HUGE = b"\xff" * 9 + b"\x01"  # the varint of a 64-bit number's lowest value


def _row(number: int, now_ms: int, **fields: Any) -> bytes:
    return schemas.encode_avro("prediction", body(number, now_ms, **fields))


def _varint(value: int) -> bytes:
    """Zig-zag, as Avro writes lengths and counts."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _cut(number: int, now_ms: int) -> Case:
    whole = _row(number, now_ms)
    return refused(Reason.MALFORMED, whole[: 1 + number % (len(whole) - 1)], number, *NAMED)


def _more(number: int, now_ms: int) -> Case:
    return refused(Reason.MALFORMED, _row(number, now_ms) + b"\x00", number, *NAMED)


def _starts(start: bytes, *, reason: Reason = Reason.MALFORMED) -> Maker:
    """The row's first bytes are its id's length: another one instead."""
    return lambda number, now_ms: refused(reason, start + _row(number, now_ms)[1:], number, *NAMED)


def _block(count: bytes) -> Maker:
    """A map of features whose one block claims this many entries."""

    def make(number: int, now_ms: int) -> Case:
        whole = _row(number, now_ms, features={"x0": None})
        entry = _varint(1) + _varint(2) + b"x0"
        assert entry in whole
        value = whole.replace(entry, count + entry[1:], 1)
        return refused(Reason.MALFORMED, value, number, *NAMED)

    return make


def _frame(schema_id: int, reason: Reason) -> Maker:
    start = b"\x00" + schema_id.to_bytes(4, "big")
    return lambda number, now_ms: refused(reason, start + _row(number, now_ms), number)


def _bytes(value: bytes, reason: Reason, *headers: Header) -> Maker:
    return lambda number, _now_ms: refused(reason, value, number, *headers)


def _header(schema: Any, reason: Reason = Reason.SCHEMA_MISMATCH) -> Maker:
    """A good row that says that another schema wrote it."""
    named = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    headers = (_TYPE, ("schema", named))
    return lambda number, now_ms: refused(reason, _row(number, now_ms), number, *headers)


def _record(*fields: Any, name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def _needed(*more: Any) -> dict[str, Any]:
    fields = {"prediction_id": "string", "model": "string", "event_time_ms": "double"}
    plain = [{"name": name, "type": kind} for name, kind in fields.items()]
    return _record(*plain, *more)


def _doubling(levels: int) -> dict[str, Any]:
    """A schema of a few bytes a level, each of which holds the one before twice."""
    inner: dict[str, Any] = _record({"name": "a", "type": "int"}, name="L0")
    for level in range(1, levels):
        twice = [{"name": "a", "type": inner}, {"name": "b", "type": f"L{level - 1}"}]
        inner = _record(*twice, name=f"L{level}")
    return _needed({"name": "features", "type": inner})


def _nested(levels: int) -> dict[str, Any]:
    kind: Any = "int"
    for _ in range(levels):
        kind = {"type": "array", "items": kind}
    return _needed({"name": "features", "type": kind})


def _time(reason: Reason, value: float) -> Maker:
    """A row whose time is a double."""
    schema = _needed({"name": "features", "type": {"type": "map", "values": "double"}})
    headers = (_TYPE, ("schema", json.dumps(schema).encode()))

    def make(number: int, now_ms: int) -> Case:
        written = io.BytesIO()
        row = {**body(number, now_ms), "event_time_ms": value, "features": {"x0": 1.0}}
        fastavro.schemaless_writer(written, fastavro.parse_schema(schema), row)
        return refused(reason, written.getvalue(), number, *headers)

    return make


def _blown_up(items: int) -> Maker:
    """An array of records, each of one byte and as many fields of nothing as a header can name."""
    empty = [{"name": f"n{place}", "type": "null"} for place in range(1_500)]
    item = _record({"name": "a", "type": "int"}, *empty, name="Item")
    schema = _needed({"name": "more", "type": {"type": "array", "items": item}})
    headers = (_TYPE, ("schema", json.dumps(schema, separators=(",", ":")).encode()))

    def make(number: int, _now_ms: int) -> Case:
        value = _varint(1) + b"a" + _varint(1) + b"m" + bytes(8)
        value += _varint(items) + b"\x02" * items + b"\x00"
        return refused(Reason.SCHEMA_MISMATCH, value, number, *headers)

    return make


def _unusual(number: int, now_ms: int) -> Case:
    """A map in several blocks, one of them with its size in bytes."""
    whole = _row(number, now_ms, features={"x0": None})
    entry = _varint(1) + _varint(2) + b"x0"
    size = _varint(4)  # the entry's name of three bytes, and the branch of its null
    value = whole.replace(entry, _varint(-1) + size + entry[1:], 1)
    return good(value, number, *NAMED)


AVRO: Mapping[str, Maker] = {
    "Avro, cut short": _cut,
    "Avro with a byte too many": _more,
    "Avro with an id of 2^63 bytes": _starts(_HUGE),
    "Avro with an id of 2^40 bytes": _starts(_varint(1 << 40)),
    "Avro with an id of -1 bytes": _starts(_varint(-1)),
    "Avro with a varint without end": _starts(b"\xff" * 40),
    "Avro with a block of 2^62 features": _block(_varint(1 << 62)),
    "Avro with a block of -2^63 features": _block(_HUGE),
    "Avro in blocks": _unusual,
    "Avro of an unknown schema": _frame(UNKNOWN_ID, Reason.SCHEMA_UNKNOWN),
    "an Avro frame of three bytes": _bytes(b"\x00\x00\x01", Reason.MALFORMED),
    "an Avro frame of nothing": _bytes(b"\x00\xff\xff\xff\xff", Reason.SCHEMA_UNKNOWN),
    "Avro of a schema that is no JSON": _header(b"{", Reason.SCHEMA_MISMATCH),
    "Avro of a schema without a name": _header(b"\xff", Reason.SCHEMA_UNKNOWN),
    "Avro of a schema of nonsense": _header({"type": "record", "name": "R", "fields": 7}),
    "Avro of a schema of a list": _header([["null"]]),
    "Avro of another record's schema": _header(_record({"name": "a", "type": "int"})),
    "Avro of a schema that holds itself": _header(_needed({"name": "next", "type": ["null", "R"]})),
    "Avro of a schema that doubles": _header(_doubling(25)),
    "Avro of a schema nested deeply": _header(_nested(60)),
    "Avro of arrays of nothing": _header(
        _needed({"name": "more", "type": {"type": "array", "items": "null"}})
    ),
    "Avro of a schema of 70 KB": _header(_needed({"name": "x" * 70_000, "type": "int"})),
    "Avro that grows": _blown_up(200),
    "Avro with a time of NaN": _time(Reason.NOT_FINITE_TIME, float("nan")),
    "Avro with a time of infinity": _time(Reason.NOT_FINITE_TIME, float("-inf")),
    "Avro with a negative time": _time(Reason.TIME_OUT_OF_RANGE, -1.0),
    "Avro with a time of 1e300": _time(Reason.TIME_OUT_OF_RANGE, 1e300),
}

LARGE_AVRO: Mapping[str, Maker] = {"Avro that grows without bound": _blown_up(4_000_000)}
