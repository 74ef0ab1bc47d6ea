"""A workload's records read back by other means than the worker's: json, fastavro, pyarrow."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa

from stream.workload import Produced

__all__ = ["Line", "partition_by_hand", "read_back"]

_SCHEMAS = Path(__file__).parents[1] / "schemas"
_OWN = {"predictions": "prediction", "features": "feature_row", "labels": "label"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it was found, with its record's place in time and the record's form."""

    topic: str
    partition: int
    timestamp_ms: int
    form: str
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The prediction's id."""
        return str(self.body["prediction_id"])

    @property
    def event_ms(self) -> int:
        """The producer's time."""
        return int(self.body["event_time_ms"])


def read_back(record: Produced) -> Iterator[Line]:
    """The rows of a record; a record of no format raises."""
    value, headers = record.value or b"", dict(record.headers)
    told = headers.get("content-type", b"").decode()
    if told == "application/avro":
        form, bodies = "avro", [_avro(record.topic, value, headers.get("schema"))]
    elif value[:1] == b"\xff":
        form, bodies = "arrow", list(_arrow(value))
    else:
        form, bodies = "json", [json.loads(value)]
    for body in bodies:
        yield Line(record.topic, record.partition, record.timestamp_ms, form, body)


def partition_by_hand(key: bytes, count: int) -> int:
    """murmur2 as Kafka's Java client computes it, byte by byte."""
    mask, mix = 0xFFFFFFFF, 0x5BD1E995
    state = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * mix & mask
        word = (word ^ word >> 24) * mix & mask
        state = (state * mix & mask) ^ word
    if whole < len(key):
        state = (state ^ int.from_bytes(key[whole:], "little")) * mix & mask
    state = (state ^ state >> 13) * mix & mask
    return ((state ^ state >> 15) & 0x7FFFFFFF) % count


def _avro(topic: str, value: bytes, schema: bytes | None) -> dict[str, Any]:
    name = _OWN[topic] if schema is None else schema.decode()
    text = name if name.startswith("{") else (_SCHEMAS / f"{name}.avsc").read_text()
    source = json.loads(text)
    for field in source["fields"]:
        if field["type"] == {"type": "long", "logicalType": "timestamp-millis"}:
            field["type"] = "long"
    body = io.BytesIO(value)
    record: Any = fastavro.schemaless_reader(body, fastavro.parse_schema(source), None)
    assert body.tell() == len(value)
    return dict(record)


def _arrow(value: bytes) -> Iterator[dict[str, Any]]:
    reader = pa.ipc.open_stream(value)
    shared = {k.decode(): v.decode() for k, v in (reader.schema.metadata or {}).items()}
    for row in reader.read_all().to_pylist():
        if isinstance(row["prediction_id"], bytes):
            row["prediction_id"] = str(uuid.UUID(bytes=row["prediction_id"]))
        nested: dict[str, Any] = dict(shared)
        for path, item in row.items():
            name, dot, inner = path.partition(".")
            if dot:
                nested.setdefault(name, {})[inner] = item
            else:
                nested[name] = item
        yield nested
