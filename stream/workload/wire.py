"""Rows as the bytes of a record: JSON, Avro with and without its schema named, Arrow batches."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from typing import Any

import fastavro
import orjson
import pyarrow as pa

from stream import schemas
from stream.core.records import Header

__all__ = ["arrow_record", "avro_record", "json_record"]

_SCHEMAS = {"predictions": "prediction", "features": "feature_row", "labels": "label"}
_JSON: tuple[Header, ...] = (("content-type", b"application/json"),)
_AVRO: Header = ("content-type", b"application/avro")
_ARROW: tuple[Header, ...] = (("content-type", b"application/vnd.apache.arrow.stream"),)
_NESTED = ("features", "score", "tags")
_Record = tuple[bytes, tuple[Header, ...]]

_TEXT = ["null", "string"]
_OWN_LABEL = {
    "type": "record",
    "name": "Outcome",
    "fields": [
        {"name": "prediction_id", "type": "string"},
        {"name": "label", "type": ["null", "long", "double", "string"]},
        {"name": "event_time_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "model", "type": _TEXT, "default": None},
    ],
}
_OWN_HEADER: Header = ("schema", orjson.dumps(_OWN_LABEL))
_PARSED = fastavro.parse_schema(_OWN_LABEL)


def json_record(body: dict[str, Any], turn: int) -> _Record:
    """A row as JSON, by turns with its content type and without."""
    return orjson.dumps(body), _JSON if turn % 2 else ()


def avro_record(topic: str, body: dict[str, Any], turn: int) -> _Record:
    """A row as Avro, without a registry.

    By turns its header names our schema, nothing does (the topic's own is meant), or, of labels,
    the header holds a schema of the producer's own.
    """
    name = _SCHEMAS[topic]
    if topic == "labels" and turn % 3 == 2:
        return _written(_PARSED, body), (_AVRO, _OWN_HEADER)
    value = _written(schemas.schema(name), body)
    return value, (_AVRO,) if turn % 3 else (_AVRO, ("schema", name.encode()))


def arrow_record(rows: Sequence[dict[str, Any]], like: dict[str, Any], turn: int) -> _Record:
    """Rows of one model and version as an Arrow stream, of one batch or of two and an empty one.

    `like` gives the columns where there are no rows. Ids are 16 bytes each where all are UUIDs.
    """
    shared = {name: like[name] for name in ("model", "version")} if "version" in like else {}
    flat = [_flat(row, shared) for row in rows]
    names = list(dict.fromkeys(name for row in flat or [_flat(like, shared)] for name in row))
    samples = flat or [_flat(like, shared)]
    columns = {name: _column(name, [row.get(name) for row in samples]) for name in names}
    table = pa.table(columns).replace_schema_metadata(shared).slice(0, len(flat))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        batches = table.to_batches() or [_empty(table.schema)]
        if turn % 4 == 3:
            half = len(flat) // 2
            parts = (table.slice(0, half), table.slice(half))
            batches = [_empty(table.schema), *(b for part in parts for b in part.to_batches())]
        for batch in batches:
            writer.write_batch(batch)
    value: bytes = sink.getvalue().to_pybytes()
    return value, _ARROW if turn % 2 else ()


def _written(schema: Any, body: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, body)
    return out.getvalue()


def _flat(row: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """A row's columns: nested fields by their path, what all rows share left out."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in shared:
            continue
        if name in _NESTED and isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _column(name: str, values: list[Any]) -> Any:
    if name == "prediction_id" and all(map(_is_uuid, values)):
        return pa.array([uuid.UUID(each).bytes for each in values], pa.binary(16))
    if name != "label" or all(isinstance(each, str | None) for each in values):
        return pa.array(values)
    if any(isinstance(each, str) for each in values):
        return pa.array([each if each is None else str(each) for each in values])
    return pa.array([None if each is None else float(each) for each in values])


def _empty(schema: Any) -> Any:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
