"""Avro rows: which schema wrote a record, and the record as an Envelope."""

from __future__ import annotations

import io
import struct
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import fastavro
import msgspec

from stream.core.decode.avro_schema import RowSchema, parse_text, row_schema
from stream.core.decode.envelope import (
    REFUSED,
    Envelope,
    FieldValue,
    Refusal,
    RefusedError,
    check_envelope,
    said,
)
from stream.core.errors import Reason
from stream.core.records import Header

__all__ = ["AvroReader", "SchemaSource"]

_FRAME: Final = 5
_MAX_SCHEMAS: Final = 256
_OWN: Final = {"predictions": "prediction", "features": "feature_row"}

# What fastavro raises for bytes that aren't what the schema says.
_BROKEN: Final = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    MemoryError,
)


class SchemaSource(Protocol):
    """Writers' schemas by id, as a Schema Registry keeps them."""

    def get(self, schema_id: int) -> dict[str, Any] | None:
        """The schema parsed for fastavro; None if there is none with this id.

        Raises BrokerError where that cannot be told now: the slice is tried again later, since
        a passing fault of the registry must not turn good rows into dead letters.
        """


class _AvroEnvelope(Envelope, gc=False):
    """An Envelope whose features were read with it."""

    features: dict[str, FieldValue] | None = None  # type: ignore[assignment]  # the same place


class AvroReader:
    """Reads Avro rows; keeps the last schemas that it has checked (at most 256).

    A record's schema is, in this order: named or held by its `schema` header (a name of
    `own`, or JSON); known to the registry by the id of the Confluent frame 0x00; else our own
    schema of its topic.
    """

    def __init__(
        self,
        registry: SchemaSource | None,
        own: Mapping[str, dict[str, Any]],
        max_features: int,
    ) -> None:
        self._registry = registry
        self._own = own
        self._max_features = max_features
        self._checked: OrderedDict[bytes | int | str, RowSchema | Refusal] = OrderedDict()

    def read(
        self, value: bytes, headers: Sequence[Header] | None, topic: str
    ) -> Envelope | Refusal:
        """The row with its features as a dict, or why it is refused. Raises BrokerError."""
        try:
            row, start = self._schema(value, headers, topic)
            record = _record(value, start, row)
        except RefusedError as error:
            return error.refusal
        try:
            read: Envelope = msgspec.convert(record, _AvroEnvelope)
        except REFUSED:
            return self._field_by_field(record)
        return read

    def _field_by_field(self, record: dict[str, Any]) -> Envelope | Refusal:
        try:
            return check_envelope(record, self._max_features)
        except RefusedError as error:
            return error.refusal

    def _schema(
        self, value: bytes, headers: Sequence[Header] | None, topic: str
    ) -> tuple[RowSchema, int]:
        named = next((v for name, v in headers or () if name == "schema"), None)
        if named:
            return self._kept(named), 0
        if value[0] == 0:
            if len(value) < _FRAME:
                raise RefusedError(Reason.MALFORMED, f"a frame of {len(value)} bytes")
            return self._kept(int.from_bytes(value[1:_FRAME], "big")), _FRAME
        return self._kept(_OWN[topic]), 0

    def _kept(self, key: bytes | int | str) -> RowSchema:
        known = self._checked.get(key)
        if known is None:
            found = self._find(key)
            try:
                known = row_schema(found)
            except RefusedError as error:
                known = error.refusal
            self._checked[key] = known
            if len(self._checked) > _MAX_SCHEMAS:
                self._checked.popitem(last=False)
        else:
            self._checked.move_to_end(key)
        if isinstance(known, Refusal):
            raise RefusedError(*known)
        return known

    def _find(self, key: bytes | int | str) -> Mapping[str, Any]:
        """The schema; what is unknown isn't remembered here, since a registry may learn it."""
        if isinstance(key, int):
            found = None if self._registry is None else self._registry.get(key)
            if found is None:
                why = "no registry is set" if self._registry is None else "the registry has none"
                raise RefusedError(Reason.SCHEMA_UNKNOWN, f"schema id {key}: {why}")
            return found
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
        if name in self._own:
            return self._own[name]
        if isinstance(key, bytes) and key.lstrip()[:1] in {b"{", b"[", b'"'}:
            return parse_text(key)
        raise RefusedError(
            Reason.SCHEMA_UNKNOWN,
            f"header schema: {name[:60]!r} is neither JSON nor one of {', '.join(self._own)}",
        )


def _record(value: bytes, start: int, row: RowSchema) -> dict[str, Any]:
    body = io.BytesIO(value)
    body.seek(start)
    try:
        record: Any = fastavro.schemaless_reader(body, row.schema, None)
    except _BROKEN as broken:
        detail = f"not of its schema {str(row.schema['name'])[:60]}: {said(broken)}"
        raise RefusedError(Reason.MALFORMED, detail) from broken
    if body.tell() != len(value):
        raise RefusedError(
            Reason.MALFORMED,
            f"{len(value) - body.tell()} bytes behind the row; is its schema right?",
        )
    if not isinstance(record, dict):
        raise RefusedError(Reason.SCHEMA_MISMATCH, "schema: is not a record")
    if row.time_units > 1 and isinstance(record["event_time_ms"], int):
        record["event_time_ms"] //= row.time_units
    raw_id = record["prediction_id"]
    if isinstance(raw_id, bytes) and len(raw_id) == 16:
        record["prediction_id"] = str(uuid.UUID(bytes=raw_id))
    return record
