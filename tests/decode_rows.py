"""What decode's tests share: a profile, slices, and decoded rows in one comparable form."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stream import schemas
from stream.core.catalog import Profiles
from stream.core.decode import DecodeLimits, Decoder, SchemaSource
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Batch,
    Decoded,
    Header,
    ModelKey,
    RawBatch,
    Scalar,
    Slice,
    Source,
)
from stream.core.specs import (
    MISSING,
    MISTYPED,
    OTHER,
    UNSEEN,
    CategoricalVariable,
    NumericVariable,
    Profile,
    category,
)

MODEL = ModelKey("credit", "3")
NOW_MS = 1_760_000_000_000
EDGES = (0.0, 1.0, 2.0, 3.0)
OWN_SCHEMAS = {name: schemas.schema(name) for name in ("prediction", "feature_row", "label")}
ARROW = "application/vnd.apache.arrow.stream"
NUMERIC = ("age", "income", "score")
CATEGORICAL = ("state", "code", "prediction")


def numeric(name: str) -> NumericVariable:
    return NumericVariable(name, EDGES, (0,) * 7, 0.0, 1.0, 0.0, 3.0)


def categorical(name: str, *categories: str, others: tuple[str, ...] = ()) -> CategoricalVariable:
    return CategoricalVariable(name, categories, others, (0,) * (len(categories) + 4))


def profile(model: ModelKey = MODEL, effective_from_ms: int = 0, score: str = "score") -> Profile:
    return Profile(
        model=model,
        hash=f"hash of {model}",
        rows=1,
        numeric=(numeric("features.age"), numeric("features.income"), numeric(score)),
        categorical=(
            categorical("features.state", "CA", "NY", others=("TX",)),
            categorical("features.code", "1", "2.5", "true"),
            categorical("prediction", "0", "1"),
        ),
        effective_from_ms=effective_from_ms,
    )


def decoder(
    *known: Profile, registry: SchemaSource | None = None, limits: DecodeLimits | None = None
) -> Decoder:
    profiles = Profiles()
    for each in known:
        assert profiles.hear(each) is None
    return Decoder(profiles, registry, OWN_SCHEMAS, limits)


def slice_of(
    values: Sequence[bytes | None],
    topics: Sequence[str] | str = "predictions",
    headers: Sequence[Sequence[Header] | None] | None = None,
    timestamp_ms: int = NOW_MS,
) -> Slice:
    named = [topics] * len(values) if isinstance(topics, str) else list(topics)
    places = {"predictions": 0, "features": 1, "labels": 2}
    return Slice(
        sources=tuple(Source(topic, 0) for topic in places),
        source=np.array([places[topic] for topic in named], dtype=np.int32),
        offset=np.arange(len(values), dtype=np.int64),
        timestamp_ms=np.full(len(values), timestamp_ms, dtype=np.int64),
        values=values,
        headers=headers,
        key=lambda _record: None,
    )


def row(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "prediction_id": "id-1",
        "model": MODEL.model,
        "version": MODEL.version,
        "event_time_ms": NOW_MS,
        "features": {"age": 1.5, "income": 2, "state": "CA", "code": 1},
        "prediction": 1,
        "score": 0.25,
    }
    whole.update(fields)
    return {name: value for name, value in whole.items() if value is not ABSENT}


ABSENT: Any = object()


def text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


Variables = dict[str, float | int | str]
Row = tuple[ModelKey, int, int, Variables, int]


def rows_of(decoded: Decoded, by: Profile) -> dict[tuple[int, int], Row]:
    """Every accepted row by (record, row): model, time, carries, its variables, unknown ones.

    A numeric variable is its number, "missing" or "mistyped"; a categorical one its slot. Raw
    rows are read by the profile in the plainest way, as stage two would.
    """
    found: dict[tuple[int, int], Row] = {}
    for batch in decoded.batches:
        _ascends(batch)
        for i in range(len(batch)):
            found[_place(batch, i)] = _planned(batch, i, by)
    for raw in decoded.raw:
        _ascends(raw)
        for i in range(len(raw)):
            found[_place(raw, i)] = _raw(raw, i, by)
    assert len(found) == sum(map(len, decoded.batches)) + sum(map(len, decoded.raw))
    return found


def _ascends(batch: Batch | RawBatch) -> None:
    places = [_place(batch, i) for i in range(len(batch))]
    assert places == sorted(places)


def _place(batch: Batch | RawBatch, i: int) -> tuple[int, int]:
    return int(batch.record[i]), int(batch.row[i])


def _planned(batch: Batch, i: int, by: Profile) -> Row:
    variables: Variables = {}
    odd: set[int] = set()
    if batch.overrides is not None:
        over = batch.overrides
        odd = {int(v) for v, r in zip(over.variable, over.row, strict=True) if r == i}
        for variable, at, slot in zip(over.variable, over.row, over.slot, strict=True):
            assert slot == by.variables[variable].size + MISTYPED
            assert math.isnan(batch.numeric[variable, at])
    for j, each in enumerate(by.numeric):
        value = float(batch.numeric[j, i])
        variables[each.name] = "missing" if math.isnan(value) else value
        if j in odd:
            variables[each.name] = "mistyped"
    for j, named in enumerate(by.categorical):
        variables[named.name] = int(batch.codes[j, i])
    unknown = 0 if batch.unknown is None else int(batch.unknown[i])
    return by.model, int(batch.event_time_ms[i]), int(batch.carries[i]), variables, unknown


def _raw(raw: RawBatch, i: int, by: Profile) -> Row:
    values = {name: column[i] for name, column in raw.columns.items()}
    variables: Variables = {}
    for each in by.numeric:
        value = values.get(each.name)
        if value is None:
            variables[each.name] = "missing"
        else:
            variables[each.name] = "mistyped" if isinstance(value, str) else float(value)
    for named in by.categorical:
        variables[named.name] = slot_of(named, values.get(named.name))
    known = {variable.name for variable in by.variables}
    unknown = sum(
        value is not None and name.startswith("features.") and name not in known
        for name, value in values.items()
    )
    return raw.model, int(raw.event_time_ms[i]), int(raw.carries[i]), variables, unknown


def slot_of(variable: CategoricalVariable, value: Scalar) -> int:
    name = category(value)
    if name is None:
        return variable.size + MISSING
    if name in variable.categories:
        return variable.categories.index(name)
    return variable.size + (OTHER if name in variable.others else UNSEEN)


def arrow_bytes(
    columns: dict[str, Any], model: ModelKey | None = MODEL, options: Any = None
) -> bytes:
    batch = pa.record_batch(columns)
    if model is not None:
        batch = batch.replace_schema_metadata({"model": model.model, "version": model.version})
    return arrow_stream(batch, options=options)


def arrow_stream(*batches: Any, options: Any = None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def carries(topic: str, features: bool = True) -> int:
    own = CARRIES_PREDICTION if topic == "predictions" else 0
    return own | (CARRIES_FEATURES if features else 0)
