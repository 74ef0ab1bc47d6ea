"""What the detect agent tells about itself: a protocol for metrics, and one that says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stream.core.records import ModelKey
from stream.core.specs import Severity

__all__ = ["DetectObserver", "SilentDetectObserver"]


class DetectObserver(Protocol):
    """Hears what detect sees. Calls come from its engine's thread and must not block."""

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """A window was written; its share of drifted features if it was scored."""

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """A scored window's scores by variable, of those that one score decides."""

    def incidents_open(self, severity: Severity, count: int) -> None:
        """So many incidents of a severity are open in this worker's tasks."""

    def moved(self, rows: int) -> None:
        """Rows came for a closed pane and count in a later one."""

    def refused(self, topic: str) -> None:
        """A record of `profiles`, `monitors` or `partials` was nonsense and is ignored."""


class SilentDetectObserver:
    """An observer that does nothing."""

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """Ignored."""

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """Ignored."""

    def incidents_open(self, severity: Severity, count: int) -> None:
        """Ignored."""

    def moved(self, rows: int) -> None:
        """Ignored."""

    def refused(self, topic: str) -> None:
        """Ignored."""
