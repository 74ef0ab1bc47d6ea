"""What the columns of an Arrow schema are: which model, which variables, or why it is no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stream.core.decode.fields import MAX_ID_BYTES, RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason
from stream.core.records import ModelKey
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["Layout", "is_number", "is_text", "layout_of"]

_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a schema by place.

    `model` is what the schema's metadata says; a column of either name goes before it.
    `variables` maps a variable's name to its column. `texts` are the columns that are
    dictionaries of text.
    """

    model: ModelKey
    prediction_id: int
    event_time: int
    model_column: int | None
    version_column: int | None
    variables: Mapping[str, int]
    has_features: bool
    texts: tuple[int, ...]

    def feature_names(self) -> list[str]:
        """The variables that are features, in the schema's order."""
        return [name for name in self.variables if name.startswith(FEATURE_PREFIX)]


def layout_of(schema: Any, limits: DecodeLimits) -> Layout:
    """The layout of a schema. Raises RefusedError where its columns are not a row's."""
    places: dict[str, int] = {}
    for place, name in enumerate(schema.names):
        if name in places:
            raise RefusedError(Reason.SCHEMA_MISMATCH, f"{name}: two columns of this name")
        places[name] = place
    for name in ("prediction_id", "event_time_ms"):
        if name not in places:
            raise RefusedError(Reason.MISSING_FIELD, f"{name}: no such column")
    _check_types(schema)
    model = _model_of(schema.metadata or {}, needed="model" not in places)
    variables = {name: place for name, place in places.items() if _is_variable(name)}
    features = sum(name.startswith(FEATURE_PREFIX) for name in variables)
    for what, count in (("features", features), ("score", len(variables) - features)):
        if count > limits.max_features + (what == "score"):
            raise RefusedError(
                Reason.TOO_MANY_FEATURES, f"{what}: {count} columns; at most {limits.max_features}"
            )
    return Layout(
        model=model,
        prediction_id=places["prediction_id"],
        event_time=places["event_time_ms"],
        model_column=places.get("model"),
        version_column=places.get("version"),
        variables=variables,
        has_features=features > 0,
        texts=tuple(
            place
            for place, column in enumerate(schema)
            if pa.types.is_dictionary(column.type) and is_text(column.type.value_type)
        ),
    )


def is_number(kind: Any) -> bool:
    """Integers, floats and booleans."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def is_text(kind: Any) -> bool:
    """Strings of both widths."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_variable(name: str) -> bool:
    return name in {"prediction", "score"} or name.startswith((FEATURE_PREFIX, SCORE_PREFIX))


def _check_types(schema: Any) -> None:
    for column in schema:
        name, kind = column.name, column.type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        number, text = is_number(value), is_text(value)
        empty = pa.types.is_null(value)
        if name == "prediction_id":
            good = text or (pa.types.is_fixed_size_binary(kind) and kind.byte_width == _ID_BYTES)
        elif name == "event_time_ms":
            good = (number and not pa.types.is_boolean(kind)) or pa.types.is_timestamp(kind)
            good = good and not pa.types.is_dictionary(kind)
        elif name in {"model", "version", "status"}:
            good = text or empty
        elif name in {"score", "latency_ms"} or name.startswith((SCORE_PREFIX, "attributions.")):
            good = number or empty
        elif name == "prediction" or name.startswith((FEATURE_PREFIX, "tags.")):
            good = number or text or empty
        else:
            continue
        if not good:
            raise RefusedError(Reason.WRONG_TYPE, f"{name}: a column of {str(kind)[:80]}")


def _model_of(metadata: Mapping[bytes, bytes], *, needed: bool) -> ModelKey:
    try:
        model = metadata.get(b"model", b"").decode()
        version = metadata.get(b"version", b"").decode()
    except UnicodeDecodeError as broken:
        raise RefusedError(Reason.MALFORMED, f"schema metadata: {broken}") from broken
    if needed and not model:
        raise RefusedError(Reason.MISSING_FIELD, "model: neither a column nor schema metadata")
    if max(len(model), len(version)) > MAX_ID_BYTES:
        raise RefusedError(Reason.BAD_ID, f"model, version: longer than {MAX_ID_BYTES} characters")
    return ModelKey(model, version)
