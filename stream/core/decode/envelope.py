"""What every row carries whatever its model: the typed envelope, and the slow road that checks it.

The fast road is msgspec's: it takes exactly what `Envelope` declares. What it refuses comes here
as a plain dict, is checked field by field, and ends as the same `Envelope` or as a `Refusal`.
Nothing here knows a profile: whether a row is refused depends on the row alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from stream.core.errors import Reason
from stream.core.records import Scalar

__all__ = [
    "END_OF_TIME_MS",
    "MAX_ID_BYTES",
    "NO_FEATURES",
    "REFUSED",
    "Envelope",
    "FieldValue",
    "Refusal",
    "RefusedError",
    "check_envelope",
    "check_features",
    "clean_scalar",
    "id_refusal",
    "said",
    "shown",
]

MAX_ID_BYTES: Final = 256
END_OF_TIME_MS: Final = 253_402_300_800_000  # the first millisecond of the year 10000
_INT64: Final = 1 << 63
_ADDRESS: Final = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")

REFUSED: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)

Whole = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
FieldValue = bool | Whole | float | str | None
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
_Version = Annotated[str, msgspec.Meta(max_length=MAX_ID_BYTES)]
_Time = (
    Annotated[int, msgspec.Meta(ge=0, lt=END_OF_TIME_MS)]
    | Annotated[float, msgspec.Meta(ge=0, lt=END_OF_TIME_MS)]
)

NO_FEATURES: Final = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, gc=False):
    """A row's fields; `features` is the producer's bytes, a dict, a plan's struct, or None."""

    prediction_id: _Id
    model: _Id
    event_time_ms: _Time
    version: _Version | None = ""
    features: msgspec.Raw = NO_FEATURES
    prediction: FieldValue = None
    score: float | dict[str, float | None] | None = None
    attributions: dict[str, float | None] | None = None
    latency_ms: float | None = None
    status: str | None = None
    tags: dict[str, FieldValue] | None = None


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
        return value if -_INT64 <= value < 2 * _INT64 else _as_float(value)
    if isinstance(value, float):
        return None if value != value else value
    raise RefusedError(
        Reason.WRONG_TYPE, f"{path}: expected a scalar, got {shown(value)}; flatten it"
    )


def check_features(value: Mapping[Any, Any], max_features: int) -> dict[str, Scalar]:
    """The features as name -> scalar. Raises RefusedError where one is an object or an array."""
    if len(value) > max_features:
        raise RefusedError(
            Reason.TOO_MANY_FEATURES, f"features: {len(value)} of them; at most {max_features}"
        )
    clean: dict[str, Scalar] = {}
    for name, item in value.items():
        kind = type(item)
        if kind is float:
            plain = item if item == item else None
        elif item is None or kind is bool or (kind is str and item.isascii()):
            plain = item
        else:
            plain = clean_scalar(item, f"features.{name}")
        clean[_key(name, "features")] = plain
    return clean


def check_envelope(row: object, max_features: int) -> Envelope:
    """The row as an Envelope, `features` as they came. Raises RefusedError with a reason."""
    if not isinstance(row, dict):
        raise RefusedError(Reason.MALFORMED, f"a row is an object; got {shown(row)}")
    prediction_id = _present(row, "prediction_id")
    refusal = id_refusal(prediction_id)
    if refusal is not None:
        raise RefusedError(*refusal)
    model = _name(_present(row, "model"), "model")
    if not model:
        raise RefusedError(Reason.MISSING_FIELD, "model: is empty")
    version = row.get("version")
    _check_optional(row)
    loose: Any = row.get("features")
    return Envelope(
        prediction_id=prediction_id,
        model=model,
        event_time_ms=_time(_present(row, "event_time_ms")),
        version="" if version is None else _name(version, "version"),
        features=loose,
        prediction=clean_scalar(row.get("prediction"), "prediction"),
        score=_score(row.get("score"), max_features),
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


def _present(row: dict[str, Any], field: str) -> Any:
    value = row.get(field)
    if value is None and (field != "prediction_id" or field not in row):
        raise RefusedError(Reason.MISSING_FIELD, f"{field}: is missing")
    return value


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise RefusedError(Reason.WRONG_TYPE, f"{field}: expected a string, got {shown(value)}")
    if len(value) > MAX_ID_BYTES:
        raise RefusedError(Reason.BAD_ID, f"{field}: longer than {MAX_ID_BYTES} characters")
    _encoded(value, field)
    return value


def _time(value: Any) -> int:
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


def _score(value: Any, max_features: int) -> float | dict[str, float | None] | None:
    if not isinstance(value, dict):
        return _number(value, "score")
    if len(value) > max_features:
        raise RefusedError(
            Reason.TOO_MANY_FEATURES, f"score: {len(value)} classes; at most {max_features}"
        )
    return {_key(name, "score"): _number(v, f"score.{name}") for name, v in value.items()}


def _number(value: Any, path: str) -> float | None:
    if value is None or value != value:
        return None
    if not isinstance(value, int | float):
        raise RefusedError(Reason.WRONG_TYPE, f"{path}: expected a number, got {shown(value)}")
    return _as_float(value)


def _check_optional(row: dict[str, Any]) -> None:
    """Fields that later stages will read are held to their types from the start."""
    for field in ("attributions", "tags"):
        value = row.get(field)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise RefusedError(
                Reason.WRONG_TYPE, f"{field}: expected an object, got {shown(value)}"
            )
        for name, item in value.items():
            if field == "tags":
                clean_scalar(item, f"tags.{name}")
            else:
                _number(item, f"attributions.{name}")
    _number(row.get("latency_ms"), "latency_ms")
    status = row.get("status")
    if status is not None and not isinstance(status, str):
        raise RefusedError(Reason.WRONG_TYPE, f"status: expected a string, got {shown(status)}")


def _key(name: Any, path: str) -> str:
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


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
