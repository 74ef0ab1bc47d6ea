"""What the detect agent tells about itself: a protocol for metrics, and one that says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stream.core.records import ModelKey
from stream.core.specs import Severity

__all__ = ["DetectObserver", "Figure", "SilentDetectObserver"]

Figure = tuple[float | None, float | None, float | None]  # a metric's value, low, high


class DetectObserver(Protocol):
    """Hears what detect sees. Calls come from its engine's thread and must not block."""

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """A data window of all rows was written; its share of drifted features if scored."""

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """A scored window's scores by variable, of those that one score decides."""

    def expected(
        self, model: ModelKey, estimated: Mapping[str, Figure], serving: Mapping[str, Figure]
    ) -> None:
        """What a data window's performance was estimated to be, and how the model served it."""

    def performance(
        self,
        model: ModelKey,
        metrics: Mapping[str, Figure],
        coverage: float | None,
        delay_ms: Mapping[str, float],
    ) -> None:
        """A performance window of all rows was written; no metrics where it isn't scored."""

    def incidents_open(self, kind: str, severity: Severity, count: int) -> None:
        """So many incidents of a kind and severity are open in this worker's tasks."""

    def moved(self, rows: int) -> None:
        """Rows came for a closed pane and count in a later one."""

    def correction_late(self, count: int) -> None:
        """Labels came that would have changed outcomes of closed panes: they are dropped."""

    def models_refused(self, rows: int) -> None:
        """Predictions and labels came of models beyond the bound: they are counted here alone."""

    def labels_behind(self, behind_ms: int) -> None:
        """By how much event time performance windows are behind data windows, at most."""

    def refused(self, topic: str) -> None:
        """A record of `profiles`, `monitors` or `partials` was nonsense and is ignored."""


class SilentDetectObserver:
    """An observer that does nothing."""

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """Ignored."""

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """Ignored."""

    def expected(
        self, model: ModelKey, estimated: Mapping[str, Figure], serving: Mapping[str, Figure]
    ) -> None:
        """Ignored."""

    def performance(
        self,
        model: ModelKey,
        metrics: Mapping[str, Figure],
        coverage: float | None,
        delay_ms: Mapping[str, float],
    ) -> None:
        """Ignored."""

    def incidents_open(self, kind: str, severity: Severity, count: int) -> None:
        """Ignored."""

    def moved(self, rows: int) -> None:
        """Ignored."""

    def correction_late(self, count: int) -> None:
        """Ignored."""

    def models_refused(self, rows: int) -> None:
        """Ignored."""

    def labels_behind(self, behind_ms: int) -> None:
        """Ignored."""

    def refused(self, topic: str) -> None:
        """Ignored."""
