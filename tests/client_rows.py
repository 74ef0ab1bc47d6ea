"""Rows as the SDK wrote them to Kafka, whatever their format."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import pyarrow as pa

from stream import schemas
from tests.kafka_io import Read

__all__ = ["arrow_rows", "arrow_table", "rows_of"]


def arrow_table(record: Read) -> Any:
    assert record.headers == (("content-type", b"application/vnd.apache.arrow.stream"),)
    assert record.key is None
    return pa.ipc.open_stream(record.value).read_all()


def arrow_rows(record: Read) -> list[dict[str, Any]]:
    table = arrow_table(record)
    shared = {name.decode(): text.decode() for name, text in table.schema.metadata.items()}
    rows = []
    for flat in table.to_pylist():
        row: dict[str, Any] = dict(shared)
        for path, value in flat.items():
            group, dot, name = path.partition(".")
            if dot:
                row.setdefault(group, {})[name] = value
            else:
                row[path] = value
        if isinstance(row["prediction_id"], bytes):
            row["prediction_id"] = str(uuid.UUID(bytes=row["prediction_id"]))
        rows.append(row)
    return rows


def rows_of(record: Read) -> list[dict[str, Any]]:
    headers = dict(record.headers)
    if headers.get("content-type") == b"application/avro":
        assert headers["schema"] == b"prediction"
        row = schemas.decode_avro("prediction", record.value or b"")
        return [{name: value for name, value in row.items() if value not in (None, {})}]
    if headers:
        return arrow_rows(record)
    return [orjson.loads(record.value or b"")]
