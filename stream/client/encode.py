"""A row's bytes on the wire, as JSON or Avro.

JSON has no NaN and no infinity. NaN is written as null: both say that the value is missing. An
infinity is a value, so it is written as the literal `Infinity` that JavaScript, Python and Java
read; the worker reads it too.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

import fastavro
import orjson

from stream import schemas
from stream.client.scalars import scalar
from stream.core.errors import SchemaError

__all__ = ["Encode", "avro_encoder", "encode_json", "within_64_bits"]

Encode = Callable[[dict[str, Any]], bytes]


def encode_json(row: dict[str, Any]) -> bytes:
    """The row as one JSON object. Raises SchemaError, naming text that has no UTF-8."""
    try:
        body = orjson.dumps(row)
    except TypeError as misfit:
        named = _misfit(row, misfit)
        if named is not None:
            raise named from misfit
        body = _encode_literally(row)
    if b"null" in body and _has_infinity(row):
        body = _encode_literally(row)
    return body


def avro_encoder(name: str) -> Encode:
    """Encodes rows by our schema of that name, without header or frame."""
    schema = schemas.schema(name)

    def encode(row: dict[str, Any]) -> bytes:
        try:
            return _written(schema, row)
        except (ValueError, TypeError, OverflowError) as misfit:
            named = _misfit(row, misfit)
            if named is not None:
                raise named from misfit
        try:
            return _written(schema, within_64_bits(row))
        except (ValueError, TypeError, OverflowError) as misfit:
            raise SchemaError(f"{name}: {misfit}") from misfit

    return encode


def within_64_bits(value: Any) -> Any:
    """The value with integers beyond 64 bits, wherever they are, made floats."""
    if isinstance(value, dict):
        return {name: within_64_bits(item) for name, item in value.items()}
    return scalar(value, "") if isinstance(value, int) else value


def _written(schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, row)
    return out.getvalue()


def _misfit(value: Any, cause: Exception, path: str = "") -> SchemaError | None:
    """The error that names the first text which has no UTF-8, if there is one."""
    if isinstance(value, dict):
        for key, item in value.items():
            at = f"{path}.{key!s}" if path else str(key)
            found = _misfit(key, cause, at) or _misfit(item, cause, at)
            if found is not None:
                return found
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return SchemaError(f"{path!a}: {value!a} is not valid Unicode: {cause}")
    return None


def _has_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    return isinstance(value, float) and math.isinf(value)


def _encode_literally(row: dict[str, Any]) -> bytes:
    text = json.dumps(_without_nan(row), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
