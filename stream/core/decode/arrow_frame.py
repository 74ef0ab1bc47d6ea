"""The messages of an Arrow IPC stream, walked before anything is unpacked.

The reader allocates what a compressed buffer claims to unpack to; so the claims are added up
first. Layout: https://arrow.apache.org/docs/format/Columnar.html, Message.fbs and Schema.fbs.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from stream.core.decode.envelope import RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason

__all__ = ["Frame", "frame_of"]

_CONTINUATION: Final = 0xFFFFFFFF
_MAX_MESSAGES: Final = 4_096
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3

_prefix = struct.Struct("<II").unpack_from
_u32 = struct.Struct("<I").unpack_from
_i32 = struct.Struct("<i").unpack_from
_u16 = struct.Struct("<H").unpack_from
_i64 = struct.Struct("<q").unpack_from


class Frame(NamedTuple):
    """Where the schema message ends (its bytes tell streams of one schema), and the batches."""

    schema_end: int
    batches: int


def frame_of(value: bytes, limits: DecodeLimits) -> Frame:
    """Walks the stream's messages. Raises RefusedError where they are broken or too large."""
    try:
        return _walk(value, limits)
    except (struct.error, IndexError) as broken:
        raise RefusedError(Reason.MALFORMED, f"Arrow stream: {broken}") from broken


def _walk(value: bytes, limits: DecodeLimits) -> Frame:
    at = schema_end = batches = unpacked = rows = 0
    for number in range(_MAX_MESSAGES):
        if at == len(value):
            break
        mark, size = _prefix(value, at)
        if mark != _CONTINUATION:
            raise RefusedError(Reason.MALFORMED, f"Arrow stream: no message at byte {at}")
        if size == 0:
            break
        body = at + 8 + size
        message = _table(value, at + 8)
        kind = value[_field(value, message, 1)]
        if (kind == _SCHEMA) != (number == 0):
            raise RefusedError(Reason.MALFORMED, "Arrow stream: must start with its one schema")
        length = _i64(value, place)[0] if (place := _field(value, message, 3)) else 0
        if length < 0 or body + length > len(value):
            raise RefusedError(Reason.MALFORMED, "Arrow stream: is cut short")
        if kind == _SCHEMA:
            schema_end = body + length
        else:
            batch = _table(value, _field(value, message, 2))
            if kind == _DICTIONARY:
                batch = _table(value, _field(value, batch, 1))
            else:
                batches += 1
                rows += _i64(value, place)[0] if (place := _field(value, batch, 0)) else 0
            if _field(value, batch, 3):
                unpacked += _unpacked(value, batch, body, limits)
        if unpacked > limits.max_unpacked_bytes or rows > limits.max_rows_per_record:
            raise RefusedError(
                Reason.OVERSIZED,
                f"{rows} rows, {unpacked} bytes unpacked; at most "
                f"{limits.max_rows_per_record} and {limits.max_unpacked_bytes}",
            )
        at = body + length
    else:
        raise RefusedError(Reason.OVERSIZED, f"Arrow stream: over {_MAX_MESSAGES} messages")
    if not schema_end:
        raise RefusedError(Reason.MALFORMED, "Arrow stream: holds no schema")
    return Frame(schema_end, batches)


def _unpacked(value: bytes, batch: int, body: int, limits: DecodeLimits) -> int:
    """The bytes that the batch's compressed buffers claim to unpack to (-1: not compressed)."""
    field = _field(value, batch, 2)
    if not field:
        return 0
    vector = field + _u32(value, field)[0]
    total = 0
    for i in range(_u32(value, vector)[0]):
        offset, length = struct.unpack_from("<qq", value, vector + 4 + 16 * i)
        if length <= 0:
            continue
        if not 0 <= offset < len(value):
            raise RefusedError(Reason.MALFORMED, "Arrow stream: a buffer lies outside")
        claimed = _i64(value, body + offset)[0]
        if claimed < -1:
            raise RefusedError(Reason.MALFORMED, "Arrow stream: a buffer of negative size")
        total += length if claimed == -1 else claimed
        if total > limits.max_unpacked_bytes:
            break
    return total


def _table(value: bytes, at: int) -> int:
    """The position of the table that the offset at `at` points to."""
    if not at:
        raise RefusedError(Reason.MALFORMED, "Arrow stream: a message lacks its header")
    return at + int(_u32(value, at)[0])


def _field(value: bytes, table: int, slot: int) -> int:
    """The position of a table's field; 0 where it is absent."""
    vtable = table - _i32(value, table)[0]
    if vtable < 0:
        raise RefusedError(Reason.MALFORMED, "Arrow stream: a message points outside")
    place = 4 + 2 * slot
    if place >= _u16(value, vtable)[0]:
        return 0
    offset = int(_u16(value, vtable + place)[0])
    return table + offset if offset else 0
