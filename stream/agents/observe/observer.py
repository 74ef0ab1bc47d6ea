"""What the observe agent tells about itself: a protocol for metrics, and one that says nothing."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ObserveObserver", "SilentObserveObserver"]


class ObserveObserver(Protocol):
    """Hears what observe sees. Calls come from its engine's thread and must not block."""

    def rows(self, topic: str, count: int) -> None:
        """Rows of a topic were accepted (an Arrow batch is one record of many rows)."""

    def rejected(self, reason: str, count: int) -> None:
        """Records, or rows of a batch, went to the dead letters."""

    def late(self, count: int) -> None:
        """Rows counted in a later pane than their event time's."""

    def astray(self, topic: str, count: int) -> None:
        """Sampled rows stood in another partition than their key's."""

    def watermark(self, topic: str, watermark_ms: int) -> None:
        """The lowest watermark of the topic's partitions here, told at each commit."""

    def joined(self, event: str, count: int) -> None:
        """Predictions or labels met an event of the join (`outcomes.JoinEvent`)."""

    def pending(self, task: int, predictions: int, labels: int) -> None:
        """So many predictions and labels of a task are kept, told at each commit."""

    def invalid(self, sources: int) -> None:
        """So many sources are held back because too much in them is invalid."""

    def refused_profile(self) -> None:
        """A profile on the topic was nonsense, or contradicted an earlier one."""


class SilentObserveObserver:
    """An observer that does nothing."""

    def rows(self, topic: str, count: int) -> None:
        """Ignored."""

    def rejected(self, reason: str, count: int) -> None:
        """Ignored."""

    def late(self, count: int) -> None:
        """Ignored."""

    def astray(self, topic: str, count: int) -> None:
        """Ignored."""

    def watermark(self, topic: str, watermark_ms: int) -> None:
        """Ignored."""

    def joined(self, event: str, count: int) -> None:
        """Ignored."""

    def pending(self, task: int, predictions: int, labels: int) -> None:
        """Ignored."""

    def invalid(self, sources: int) -> None:
        """Ignored."""

    def refused_profile(self) -> None:
        """Ignored."""
