"""What the columns of an Arrow schema are: which model, which variables, or why it is no row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stream.core.decode.fields import MAX_ID_BYTES, RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason
from stream.core.records import ModelKey
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["Layout", "is_number", "is_text", "label_layout_of", "layout_of"]

_ID_BYTES: Final = 16
_LABEL_COLUMNS: Final = ("prediction_id", "label", "event_time_ms")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a schema by place.

    `model` is what the schema's metadata says; a column of either name goes before it.
    `variables` maps a variable's name to its column, `others` those of latency, status and
    tags. `texts` are the columns that are dictionaries of text. `label` is None but for labels,
    which have no variables, and of which "" as model means any.
    """

    model: ModelKey
    prediction_id: int
    event_time: int
    model_column: int | None
    version_column: int | None
    variables: Mapping[str, int]
    has_features: bool
    texts: tuple[int, ...]
    others: Mapping[str, int]
    label: int | None = None

    def feature_names(self) -> list[str]:
        """The variables that are features, in the schema's order."""
        return [name for name in self.variables if name.startswith(FEATURE_PREFIX)]


def layout_of(schema: Any, limits: DecodeLimits) -> Layout:
    """The layout of a schema. Raises RefusedError where its columns are not a row's."""
    places = _places(schema, ("prediction_id", "event_time_ms"))
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
        texts=_texts(schema),
        others={name: place for name, place in places.items() if _is_other(name)},
    )


def label_layout_of(schema: Any, _limits: DecodeLimits) -> Layout:
    """The layout of labels. Raises RefusedError where the columns are not a label's."""
    places = _places(schema, _LABEL_COLUMNS)
    own = [name for name in (*_LABEL_COLUMNS, "model") if name in places]
    _check_types([schema.field(places[name]) for name in own])
    return Layout(
        model=_model_of(schema.metadata or {}, needed=False),
        prediction_id=places["prediction_id"],
        event_time=places["event_time_ms"],
        model_column=places.get("model"),
        version_column=None,
        variables={},
        has_features=False,
        texts=_texts(schema),
        others={},
        label=places["label"],
    )


def is_number(kind: Any) -> bool:
    """Integers, floats and booleans."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def is_text(kind: Any) -> bool:
    """Strings of both widths."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _places(schema: Any, needed: tuple[str, ...]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(schema.names):
        if name in places:
            raise RefusedError(Reason.SCHEMA_MISMATCH, f"{name}: two columns of this name")
        places[name] = place
    for name in needed:
        if name not in places:
            raise RefusedError(Reason.MISSING_FIELD, f"{name}: no such column")
    return places


def _texts(schema: Any) -> tuple[int, ...]:
    return tuple(
        place
        for place, column in enumerate(schema)
        if pa.types.is_dictionary(column.type) and is_text(column.type.value_type)
    )


def _is_other(name: str) -> bool:
    return name in {"latency_ms", "status"} or name.startswith("tags.")


def _is_variable(name: str) -> bool:
    return name in {"prediction", "score"} or name.startswith((FEATURE_PREFIX, SCORE_PREFIX))


def _check_types(columns: Iterable[Any]) -> None:
    for column in columns:
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
        elif name in {"prediction", "label"} or name.startswith((FEATURE_PREFIX, "tags.")):
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
