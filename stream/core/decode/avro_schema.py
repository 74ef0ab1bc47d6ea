"""Whether a writer's schema is a row that may be read from untrusted bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import orjson

from stream.core.decode.avro_growth import growth_of
from stream.core.decode.fields import RefusedError, said
from stream.core.errors import Reason

__all__ = ["RowSchema", "parse_text", "row_schema"]

_MAX_NODES: Final = 20_000
_MAX_TEXT_BYTES: Final = 1 << 16
_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})
_EMPTY: Final = frozenset({"null"})
_PER_MS: Final = {
    "timestamp-micros": 1_000,
    "local-timestamp-micros": 1_000,
    "timestamp-nanos": 1_000_000,
    "local-timestamp-nanos": 1_000_000,
}


@dataclass(frozen=True, slots=True)
class RowSchema:
    """A schema parsed for fastavro, without logical types: values come as they are stored.

    `time_units` is how many of the time field's units make a millisecond, `growth` how many
    bytes of memory a byte of a row can become.
    """

    schema: dict[str, Any]
    time_units: int
    growth: float


def parse_text(text: bytes) -> dict[str, Any]:
    """The schema that a header holds, parsed. Raises RefusedError where it is none."""
    if len(text) > _MAX_TEXT_BYTES:
        raise RefusedError(Reason.SCHEMA_MISMATCH, f"header schema: {len(text)} bytes")
    try:
        parsed = fastavro.parse_schema(orjson.loads(text))
    except (
        fastavro.schema.SchemaParseException,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as broken:  # parse_schema trips over odd JSON in all these ways
        detail = f"header schema: is not an Avro schema: {said(broken)}"
        raise RefusedError(Reason.SCHEMA_MISMATCH, detail) from broken
    if not isinstance(parsed, dict):
        raise RefusedError(Reason.SCHEMA_MISMATCH, "header schema: is not a record")
    return parsed


def row_schema(parsed: Mapping[str, Any], needed: frozenset[str]) -> RowSchema:
    """The schema, made safe: finite work and memory for any bytes that claim to be of it.

    Raises RefusedError where it isn't a record with the fields needed, refers to itself (its
    values could nest as deep as a record is long), repeats itself beyond bounds, or has arrays
    of things that take no bytes, or far fewer than they take memory (a few bytes could ask for
    any number of them).
    """
    fields = {f["name"]: f["type"] for f in parsed.get("fields", ())}
    if parsed.get("type") != "record" or not fields.keys() >= needed:
        name, lacking = str(parsed.get("name"))[:60], sorted(needed - fields.keys())
        raise RefusedError(
            Reason.SCHEMA_MISMATCH,
            f"schema {name}: not a row; fields lacking: {', '.join(lacking)}",
        )
    named = parsed.get("__named_schemas", {})
    _Walk(named).measure(parsed, ())
    growth = growth_of(parsed, named)
    if math.isinf(growth):
        raise RefusedError(
            Reason.SCHEMA_MISMATCH, "schema: items that take far more memory than bytes"
        )
    return RowSchema(_plain(parsed), _time_units(fields["event_time_ms"]), growth)


class _Walk:
    """Counts the values a schema can hold without arrays and maps, and their fewest bytes."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = dict(named)
        self._nodes = 0

    def measure(self, schema: Any, inside: tuple[str, ...]) -> int:
        """The fewest bytes that a value of the schema takes."""
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(inside) > 50:
            raise RefusedError(Reason.SCHEMA_MISMATCH, "schema: too large for a row")
        if isinstance(schema, str):
            return self._named_size(schema, inside)
        if isinstance(schema, list):
            for branch in schema:
                self.measure(branch, (*inside, ""))
            return 1
        kind = schema["type"]
        name = schema.get("name", "")
        if kind in _NAMED:
            self._named[name] = schema
        if kind in {"record", "error"}:
            if name in inside:
                self._recursive(name)
            within = (*inside, name)
            return sum(self.measure(field["type"], within) for field in schema["fields"])
        if kind == "array":
            if self.measure(schema["items"], (*inside, "")) == 0:
                raise RefusedError(Reason.SCHEMA_MISMATCH, "schema: an array of empty values")
            return 1
        if kind == "map":
            self.measure(schema["values"], (*inside, ""))
            return 1
        if kind == "fixed":
            return int(schema["size"])
        return 1 if kind == "enum" else self.measure(kind, (*inside, ""))

    def _named_size(self, name: str, inside: tuple[str, ...]) -> int:
        if name in inside:
            self._recursive(name)
        known = self._named.get(name)
        if known is not None:
            return self.measure(known, inside)
        return 0 if name in _EMPTY else 1

    def _recursive(self, name: str) -> None:
        raise RefusedError(Reason.SCHEMA_MISMATCH, f"schema: {name[:60]} refers to itself")


def _plain(schema: Any) -> Any:
    """A copy without logical types."""
    if isinstance(schema, Mapping):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema


def _time_units(kind: Any) -> int:
    branches = kind if isinstance(kind, list) else [kind]
    for branch in branches:
        if isinstance(branch, Mapping) and branch.get("logicalType") in _PER_MS:
            return _PER_MS[branch["logicalType"]]
    return 1
