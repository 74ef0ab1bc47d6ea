"""The records' schemas (`schemas/*.avsc`): the one place that says what a record looks like.

Names are the files' names without their ending: `prediction`, `label`, `window_result`, …
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import orjson

from stream.conformance import Check, Mode, compile_check
from stream.core.errors import SchemaError

__all__ = [
    "decode_avro",
    "decode_json",
    "encode_avro",
    "encode_json",
    "names",
    "schema",
    "source",
]

_INSTALLED = Path(__file__).parent / "schemas_data"
_SOURCE_TREE = Path(__file__).parent.parent / "schemas"
_ENDING = ".avsc"
_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY


@cache
def names() -> tuple[str, ...]:
    """The names of all schemas, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob(f"*{_ENDING}")))


@cache
def source(name: str) -> dict[str, Any]:
    """The schema as it stands in its file, docs included; treat it as read-only.

    Raises SchemaError where there is no schema of that name.
    """
    path = _folder() / f"{name}{_ENDING}"
    try:
        loaded: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError as missing:
        raise SchemaError(f"no schema {name!r}; there are {', '.join(names())}") from missing
    except orjson.JSONDecodeError as broken:
        raise SchemaError(f"{path}: is not JSON: {broken}") from broken
    return loaded


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema parsed for fastavro; treat it as read-only.

    Raises SchemaError where there is no such schema, or the file is not an Avro schema.
    """
    try:
        parsed: dict[str, Any] = fastavro.parse_schema(source(name))  # type: ignore[assignment]  # all are records
    except (fastavro.schema.SchemaParseException, ValueError) as broken:
        raise SchemaError(f"schemas/{name}{_ENDING}: {broken!r}") from broken
    return parsed


def encode_avro(name: str, record: dict[str, Any]) -> bytes:
    """The record as an Avro body without header or frame; absent fields take their defaults.

    Raises SchemaError, naming the path, where a value does not fit or a field is unknown.
    """
    checked = _check(name, Mode.WRITE_AVRO)(record, name)
    buffer = io.BytesIO()
    try:
        fastavro.schemaless_writer(buffer, schema(name), checked)
    except ValueError as misfit:  # a text that is not Unicode
        raise SchemaError(f"{name}: cannot be written as Avro: {misfit}") from misfit
    return buffer.getvalue()


def decode_avro(name: str, body: bytes) -> dict[str, Any]:
    """The record of an Avro body that was written with this very schema.

    Raises SchemaError where the bytes are not such a body, or go on behind it.
    """
    buffer = io.BytesIO(body)
    try:
        record: dict[str, Any] = fastavro.schemaless_reader(buffer, schema(name), None)  # type: ignore[assignment]  # all are records
    except (ValueError, EOFError, IndexError, TypeError, OverflowError) as broken:
        raise SchemaError(f"{name}: is not an Avro body of its schema: {broken!r}") from broken
    if buffer.tell() != len(body):
        raise SchemaError(f"{name}: {len(body) - buffer.tell()} bytes follow the Avro body")
    return record


def encode_json(name: str, record: dict[str, Any]) -> bytes:
    """The record as JSON, keys sorted, absent fields filled with their defaults.

    NaN and infinities become null where null is allowed. Raises SchemaError, naming the path,
    where a value does not fit, a field without default is absent, or a field is unknown.
    """
    checked = _check(name, Mode.WRITE_JSON)(record, name)
    try:
        return orjson.dumps(checked, option=_JSON)
    except orjson.JSONEncodeError as misfit:
        raise SchemaError(f"{name}: cannot be written as JSON: {misfit}") from misfit


def decode_json(name: str, body: bytes) -> dict[str, Any]:
    """The record of a JSON body, absent fields filled with their defaults.

    Fields that the schema lacks are kept (a newer writer's). Raises SchemaError, naming the
    path, where the bytes are not JSON or a value does not fit.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise SchemaError(f"{name}: is not JSON: {broken}") from broken
    record: dict[str, Any] = _check(name, Mode.READ_JSON)(value, name)
    return record


@cache
def _check(name: str, mode: Mode) -> Check:
    return compile_check(schema(name), mode)


@cache
def _folder() -> Path:
    """Where the schemas are: package data where it is installed, else the source tree."""
    return _INSTALLED if _INSTALLED.is_dir() else _SOURCE_TREE
