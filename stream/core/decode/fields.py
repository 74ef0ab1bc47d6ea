"""The fields that rows of every topic are made of: their types, and the checks that give reasons.

The fast road is msgspec's: it takes exactly what the types declare. What it refuses is checked
field by field here. Nothing here knows a profile: whether a row is refused depends on it alone.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from stream.core.errors import Reason
from stream.core.records import Scalar

__all__ = [
    "END_OF_TIME_MS",
    "MAX_ID_BYTES",
    "REFUSED",
    "FieldValue",
    "Id",
    "Name",
    "Refusal",
    "RefusedError",
    "Time",
    "as_float",
    "checked_key",
    "checked_name",
    "checked_number",
    "checked_time",
    "clean_scalar",
    "id_refusal",
    "required",
    "said",
    "shown",
]

MAX_ID_BYTES: Final = 256
END_OF_TIME_MS: Final = 253_402_300_800_000  # the first millisecond of the year 10000
_INT64: Final = 1 << 63
_ADDRESS: Final = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")

REFUSED: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)

_Whole = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
FieldValue = bool | _Whole | float | str | None
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
Name = Annotated[str, msgspec.Meta(max_length=MAX_ID_BYTES)]
Time = (
    Annotated[int, msgspec.Meta(ge=0, lt=END_OF_TIME_MS)]
    | Annotated[float, msgspec.Meta(ge=0, lt=END_OF_TIME_MS)]
)


class Refusal(NamedTuple):
    """Why a row is refused."""

    reason: Reason
    detail: str


class RefusedError(Exception):
    """Carries a Refusal out of a nested check; never leaves the decode stage."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


def shown(value: object) -> str:
    """A value as an error may show it: its type and at most 60 characters."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else ""
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f"{type(value).__name__} {text}".rstrip()


def said(error: BaseException) -> str:
    """What an exception says, at most 160 characters, the same in every process."""
    text = _ADDRESS.sub("…", str(error))[:150]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def clean_scalar(value: Any, path: str) -> Scalar:
    """The scalar that a field's value is; NaN is None. Raises RefusedError for anything else."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not value.isascii():
            _encoded(value, path)
        return str(value)
    if isinstance(value, int):
        return value if -_INT64 <= value < 2 * _INT64 else as_float(value)
    if isinstance(value, float):
        return None if value != value else value
    raise RefusedError(
        Reason.WRONG_TYPE, f"{path}: expected a scalar, got {shown(value)}; flatten it"
    )


def id_refusal(value: object) -> Refusal | None:
    """Why a prediction id is refused, or None."""
    if not isinstance(value, str):
        return Refusal(Reason.BAD_ID, f"prediction_id: expected a string, got {shown(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return Refusal(Reason.BAD_ID, "prediction_id: holds a lone surrogate")
    if not 1 <= size <= MAX_ID_BYTES:
        return Refusal(Reason.BAD_ID, f"prediction_id: {size} bytes; must be 1 to {MAX_ID_BYTES}")
    return None


def required(row: dict[str, Any], field: str) -> Any:
    """The field's value. Raises RefusedError where it is absent or null (an id: absent)."""
    value = row.get(field)
    if value is None and (field != "prediction_id" or field not in row):
        raise RefusedError(Reason.MISSING_FIELD, f"{field}: is missing")
    return value


def checked_name(value: Any, field: str) -> str:
    """The name of a model or version. Raises RefusedError where it is none or too long."""
    if not isinstance(value, str):
        raise RefusedError(Reason.WRONG_TYPE, f"{field}: expected a string, got {shown(value)}")
    if len(value) > MAX_ID_BYTES:
        raise RefusedError(Reason.BAD_ID, f"{field}: longer than {MAX_ID_BYTES} characters")
    _encoded(value, field)
    return value


def checked_time(value: Any) -> int:
    """The time in whole milliseconds. Raises RefusedError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(
            Reason.WRONG_TYPE, f"event_time_ms: expected milliseconds, got {shown(value)}"
        )
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RefusedError(Reason.NOT_FINITE_TIME, f"event_time_ms: is {value}")
        if not value.is_integer():
            raise RefusedError(
                Reason.WRONG_TYPE, f"event_time_ms: expected whole milliseconds, got {value}"
            )
    if not 0 <= value < END_OF_TIME_MS:
        raise RefusedError(Reason.TIME_OUT_OF_RANGE, f"event_time_ms: {shown(value)}")
    return int(value)


def checked_number(value: Any, path: str) -> float | None:
    """The number, None for null and NaN. Raises RefusedError for anything else."""
    if value is None or value != value:
        return None
    if not isinstance(value, int | float):
        raise RefusedError(Reason.WRONG_TYPE, f"{path}: expected a number, got {shown(value)}")
    return as_float(value)


def checked_key(name: Any, path: str) -> str:
    """The name of a feature or class. Raises RefusedError where it is not Unicode text."""
    if not isinstance(name, str):
        raise RefusedError(Reason.WRONG_TYPE, f"{path}: a name is {shown(name)}, not a string")
    if not name.isascii():
        _encoded(name, path)
    return name


def _encoded(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as broken:
        raise RefusedError(Reason.MALFORMED, f"{path}: text that is not Unicode") from broken


def as_float(value: int | float) -> float:
    """The float next to an integer of any size, infinite beyond their range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
