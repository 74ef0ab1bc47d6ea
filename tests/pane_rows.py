"""Profiles and rows for the pane tests, made from a seed."""

from __future__ import annotations

import math

import numpy as np

from stream.core.catalog import Profiles
from stream.core.records import (
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Batch,
    ModelKey,
    Overrides,
    RawBatch,
    RawColumns,
)
from stream.core.specs import (
    MISSING,
    MISTYPED,
    OTHER,
    SPECIALS,
    UNSEEN,
    CategoricalVariable,
    NumericVariable,
    Profile,
)

BOTH = CARRIES_FEATURES | CARRIES_PREDICTION


def numeric(name: str, edges: list[float]) -> NumericVariable:
    counts = (1,) * (len(edges) - 1) + (0,) * SPECIALS
    return NumericVariable(name, tuple(edges), counts, 0.0, 1.0, edges[0], edges[-1])


def categorical(name: str, categories: list[str], others: list[str]) -> CategoricalVariable:
    counts = (1,) * len(categories) + (0,) * SPECIALS
    return CategoricalVariable(name, tuple(categories), tuple(others), counts)


def profile(model: str, rng: np.random.Generator, *, features: int = 3, **extra: object) -> Profile:
    """A profile with `features` numeric features, a score, a category and a prediction."""
    variables = [
        numeric(f"features.x{i}", np.unique(np.quantile(rng.normal(i, 1 + i, 500), _GRID)).tolist())
        for i in range(features)
    ]
    variables.append(numeric("score", np.linspace(0.0, 1.0, 11).tolist()))
    categories = (
        categorical("features.state", ["CA", "NY", "1"], ["TX"]),
        categorical("prediction", ["0", "1"], []),
    )
    key = ModelKey(model, "1")
    return Profile(key, f"hash-{model}", 500, tuple(variables), categories, **extra)  # type: ignore[arg-type]


_GRID = np.linspace(0.0, 1.0, 17)
_STATES = ["CA", "NY", "TX", "ZZ", 1, 1.0, True, "1", None]


def raw_rows(known: Profile, rng: np.random.Generator, count: int, times: list[int]) -> RawBatch:
    """Rows with everything that counts as data in them: nulls, infinities, other types."""
    columns: RawColumns = {}
    for variable in known.numeric:
        values = [float(v) for v in rng.normal(1.0, 3.0, count)]
        odd = (None, math.nan, math.inf, -math.inf, "text", True, 7, 10**400, variable.high)
        columns[variable.name] = [
            odd[int(rng.integers(0, len(odd)))] if rng.random() < 0.3 else value for value in values
        ]
    columns["features.state"] = [_STATES[i] for i in rng.integers(0, len(_STATES), count)]
    columns["prediction"] = [[0, 1, "1", 2, None][i] for i in rng.integers(0, 5, count)]
    columns["features.extra"] = [[None, 3.0][i] for i in rng.integers(0, 2, count)]
    carries = rng.choice([CARRIES_PREDICTION, CARRIES_FEATURES, BOTH], count).astype(np.uint8)
    record = np.arange(count, dtype=np.int32)
    zero = np.zeros(count, dtype=np.int32)
    return RawBatch(known.model, record, zero, np.array(times, dtype=np.int64), carries, columns)


def as_batch(raw: RawBatch, profiles: Profiles) -> Batch:
    """What the decoder makes of the same rows by their model's latest profile."""
    entry = profiles.latest(raw.model)
    assert entry is not None
    known = profiles.entries[entry]
    places: list[tuple[int, int, int]] = []
    matrix = np.full((len(known.numeric), len(raw)), np.nan)
    for v, variable in enumerate(known.numeric):
        for row, value in enumerate(raw.columns[variable.name]):
            if isinstance(value, str):
                places.append((v, row, variable.size + MISTYPED))
            elif value is not None:
                matrix[v, row] = float("inf") if value == 10**400 else float(value)
    codes = np.zeros((len(known.categorical), len(raw)), dtype=np.int64)
    for c, variable2 in enumerate(known.categorical):
        for row, value in enumerate(raw.columns[variable2.name]):
            codes[c, row] = _slot(variable2, value)
    spots = np.array(places, dtype=np.int64).reshape(-1, 3).T
    overrides = Overrides(spots[0], spots[1], spots[2]) if places else None
    extra = np.array([value is not None for value in raw.columns["features.extra"]])
    return Batch(
        raw.record,
        raw.row,
        np.full(len(raw), entry, dtype=np.int32),
        raw.event_time_ms,
        raw.carries,
        matrix,
        codes,
        overrides,
        extra.astype(np.int32),
    )


def _slot(variable: CategoricalVariable, value: object) -> int:
    if value is None:
        return variable.size + MISSING
    text = "1" if value in (1, "1") else str(value)
    if text in variable.categories:
        return variable.categories.index(text)
    return variable.size + (OTHER if text in variable.others else UNSEEN)
