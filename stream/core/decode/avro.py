"""Avro rows: which schema wrote a record, and the record as a row of its topic."""

from __future__ import annotations

import io
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import fastavro
import msgspec
import numpy as np
import numpy.typing as npt

from stream.core.decode.avro_growth import PLAIN_GROWTH
from stream.core.decode.avro_schema import RowSchema, parse_text, row_schema
from stream.core.decode.envelope import Envelope, check_envelope
from stream.core.decode.fields import REFUSED, FieldValue, Refusal, RefusedError, said
from stream.core.errors import Reason, Rejected
from stream.core.records import Header, Slice

__all__ = ["ROW_FIELDS", "AvroReader", "SchemaSource", "convert_row"]

ROW_FIELDS: Final = frozenset({"prediction_id", "model", "event_time_ms"})
_R = TypeVar("_R")

_FRAME: Final = 5
_MAX_SCHEMAS: Final = 256
_MAX_TEXT_BYTES: Final = 1 << 20  # of all schemas in headers that are kept; parsed, they are larger
_MAX_MEMORY: Final = 512 << 20  # that one row may ask for, where its schema lets bytes grow much
_OWN: Final = {"predictions": "prediction", "features": "feature_row", "labels": "label"}

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


class AvroReader(Generic[_R]):
    """Reads Avro rows; keeps the last schemas that it has checked (at most 256, or 1 MB of text).

    A schema must have the fields `needed`; `convert` makes the row of a record's fields or
    raises RefusedError.

    A record's schema is, in this order: named or held by its `schema` header (a name of
    `own`, or JSON); known to the registry by the id of the Confluent frame 0x00; else our own
    schema of its topic.
    """

    def __init__(
        self,
        registry: SchemaSource | None,
        own: Mapping[str, dict[str, Any]],
        needed: frozenset[str],
        convert: Callable[[dict[str, Any]], _R],
    ) -> None:
        self._registry = registry
        self._own = own
        self._needed = needed
        self._convert = convert
        self._checked: OrderedDict[bytes | int | str, RowSchema | Refusal] = OrderedDict()
        self._text_bytes = 0

    def read(self, value: bytes, headers: Sequence[Header] | None, topic: str) -> _R | Refusal:
        """The row, or why it is refused. Raises BrokerError."""
        try:
            row, start = self._schema(value, headers, topic)
            return self._convert(_record(value, start, row))
        except RefusedError as error:
            return error.refusal

    def read_all(
        self, slice_: Slice, record: npt.NDArray[np.int32], rejected: list[Rejected]
    ) -> tuple[npt.NDArray[np.int32], list[_R]]:
        """The rows of these records of a slice, and which they are; the others are rejected."""
        rows: list[_R] = []
        kept: list[int] = []
        for i in record.tolist():
            headers = None if slice_.headers is None else slice_.headers[i]
            topic = slice_.sources[slice_.source[i]].topic
            read = self.read(slice_.values[i] or b"", headers, topic)
            if isinstance(read, Refusal):
                rejected.append(Rejected(i, *read))
            else:
                rows.append(read)
                kept.append(i)
        return np.array(kept, dtype=np.int32), rows

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
                known = row_schema(found, self._needed)
            except RefusedError as error:
                known = error.refusal
            self._checked[key] = known
            self._text_bytes += _text_bytes(key)
            while len(self._checked) > _MAX_SCHEMAS or self._text_bytes > _MAX_TEXT_BYTES:
                oldest, _ = self._checked.popitem(last=False)
                self._text_bytes -= _text_bytes(oldest)
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


def _text_bytes(key: bytes | int | str) -> int:
    return len(key) if isinstance(key, bytes) else 0


def convert_row(record: dict[str, Any], max_features: int) -> Envelope:
    """The Envelope of a row whose features come with it. Raises RefusedError with a reason."""
    try:
        return msgspec.convert(record, _AvroEnvelope)
    except REFUSED:
        return check_envelope(record, max_features)


def _record(value: bytes, start: int, row: RowSchema) -> dict[str, Any]:
    if row.growth > PLAIN_GROWTH and row.growth * len(value) > _MAX_MEMORY:
        most = int(_MAX_MEMORY / row.growth)
        raise RefusedError(
            Reason.OVERSIZED,
            f"{len(value)} bytes of a schema whose arrays may grow in memory; at most {most}",
        )
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
