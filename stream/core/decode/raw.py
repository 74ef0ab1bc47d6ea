"""Rows that no known profile applies to, as plain columns by variable, one model at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.core.records import ModelKey, RawBatch, RawColumns, Scalar
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["PlainRow", "plain_values", "raw_batches"]

_MAX_CELLS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PlainRow:
    """One checked row; `values` maps variables' names to scalars that aren't null."""

    model: ModelKey
    record: int
    row: int
    event_time_ms: int
    carries: int
    values: Mapping[str, Scalar]


def plain_values(
    features: Mapping[str, Scalar] | None,
    prediction: Scalar,
    score: float | Mapping[str, float | None] | None,
) -> dict[str, Scalar]:
    """The values of a row by variable; nulls and NaN are left out."""
    values: dict[str, Scalar] = {}
    for name, value in (features or {}).items():
        values[FEATURE_PREFIX + name] = value
    values["prediction"] = prediction
    if isinstance(score, Mapping):
        for name, value in score.items():
            values[SCORE_PREFIX + name] = value
    else:
        values["score"] = score
    return {name: v for name, v in values.items() if v is not None and v == v}


def raw_batches(rows: Sequence[PlainRow]) -> list[RawBatch]:
    """The rows (ascending by record and row) as one RawBatch a model, in order of appearance.

    Rows that each bring new names would make columns of mostly nulls, so a batch is cut where
    names x rows would pass a million.
    """
    models: dict[ModelKey, list[PlainRow]] = {}
    for row in rows:
        models.setdefault(row.model, []).append(row)
    return [
        _batch(model, part, names) for model, own in models.items() for part, names in _parts(own)
    ]


def _parts(rows: list[PlainRow]) -> Iterator[tuple[list[PlainRow], list[str]]]:
    names: dict[str, None] = {}
    part: list[PlainRow] = []
    for row in rows:
        wider = (
            names | dict.fromkeys(row.values) if not names.keys() >= row.values.keys() else names
        )
        if part and len(wider) * (len(part) + 1) > _MAX_CELLS:
            yield part, list(names)
            part, wider = [], dict.fromkeys(row.values)
        names = wider
        part.append(row)
    if part:
        yield part, list(names)


def _batch(model: ModelKey, rows: list[PlainRow], names: list[str]) -> RawBatch:
    columns: RawColumns = {name: [row.values.get(name) for row in rows] for name in sorted(names)}
    return RawBatch(
        model=model,
        record=np.array([row.record for row in rows], dtype=np.int32),
        row=np.array([row.row for row in rows], dtype=np.int32),
        event_time_ms=np.array([row.event_time_ms for row in rows], dtype=np.int64),
        carries=np.array([row.carries for row in rows], dtype=np.uint8),
        columns=columns,
    )
