"""Rows that no known profile applies to, as plain columns by variable, one model at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from stream.core.records import ModelKey, RawBatch, RawColumns, Scalar
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["PlainRow", "raw_batches"]

_MAX_CELLS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PlainRow:
    """One checked row; no feature is NaN (missing is None)."""

    model: ModelKey
    record: int
    event_time_ms: int
    carries: int
    features: dict[str, Scalar]
    prediction: Scalar
    score: float | Mapping[str, float | None] | None


def raw_batches(rows: Sequence[PlainRow]) -> list[RawBatch]:
    """The rows (ascending by record) as one RawBatch a model, in order of appearance.

    Rows that each bring new names would make columns of mostly nulls, so a batch is cut where
    names x rows would pass a million.
    """
    models: dict[ModelKey, list[PlainRow]] = {}
    for row in rows:
        models.setdefault(row.model, []).append(row)
    return [_batch(model, *part) for model, own in models.items() for part in _parts(own)]


def _parts(rows: list[PlainRow]) -> Iterator[tuple[list[PlainRow], list[str], list[str]]]:
    """The rows in parts of bounded size, with the names of their features and classes."""
    names: dict[str, None] = {}
    classes: dict[str, None] = {}
    part: list[PlainRow] = []
    for row in rows:
        own = row.features.keys()
        scored = row.score.keys() if isinstance(row.score, Mapping) else ()
        wider = names if names.keys() >= own else names | dict.fromkeys(own)
        more = classes | dict.fromkeys(scored) if scored else classes
        if part and (len(wider) + len(more)) * (len(part) + 1) > _MAX_CELLS:
            yield part, list(names), list(classes)
            part, wider, more = [], dict.fromkeys(own), dict.fromkeys(scored)
        names, classes = wider, more
        part.append(row)
    if part:
        yield part, list(names), list(classes)


def _batch(model: ModelKey, rows: list[PlainRow], names: list[str], classes: list[str]) -> RawBatch:
    features = [row.features for row in rows]
    columns: RawColumns = {
        FEATURE_PREFIX + name: list(map(dict.get, features, repeat(name))) for name in names
    }
    columns["prediction"] = [_present(row.prediction) for row in rows]
    columns["score"] = [_present(_score(row)) for row in rows]
    for name in classes:
        columns[SCORE_PREFIX + name] = [_present(_score(row, name)) for row in rows]
    count = len(rows)
    return RawBatch(
        model=model,
        record=np.array([row.record for row in rows], dtype=np.int32),
        row=np.zeros(count, dtype=np.int32),
        event_time_ms=np.array([row.event_time_ms for row in rows], dtype=np.int64),
        carries=np.array([row.carries for row in rows], dtype=np.uint8),
        columns={n: columns[n] for n in sorted(columns) if columns[n].count(None) < count},
    )


def _score(row: PlainRow, name: str | None = None) -> float | None:
    """The row's score, or its score of a class: a score of the other kind is absent."""
    if isinstance(row.score, Mapping):
        return None if name is None else row.score.get(name)
    return row.score if name is None else None


def _present(value: Scalar) -> Scalar:
    return None if value != value else value
