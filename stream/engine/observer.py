"""What the engine tells about itself: a protocol for metrics, and a silent observer."""

from __future__ import annotations

from typing import Protocol

__all__ = ["EngineObserver", "SilentObserver"]


class EngineObserver(Protocol):
    """Hears what an engine does. Calls come from the engine's thread and must not block.

    `agent` is the agent's name; `topic` is a logical name.
    """

    def consumed(self, agent: str, topic: str, records: int) -> None:
        """Records of an input topic were stepped."""

    def committed(self, agent: str, seconds: float) -> None:
        """A transaction was committed, the agent's own part included."""

    def paced(self, agent: str, seconds: float) -> None:
        """The next commit is due after so long; said after each commit."""

    def aborted(self, agent: str, reason: str) -> None:
        """A transaction was given up; `reason` is one of a few short words (see docs/engine.md)."""

    def restored(self, agent: str, tasks: int, records: int, seconds: float) -> None:
        """Tasks were rebuilt from so many changelog records, or (0 records) resumed as kept."""

    def assigned(self, agent: str, tasks: int) -> None:
        """So many tasks are this worker's now."""

    def lag(self, agent: str, topic: str, records: int) -> None:
        """Records of an input topic's assigned partitions that wait to be read."""

    def paused(self, agent: str, sources: int) -> None:
        """The agent has so many of its sources paused now."""

    def ready(self, agent: str, ready: bool) -> None:
        """True while the tasks are restored and the broker answers; said on each change."""


class SilentObserver:
    """An observer that does nothing."""

    def consumed(self, agent: str, topic: str, records: int) -> None:
        """Ignored."""

    def committed(self, agent: str, seconds: float) -> None:
        """Ignored."""

    def paced(self, agent: str, seconds: float) -> None:
        """Ignored."""

    def aborted(self, agent: str, reason: str) -> None:
        """Ignored."""

    def restored(self, agent: str, tasks: int, records: int, seconds: float) -> None:
        """Ignored."""

    def assigned(self, agent: str, tasks: int) -> None:
        """Ignored."""

    def lag(self, agent: str, topic: str, records: int) -> None:
        """Ignored."""

    def paused(self, agent: str, sources: int) -> None:
        """Ignored."""

    def ready(self, agent: str, ready: bool) -> None:
        """Ignored."""
