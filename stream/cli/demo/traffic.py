"""What the demo sends: rows of a model that are like a reference at first, and then are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.cli.rows import Chunk
from stream.core.records import ModelKey, Scalar

__all__ = ["Rows", "Traffic"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a model, and what turned out to be true of each; None where nobody knows."""

    chunk: Chunk
    labels: Sequence[Scalar] | None = None

    def __len__(self) -> int:
        return len(self.chunk)


class Traffic(Protocol):
    """A model's rows: a reference, and a stream that is like it at first."""

    @property
    def model(self) -> ModelKey:
        """Whose rows they are."""

    @property
    def story(self) -> str:
        """What will change, in a few words; empty where nobody knows."""

    @property
    def positive(self) -> str:
        """The positive class; empty where the labels tell it."""

    @property
    def reference(self) -> Rows:
        """The rows that drift is measured against."""

    @property
    def total(self) -> int | None:
        """How many rows there are; None where there is no end."""

    def take(self, rows: int, moved: float) -> Rows | None:
        """The next rows, or None at the end; `moved` is how far the change has come, 0 to 1."""
