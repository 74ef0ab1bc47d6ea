"""Rows of a model in columns, on their way from a table or a generator to the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.client import PredictionLogger
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["Chunk", "chunk_of", "log_chunk"]

Column = Any
"""Values of one variable: a numpy array or a list."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a model, a column a variable; without prediction or score where None."""

    features: Mapping[str, Column]
    prediction: Column | None = None
    score: Column | Mapping[str, Column] | None = None

    def __len__(self) -> int:
        columns = self.columns()
        return len(next(iter(columns.values()))) if columns else 0

    def columns(self) -> dict[str, Column]:
        """The columns by their variables' names, as reference profiles are built from."""
        named: dict[str, Column] = {
            f"{FEATURE_PREFIX}{name}": column for name, column in self.features.items()
        }
        if self.prediction is not None:
            named["prediction"] = self.prediction
        if isinstance(self.score, Mapping):
            named |= {f"{SCORE_PREFIX}{name}": column for name, column in self.score.items()}
        elif self.score is not None:
            named["score"] = self.score
        return named

    def part(self, start: int, end: int) -> Chunk:
        """The rows from `start` up to `end`."""
        return chunk_of({name: column[start:end] for name, column in self.columns().items()})


def chunk_of(columns: Mapping[str, Column]) -> Chunk:
    """The rows that columns by variables' names hold."""
    features = {
        name.removeprefix(FEATURE_PREFIX): column
        for name, column in columns.items()
        if name.startswith(FEATURE_PREFIX)
    }
    classes = {
        name.removeprefix(SCORE_PREFIX): column
        for name, column in columns.items()
        if name.startswith(SCORE_PREFIX)
    }
    return Chunk(features, columns.get("prediction"), classes or columns.get("score"))


def log_chunk(
    logger: PredictionLogger,
    chunk: Chunk,
    prediction_id: Column | None = None,
    event_time_ms: Column | int | None = None,
) -> list[str]:
    """Hands a chunk to the SDK; returns the rows' ids."""
    return logger.log_columns(
        features=chunk.features,
        prediction=chunk.prediction,
        score=chunk.score,
        prediction_id=prediction_id,
        event_time_ms=event_time_ms,
    )
