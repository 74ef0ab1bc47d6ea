"""JSON text to rows: a whole slice at C speed, what that refuses row by row, then plain parsing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec
import orjson

from stream.core.decode.envelope import Envelope, check_envelope, check_features
from stream.core.decode.fields import REFUSED, FieldValue, RefusedError
from stream.core.errors import Reason
from stream.core.records import Scalar

__all__ = [
    "drain",
    "nan_as_null",
    "parse",
    "plain_envelope",
    "plain_features",
    "read_envelope",
    "read_features",
]

_INT64: Final = 1 << 63

# NaN, or all that lies before the next one: strings (an unclosed one to the end), other bytes.
_PARTS: Final = re.compile(
    rb'NaN|(?:[^"N]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|N(?!aN))++', re.DOTALL
).findall

read_envelope: Final = msgspec.json.Decoder(Envelope).decode
read_features: Final = msgspec.json.Decoder(dict[str, FieldValue] | None).decode


def drain(results: Iterator[Any]) -> tuple[list[Any], list[int]]:
    """All results of an iterator at C speed, None where one raised, and the places of those.

    A `map` goes on after an exception, and `list.extend` keeps what it had: so one bad row
    costs one exception, not a second pass over the slice.
    """
    done: list[Any] = []
    refused: list[int] = []
    while True:
        try:
            done.extend(results)
        except REFUSED:
            refused.append(len(done))
            done.append(None)
        else:
            return done, refused


def parse(value: bytes | memoryview) -> Any:
    """The JSON value, also with NaN and Infinity literals. Raises RefusedError if it is none."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(str(value, "utf-8"), parse_int=_integer)
    except (ValueError, RecursionError) as broken:
        problem = "nested too deeply" if isinstance(broken, RecursionError) else str(broken)
        raise RefusedError(Reason.MALFORMED, f"not JSON: {problem[:120]}") from broken


def plain_envelope(value: bytes, max_features: int) -> Envelope:
    """A row that the fast road refused. Raises RefusedError with the reason.

    NaN literals, which Python's json writes, are read as the nulls they stand for; what is
    still refused is read field by field.
    """
    if b"NaN" in value:
        (envelope,), refused = drain(map(read_envelope, (nan_as_null(value),)))
        if not refused:
            read: Envelope = envelope
            return read
    return check_envelope(parse(value), max_features)


def plain_features(features: object, max_features: int) -> dict[str, Scalar] | None:
    """Features, given as JSON text or as parsed, read field by field; None where there are none.

    Raises RefusedError where they aren't an object of scalars.
    """
    if isinstance(features, msgspec.Raw):
        # the fast road's own parser comes first: it takes what a plan's typed one takes
        (known,), refused = drain(map(read_features, (features,)))
        if not refused and (known is None or len(known) <= max_features):
            read: dict[str, Scalar] | None = known
            return read
        features = parse(memoryview(features)) if refused else known
    if features is None:
        return None
    if not isinstance(features, dict):
        raise RefusedError(
            Reason.WRONG_TYPE, f"features: expected an object, got {type(features).__name__}"
        )
    return check_features(features, max_features)


def nan_as_null(value: bytes) -> bytes:
    """The text with every NaN outside of strings replaced; work is linear for any bytes."""
    if b"\\" in value:
        return b"".join([b"null" if part == b"NaN" else part for part in _PARTS(value)])
    parts = value.split(b"NaN")
    text = [parts[0]]
    quotes = 0  # nothing is escaped, so an even number of quotes before it means outside
    for before, after in pairwise(parts):
        quotes += before.count(b'"')
        text += (b"NaN" if quotes % 2 else b"null", after)
    return b"".join(text)


def _integer(text: str) -> int | float:
    """Integers beyond 64 bits are floats, as orjson reads them (and bounded work for any text)."""
    if len(text) > 20:
        return float(text)
    value = int(text)
    return value if -_INT64 <= value < 2 * _INT64 else float(text)
