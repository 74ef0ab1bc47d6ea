"""What a row may hold: plain scalars, made from whatever numpy and pandas call one.

Every function takes the field's path and raises SchemaError that names it.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from stream.core.errors import SchemaError
from stream.core.records import Scalar

__all__ = [
    "PLAIN",
    "check_status",
    "check_time",
    "id_bytes",
    "new_id",
    "new_ids",
    "number",
    "numbers_by_name",
    "scalar",
    "scalars_by_name",
    "texts_by_name",
]

PLAIN = frozenset({str, int, float, bool, type(None)})
_NAMES = frozenset({str})
_MISSING_TYPES = frozenset({"NAType", "NaTType"})  # pandas' own, told by name: it may be absent
_MAX_ID_BYTES = 256
_MAX_TIME_MS = 253_402_300_800_000  # the year 10000
_INT64 = 1 << 63


def scalar(value: object, path: str) -> Scalar:
    """The value as text, number, boolean or None.

    numpy's scalars become Python's, pandas.NA becomes None, an integer beyond 64 bits a float.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        if value.dtype.kind in "mM":  # which numpy makes an int or a date, depending on the unit
            raise SchemaError(f"{path}: is {_shown(value)}, wants a number: write the unit out")
        value = value.item()
    if value is None or isinstance(value, (bool, float)):
        return value if value is None or isinstance(value, bool) else float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if -_INT64 <= whole < _INT64 else _as_float(whole)
    if isinstance(value, (Decimal, numbers.Real)):
        return float(value)
    if type(value).__name__ in _MISSING_TYPES:
        return None
    raise SchemaError(f"{path}: is {_shown(value)}, wants a number, a string, a boolean or None")


def scalars_by_name(values: object, path: str) -> dict[str, Scalar]:
    """Scalars by name; a dict of plain ones is returned as it is, not copied."""
    if (
        type(values) is dict
        and PLAIN.issuperset(map(type, values.values()))
        and _NAMES.issuperset(map(type, values))
    ):
        return values
    pairs = _mapping(values, path).items()
    return {_name(name, path): scalar(value, f"{path}.{name}") for name, value in pairs}


def number(value: object, path: str) -> int | float | None:
    """The value as a number; None and NaN become None."""
    plain = scalar(value, path)
    if isinstance(plain, (str, bool)):
        raise SchemaError(f"{path}: is {_shown(value)}, wants a number")
    return None if plain is None or plain != plain else plain


def numbers_by_name(values: object, path: str) -> dict[str, int | float]:
    """Numbers by name; those that are None or NaN are left out."""
    plain = {}
    for name, value in _mapping(values, path).items():
        each = number(value, f"{path}.{name}")
        if each is not None:
            plain[_name(name, path)] = each
    return plain


def texts_by_name(values: object, path: str) -> dict[str, str]:
    """Texts by name."""
    plain = {}
    for name, value in _mapping(values, path).items():
        if not isinstance(value, str):
            raise SchemaError(f"{path}.{name}: is {_shown(value)}, wants a string")
        plain[_name(name, path)] = str.__str__(value)
    return plain


def id_bytes(value: object) -> bytes:
    """A prediction id's UTF-8 bytes: the record's key."""
    if isinstance(value, uuid.UUID):
        value = str(value)
    if not isinstance(value, str):
        raise SchemaError(f"prediction_id: is {_shown(value)}, wants a string of 1 to 256 bytes")
    try:
        key = value.encode()
    except UnicodeEncodeError as misfit:
        raise SchemaError(f"prediction_id: {value!r} is not valid Unicode: {misfit}") from misfit
    if not 0 < len(key) <= _MAX_ID_BYTES:
        raise SchemaError(f"prediction_id: has {len(key)} bytes, wants 1 to {_MAX_ID_BYTES}")
    return key


def new_id() -> str:
    """A random UUID (version 4) as text; a quarter of what uuid.uuid4 costs."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_ids(rows: int) -> list[str]:
    """As many random UUIDs, as text; a tenth of what `new_id` costs for each."""
    octets = np.frombuffer(os.urandom(16 * rows), dtype=np.uint8).reshape(rows, 16).copy()
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(octets.tobytes().hex().encode(), dtype=np.uint8).reshape(rows, 32)
    letters = np.full((rows, 36), ord("-"), dtype=np.uint8)
    starts = ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12))
    for source, target, length in starts:
        letters[:, target : target + length] = digits[:, source : source + length]
    text = letters.tobytes().decode()
    return [text[start : start + 36] for start in range(0, len(text), 36)]


def check_time(value: object) -> int:
    """An event time in UTC milliseconds; None means now."""
    if value is None:
        return time.time_ns() // 1_000_000
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError("a boolean is no time")
        time_ms = operator.index(value)  # type: ignore[arg-type]  # what isn't one raises TypeError
    except TypeError as misfit:
        raise SchemaError(
            f"event_time_ms: is {_shown(value)}, wants an integer of UTC milliseconds"
        ) from misfit
    if not 0 <= time_ms < _MAX_TIME_MS:
        raise SchemaError(f"event_time_ms: {time_ms} is not within the years 1970 to 9999")
    return time_ms


def check_status(value: object) -> str:
    """A prediction's status: "ok" or "error"; None means "ok"."""
    if value is None:
        return "ok"
    if not isinstance(value, str) or value not in ("ok", "error"):
        raise SchemaError(f"status: is {_shown(value)}, wants 'ok' or 'error'")
    return str.__str__(value)


def _mapping(values: object, path: str) -> Mapping[Any, object]:
    if isinstance(values, Mapping):
        return values
    as_dict = getattr(values, "to_dict", None)  # a row of a pandas frame
    if getattr(values, "ndim", None) == 1 and as_dict is not None:
        row: dict[Any, object] = as_dict()
        return row
    raise SchemaError(f"{path}: is {_shown(values)}, wants a mapping of names to values")


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise SchemaError(f"{path}: has the name {name!r}, and names are strings")
    return str.__str__(name)


def _as_float(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text[:60]}{'…' if len(text) > 60 else ''} ({type(value).__name__})"
