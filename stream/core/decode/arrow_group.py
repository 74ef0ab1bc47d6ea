"""Good rows of one Arrow schema, put into batches by model and profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.core.decode.arrow_columns import filled, plain, present, slots
from stream.core.decode.arrow_served import served_of
from stream.core.decode.arrow_streams import Group
from stream.core.decode.assemble import Assembled
from stream.core.decode.plan import Plan
from stream.core.decode.plans import NO_PLAN, Plans
from stream.core.decode.values import Values
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Batch,
    Int64s,
    ModelKey,
    Overrides,
    RawBatch,
    Served,
)
from stream.core.specs import MISSING, MISTYPED

__all__ = ["batches_of"]


def batches_of(group: Group, plans: Plans, values: Values, done: Assembled) -> None:
    """Adds the rows to the batches, or to the raw ones where no profile is known to apply."""
    group.carries[:] |= CARRIES_FEATURES if group.layout.has_features else 0
    for model, rows in _by_model(group):
        entries = plans.entries_for(model, rows.event_time_ms)
        planned = entries != NO_PLAN
        wants = plans.wants(model.model)
        if planned.any():
            plan = plans.plan(int(entries[planned][0]))
            kept = rows.keep(planned)
            done.batches.append(_batch(kept, plan, served_of(kept, wants, values)))
        if not planned.all():
            kept = rows.keep(~planned)
            done.raw.append(_raw(kept, model, served_of(kept, wants, values)))


def _by_model(group: Group) -> Iterator[tuple[ModelKey, Group]]:
    layout, count = group.layout, len(group.record)
    if layout.model_column is None and layout.version_column is None:
        yield layout.model, group
        return
    models: list[Any] = [layout.model.model] * count
    if layout.model_column is not None:
        models = plain(group.column(layout.model_column))
    versions: list[Any] = [layout.model.version] * count
    if layout.version_column is not None:
        versions = plain(group.column(layout.version_column))
    places: dict[ModelKey, list[int]] = {}
    for i, (model, version) in enumerate(zip(models, versions, strict=True)):
        places.setdefault(ModelKey(str(model), version or ""), []).append(i)
    for key, own in places.items():
        mask = np.zeros(count, dtype=np.bool_)
        mask[own] = True
        yield key, group.keep(mask)


def _batch(rows: Group, plan: Plan, served: Served | None) -> Batch:
    profile, count = plan.profile, len(rows.record)
    columns = _carried(rows)
    kinds = [rows.column(columns[v.name]).type for v in profile.numeric if v.name in columns]
    narrow = all(pa.types.is_float32(kind) for kind in kinds)
    numeric = np.empty((len(profile.numeric), count), dtype=np.float32 if narrow else np.float64)
    codes = np.empty((len(profile.categorical), count), dtype=np.int64)
    odd: list[tuple[int, Int64s]] = []
    for j, variable in enumerate(profile.numeric):
        place = columns.get(variable.name)
        if place is None:
            numeric[j] = np.nan
            continue
        text = filled(rows.column(place), numeric[j])
        if text is not None:
            odd.append((j, np.flatnonzero(text)))
    for j, named in enumerate(profile.categorical):
        place = columns.get(named.name)
        if place is None:
            codes[j] = named.size + MISSING
        else:
            slots(rows.column(place), plan.lookups[j], codes[j])
    known = {variable.name for variable in profile.variables}
    return Batch(
        record=rows.record,
        row=rows.row,
        entry=np.full(count, plan.entry, dtype=np.int32),
        event_time_ms=rows.event_time_ms,
        carries=rows.carries,
        numeric=numeric,
        codes=codes,
        overrides=_overrides(plan, odd),
        unknown=_unknown(rows, [n for n in rows.layout.feature_names() if n not in known]),
        served=served,
    )


def _raw(rows: Group, model: ModelKey, served: Served | None) -> RawBatch:
    return RawBatch(
        model=model,
        record=rows.record,
        row=rows.row,
        event_time_ms=rows.event_time_ms,
        carries=rows.carries,
        columns={name: plain(rows.column(place)) for name, place in sorted(_carried(rows).items())},
        served=served,
    )


def _carried(rows: Group) -> Mapping[str, int]:
    """The variables that rows of the topic carry: of `features`, nothing but features."""
    variables = rows.layout.variables
    if rows.carries[0] & CARRIES_PREDICTION:
        return variables
    return {name: variables[name] for name in rows.layout.feature_names()}


def _overrides(plan: Plan, odd: list[tuple[int, Int64s]]) -> Overrides | None:
    if not sum(len(places) for _, places in odd):
        return None
    variable = np.concatenate([np.full(len(places), j, dtype=np.int64) for j, places in odd])
    row = np.concatenate([places for _, places in odd]).astype(np.int64)
    return Overrides(variable, row, plan.sizes[variable] + MISTYPED)


def _unknown(rows: Group, names: list[str]) -> npt.NDArray[np.int32] | None:
    """How many features of each row, neither null nor NaN, the profile doesn't know."""
    counts = np.zeros(len(rows.record), dtype=np.int32)
    for name in names:
        column = rows.column(rows.layout.variables[name])
        if not pa.types.is_null(column.type):
            counts += present(column)
    return counts if counts.any() else None
