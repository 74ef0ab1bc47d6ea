"""What every row carries whatever its model: the typed envelope, and the slow road that checks it.

The fast road is msgspec's: it takes exactly what `Envelope` declares. What it refuses comes here
as a plain dict, is checked field by field, and ends as the same `Envelope` or as a `Refusal`.
Nothing here knows a profile: whether a row is refused depends on the row alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stream.core.decode.fields import (
    FieldValue,
    Id,
    Name,
    RefusedError,
    Time,
    checked_key,
    checked_name,
    checked_number,
    checked_time,
    clean_scalar,
    id_refusal,
    required,
    shown,
)
from stream.core.errors import Reason
from stream.core.records import Scalar

__all__ = ["NO_FEATURES", "Envelope", "check_envelope", "check_features"]

NO_FEATURES: Final = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, gc=False):
    """A row's fields; `features` is the producer's bytes, a dict, a plan's struct, or None."""

    prediction_id: Id
    model: Id
    event_time_ms: Time
    version: Name | None = ""
    features: msgspec.Raw = NO_FEATURES
    prediction: FieldValue = None
    score: float | dict[str, float | None] | None = None
    attributions: dict[str, float | None] | None = None
    latency_ms: float | None = None
    status: str | None = None
    tags: dict[str, FieldValue] | None = None


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
        clean[checked_key(name, "features")] = plain
    return clean


def check_envelope(row: object, max_features: int) -> Envelope:
    """The row as an Envelope, `features` as they came. Raises RefusedError with a reason."""
    if not isinstance(row, dict):
        raise RefusedError(Reason.MALFORMED, f"a row is an object; got {shown(row)}")
    prediction_id = required(row, "prediction_id")
    refusal = id_refusal(prediction_id)
    if refusal is not None:
        raise RefusedError(*refusal)
    model = checked_name(required(row, "model"), "model")
    if not model:
        raise RefusedError(Reason.MISSING_FIELD, "model: is empty")
    version = row.get("version")
    optional: dict[str, Any] = {
        "attributions": _attributions(row.get("attributions")),
        "tags": _tags(row.get("tags")),
        "latency_ms": checked_number(row.get("latency_ms"), "latency_ms"),
        "status": _status(row.get("status")),
    }
    loose: Any = row.get("features")
    return Envelope(
        prediction_id=prediction_id,
        model=model,
        event_time_ms=checked_time(required(row, "event_time_ms")),
        version="" if version is None else checked_name(version, "version"),
        features=loose,
        prediction=clean_scalar(row.get("prediction"), "prediction"),
        score=_score(row.get("score"), max_features),
        **optional,
    )


def _score(value: Any, max_features: int) -> float | dict[str, float | None] | None:
    if not isinstance(value, dict):
        return checked_number(value, "score")
    if len(value) > max_features:
        raise RefusedError(
            Reason.TOO_MANY_FEATURES, f"score: {len(value)} classes; at most {max_features}"
        )
    return {
        checked_key(name, "score"): checked_number(v, f"score.{name}") for name, v in value.items()
    }


def _attributions(value: Any) -> dict[str, float | None] | None:
    items = _items(value, "attributions")
    if items is None:
        return None
    return {str(name): checked_number(v, f"attributions.{name}") for name, v in items.items()}


def _tags(value: Any) -> dict[str, Scalar] | None:
    items = _items(value, "tags")
    if items is None:
        return None
    return {checked_key(name, "tags"): clean_scalar(v, f"tags.{name}") for name, v in items.items()}


def _items(value: Any, field: str) -> dict[Any, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise RefusedError(Reason.WRONG_TYPE, f"{field}: expected an object, got {shown(value)}")


def _status(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise RefusedError(Reason.WRONG_TYPE, f"status: expected a string, got {shown(value)}")
