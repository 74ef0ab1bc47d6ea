"""Labels, and rows of `features`, that are broken or unusual, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from stream import schemas
from stream.core.errors import Reason
from stream.core.records import Header
from tests.hostile.arrow import BATCH
from tests.hostile.case import Case, Maker, good, refused, text
from tests.kafka_io import Record

__all__ = ["FEATURES", "LABELS"]

_NAMED: tuple[Header, ...] = (("content-type", b"application/avro"), ("schema", b"label"))


def _label(number: int, now_ms: int, **fields: Any) -> bytes:
    whole = {"prediction_id": f"none-{number}", "label": 1, "event_time_ms": now_ms, **fields}
    return orjson.dumps({name: value for name, value in whole.items() if value is not ...})


def _fields(reason: Reason, **fields: Any) -> Maker:
    return lambda number, now_ms: refused(
        reason, _label(number, now_ms, **fields), number, topic="labels"
    )


def _odd(**fields: Any) -> Maker:
    return lambda number, now_ms: good(_label(number, now_ms, **fields), number, topic="labels")


def _literal(reason: Reason | None, old: bytes, new: bytes) -> Maker:
    def make(number: int, now_ms: int) -> Case:
        whole = _label(number, now_ms)
        assert old in whole
        value = whole.replace(old, new, 1)
        if reason is None:
            return good(value, number, topic="labels")
        return refused(reason, value, number, topic="labels")

    return make


def _time(reason: Reason, literal: bytes) -> Maker:
    return lambda number, now_ms: refused(
        reason, _label(number, now_ms).replace(b"%d" % now_ms, literal), number, topic="labels"
    )


def _bytes(reason: Reason, value: bytes | None, *headers: Header) -> Maker:
    return lambda number, _now_ms: refused(reason, value, number, *headers, topic="labels")


def _avro(number: int, now_ms: int) -> bytes:
    row = {"prediction_id": f"none-{number}", "label": "yes", "event_time_ms": now_ms}
    return schemas.encode_avro("label", row)


def _cut_avro(number: int, now_ms: int) -> Case:
    whole = _avro(number, now_ms)
    end = 1 + number % (len(whole) - 2)  # its last byte is the model that isn't named
    return refused(Reason.MALFORMED, whole[:end], number, *_NAMED, topic="labels")


def _stream(columns: Mapping[str, Any]) -> bytes:
    batch = pa.record_batch(dict(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    value: bytes = sink.getvalue().to_pybytes()
    return value


def _batch(number: int, now_ms: int) -> dict[str, Any]:
    return {
        "prediction_id": pa.array([f"none-{number}-{row}" for row in range(4)]),
        "label": pa.array([0.0, float("nan"), None, float("inf")]),
        "event_time_ms": pa.array([now_ms] * 4),
    }


def _partly(number: int, now_ms: int) -> Case:
    """Labels of which NaN and infinity are none; a null retracts."""
    record = Record(_stream(_batch(number, now_ms)), f"none-{number}".encode(), (BATCH,))
    return Case("labels", record, 2, {Reason.WRONG_TYPE: 2})


def _no_labels(number: int, now_ms: int) -> Case:
    columns = _batch(number, now_ms)
    del columns["label"]
    return refused(Reason.MISSING_FIELD, _stream(columns), number, BATCH, topic="labels")


def _cut_batch(number: int, now_ms: int) -> Case:
    whole = _stream(_batch(number, now_ms))
    return refused(Reason.MALFORMED, whole[: len(whole) // 2], number, BATCH, topic="labels")


def _row(reason: Reason, **fields: Any) -> Maker:
    return lambda number, now_ms: refused(
        reason, text(number, now_ms, **fields), number, topic="features"
    )


LABELS: Mapping[str, Maker] = {
    "a label, cut short": lambda number, now_ms: refused(
        Reason.MALFORMED, _label(number, now_ms)[:-1], number, topic="labels"
    ),
    "a label without a value": _bytes(Reason.EMPTY, None),
    "a label of an empty object": _bytes(Reason.MISSING_FIELD, b"{}"),
    "a label of noise": _bytes(Reason.UNKNOWN_FORMAT, b"\x93\x94"),
    "a label nested deeply": _literal(
        Reason.MALFORMED, b'"label":1', b'"label":' + b"[" * 5_000 + b"]" * 5_000
    ),
    "a label of no UTF-8": _literal(Reason.MALFORMED, b'"label":1', b'"label":"\xff"'),
    "a label of NaN": _literal(Reason.WRONG_TYPE, b'"label":1', b'"label":NaN'),
    "a label of 1e400": _literal(Reason.WRONG_TYPE, b'"label":1', b'"label":1e400'),
    "a label of 5,000 digits": _literal(
        Reason.WRONG_TYPE, b'"label":1', b'"label":' + b"9" * 5_000
    ),
    "a label of minus nought": _literal(None, b'"label":1', b'"label":-0'),
    "a label of 2^63": _odd(label=1 << 63),
    "a label of a list": _fields(Reason.WRONG_TYPE, label=[1]),
    "a label twice": _literal(None, b'"label":1', b'"label":[],"label":1'),
    "a label of a long text": _odd(label="y" * 50_000),
    "a null as a label": _odd(label=None),
    "no label": _fields(Reason.MISSING_FIELD, label=...),
    "a label without an id": _fields(Reason.MISSING_FIELD, prediction_id=...),
    "a label of an empty id": _fields(Reason.BAD_ID, prediction_id=""),
    "a label of an id of 257 bytes": _fields(Reason.BAD_ID, prediction_id="x" * 257),
    "a label of a model of 257 letters": _fields(Reason.BAD_ID, model="m" * 257),
    "a label with a time of NaN": _time(Reason.NOT_FINITE_TIME, b"NaN"),
    "a label with a time of infinity": _time(Reason.NOT_FINITE_TIME, b"Infinity"),
    "a label with a negative time": _time(Reason.TIME_OUT_OF_RANGE, b"-7"),
    "a label of the year 30000": _time(Reason.TIME_OUT_OF_RANGE, b"884541340800000"),
    "a label of next year": _time(Reason.EVENT_TIME_IN_FUTURE, b"253402300799998"),
    "a label as Avro, cut short": _cut_avro,
    "a label as Avro of an unknown schema": _bytes(
        Reason.SCHEMA_UNKNOWN, b"\x00\xee\x6b\x28\x00abc"
    ),
    "a label as Avro with an endless text": _bytes(Reason.MALFORMED, b"\xff" * 30, *_NAMED),
    "labels of which some are none": _partly,
    "Arrow without labels": _no_labels,
    "labels as Arrow, cut short": _cut_batch,
}
FEATURES: Mapping[str, Maker] = {
    "features, cut short": lambda number, now_ms: refused(
        Reason.MALFORMED, text(number, now_ms)[:-4], number, topic="features"
    ),
    "features of nothing": _row(Reason.MISSING_FIELD, features=...),
    "features without a value": lambda number, _now_ms: refused(
        Reason.EMPTY, None, number, topic="features"
    ),
    "features of a text": _row(Reason.WRONG_TYPE, features="x"),
}
