"""What the demo sends: rows in chunks of columns, from the example or from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stream.core.records import ModelKey
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["Chunk", "Traffic", "chunk_of"]

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


class Traffic(Protocol):
    """A model's rows: a reference, and a stream that is like it at first."""

    @property
    def model(self) -> ModelKey:
        """Whose rows they are."""

    @property
    def story(self) -> str:
        """What will change, in a few words; empty where nobody knows."""

    @property
    def reference(self) -> Chunk:
        """The rows that drift is measured against."""

    def take(self, rows: int, moved: float) -> Chunk | None:
        """The next rows, or None at the end; `moved` is how far the change has come, 0 to 1."""


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
