"""What the demo sends: rows of a model that are like a reference at first, and then are not."""

from __future__ import annotations

from typing import Protocol

from stream.cli.rows import Chunk
from stream.core.records import ModelKey

__all__ = ["Traffic"]


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

    @property
    def total(self) -> int | None:
        """How many rows there are; None where there is no end."""

    def take(self, rows: int, moved: float) -> Chunk | None:
        """The next rows, or None at the end; `moved` is how far the change has come, 0 to 1."""
