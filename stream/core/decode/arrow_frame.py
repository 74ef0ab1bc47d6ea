"""The messages of an Arrow IPC stream, walked before anything is unpacked.

The reader allocates what a compressed buffer claims to unpack to; so the claims are added up
first. Layout: https://arrow.apache.org/docs/format/Columnar.html, Message.fbs and Schema.fbs.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from stream.core.decode.fields import RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason

__all__ = ["Frame", "frame_of"]

_CONTINUATION: Final = 0xFFFFFFFF
_MAX_MESSAGES: Final = 4_096
_MAX_KEPT_BYTES: Final = 16_384
_MAX_RATIO: Final = 50
_MIN_ROOM: Final = 1 << 20
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3

_prefix = struct.Struct("<II").unpack_from
_u32 = struct.Struct("<I").unpack_from
_i32 = struct.Struct("<i").unpack_from
_u16 = struct.Struct("<H").unpack_from
_i64 = struct.Struct("<q").unpack_from
_extent = struct.Struct("<qq").unpack_from


class Frame(NamedTuple):
    """Where the schema message ends (its bytes tell streams of one schema), and what follows.

    `room` is how many bytes the record may take once unpacked. The body of the one batch, where
    there is just one and it comes last and as it is, lies from `body_start` to `body_end`; of
    others both are 0.
    """

    schema_end: int
    batches: int
    rows: int
    dictionary_bytes: int
    room: int
    body_start: int = 0
    body_end: int = 0


class _Message(NamedTuple):
    """A message's kind, its body's length, its rows, and its buffers if they are compressed."""

    kind: int
    body: int
    rows: int
    packed: tuple[tuple[int, int], ...]


def frame_of(value: bytes, limits: DecodeLimits) -> Frame:
    """Walks the stream's messages. Raises RefusedError where they are broken or too large."""
    try:
        return _walk(value, limits)
    except (struct.error, IndexError) as broken:
        raise RefusedError(Reason.MALFORMED, f"Arrow stream: {broken}") from broken


def _walk(value: bytes, limits: DecodeLimits) -> Frame:
    room = min(limits.max_unpacked_bytes, max(_MIN_ROOM, _MAX_RATIO * len(value)))
    at = schema_end = batches = unpacked = rows = dictionaries = start = end = 0
    for number in range(_MAX_MESSAGES):
        if at == len(value):
            break
        mark, size = _prefix(value, at)
        if mark != _CONTINUATION:
            raise _broken(f"no message at byte {at}")
        if size == 0:
            break
        body = at + 8 + size
        metadata = value[at + 8 : body]
        message = _kept(metadata) if size <= _MAX_KEPT_BYTES else _parsed(metadata)
        at = body + message.body
        start, end = (0, 0) if message.packed or message.kind != _BATCH else (body, at)
        if at > len(value):
            raise _broken("is cut short")
        if (message.kind == _SCHEMA) != (number == 0):
            raise _broken("must start with its one schema")
        if message.kind == _SCHEMA:
            schema_end = at
        else:
            claimed = _unpacked(value, body, message.packed)
            if message.kind == _DICTIONARY:
                dictionaries += max(message.body, claimed)
            batches += message.kind == _BATCH
            rows += message.rows
            unpacked += claimed
        if unpacked > room or rows > limits.max_rows_per_record:
            raise RefusedError(
                Reason.OVERSIZED,
                f"{rows} rows, {unpacked} bytes unpacked; at most "
                f"{limits.max_rows_per_record} and {room}",
            )
    else:
        raise RefusedError(Reason.OVERSIZED, f"Arrow stream: over {_MAX_MESSAGES} messages")
    if not schema_end:
        raise _broken("holds no schema")
    if batches > 1:
        start = end = 0
    return Frame(schema_end, batches, rows, dictionaries, room, start, end)


def _unpacked(value: bytes, body: int, packed: tuple[tuple[int, int], ...]) -> int:
    """What compressed buffers claim to unpack to: the integer that each starts with, -1 if raw."""
    total = 0
    for offset, length in packed:
        if length <= 0:
            continue
        if not 0 <= offset < len(value):
            raise _broken("a buffer lies outside")
        claimed = _i64(value, body + offset)[0]
        if claimed < -1:
            raise _broken("a buffer of negative size")
        total += length if claimed == -1 else claimed
    return total


def _parsed(metadata: bytes) -> _Message:
    """Reads a message's flatbuffer. Raises RefusedError, struct.error or IndexError."""
    message = _table(metadata, 0)
    place = _field(metadata, message, 1)
    kind = metadata[place] if place else 0
    place = _field(metadata, message, 3)
    body = int(_i64(metadata, place)[0]) if place else 0
    if body < 0 or kind not in {_SCHEMA, _DICTIONARY, _BATCH}:
        raise _broken(f"a message of kind {kind} and {body} bytes")
    if kind == _SCHEMA:
        return _Message(kind, body, 0, ())
    batch = _table(metadata, _header(metadata, message, 2))
    if kind == _DICTIONARY:
        batch = _table(metadata, _header(metadata, batch, 1))
    place = _field(metadata, batch, 0)
    rows = int(_i64(metadata, place)[0]) if place and kind == _BATCH else 0
    if rows < 0:
        raise _broken(f"a batch of {rows} rows")
    packed: tuple[tuple[int, int], ...] = ()
    if _field(metadata, batch, 3):
        vector = _table(metadata, _header(metadata, batch, 2))
        count = min(_u32(metadata, vector)[0], len(metadata) // 16)
        packed = tuple(_extent(metadata, vector + 4 + 16 * i) for i in range(count))
    return _Message(kind, body, rows, packed)


_kept = lru_cache(maxsize=256)(_parsed)  # a producer's messages are alike but for their bodies


def _header(metadata: bytes, table: int, slot: int) -> int:
    place = _field(metadata, table, slot)
    if not place:
        raise _broken("a message lacks its header")
    return place


def _table(metadata: bytes, at: int) -> int:
    """The position that the offset at `at` points to."""
    return at + int(_u32(metadata, at)[0])


def _field(metadata: bytes, table: int, slot: int) -> int:
    """The position of a table's field; 0 where it is absent."""
    vtable = table - int(_i32(metadata, table)[0])
    if vtable < 0:
        raise _broken("a message points outside")
    place = 4 + 2 * slot
    if place >= _u16(metadata, vtable)[0]:
        return 0
    offset = int(_u16(metadata, vtable + place)[0])
    return table + offset if offset else 0


def _broken(what: str) -> RefusedError:
    return RefusedError(Reason.MALFORMED, f"Arrow stream: {what}")
