"""JSON text to rows: a whole slice at C speed, what that refuses row by row, then plain parsing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import orjson

from stream.core.decode.envelope import (
    REFUSED,
    Envelope,
    FieldValue,
    RefusedError,
    check_envelope,
    check_features,
)
from stream.core.errors import Reason
from stream.core.records import Scalar

__all__ = ["drain", "parse", "plain_envelope", "plain_features", "read_envelope", "read_features"]

_INT64: Final = 1 << 63

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
    """A row read field by field. Raises RefusedError with the reason."""
    return check_envelope(parse(value), max_features)


def plain_features(features: object, max_features: int) -> dict[str, Scalar] | None:
    """Features, given as JSON text or as parsed, read field by field; None where there are none.

    Raises RefusedError where they aren't an object of scalars.
    """
    if isinstance(features, msgspec.Raw):
        features = _loosely(features)
    if features is None:
        return None
    if not isinstance(features, dict):
        raise RefusedError(
            Reason.WRONG_TYPE, f"features: expected an object, got {type(features).__name__}"
        )
    return check_features(features, max_features)


def _loosely(raw: msgspec.Raw) -> Any:
    """The same parser that the fast road uses comes first, so that both take the same texts."""
    reader: Callable[[Any], Any] = read_features
    try:
        return reader(raw)
    except REFUSED:
        return parse(memoryview(raw))


def _integer(text: str) -> int | float:
    """Integers beyond 64 bits are floats, as orjson reads them (and bounded work for any text)."""
    if len(text) > 20:
        return float(text)
    value = int(text)
    return value if -_INT64 <= value < 2 * _INT64 else float(text)
