"""Metrics of the detect agent: windows, drift by model, incidents."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.core.records import ModelKey
from stream.core.specs import Severity

__all__ = ["DetectMetrics"]


class DetectMetrics:
    """What the detect agent tells: windows, drift by model, incidents.

    At most `models` model@versions have series, and each at most `top` of a score: those that
    are highest in its last window.
    """

    def __init__(
        self, registry: CollectorRegistry, refused: Counter, models: int, top: int
    ) -> None:
        # Long because each metric is declared here, once.
        self._refused = refused
        self._limit = models
        self._top = top
        self._shown: dict[ModelKey, dict[str, list[str]]] = {}
        self._told: dict[ModelKey, set[str]] = {}
        self._windows = Counter(
            "driftstream_windows_closed_total",
            "Windows written, by whether they had rows enough to be scored.",
            ("scored",),
            registry=registry,
        )
        self._moved = Counter(
            "driftstream_moved_rows_total",
            "Rows that came for a pane already closed and were counted in a later one.",
            registry=registry,
        )
        self._share = Gauge(
            "driftstream_drift_share_ratio",
            "Share of a model's features that drifted in its last scored window.",
            ("model", "version"),
            registry=registry,
        )
        self._score = Gauge(
            "driftstream_feature_score",
            "A feature's drift score in the last scored window; the highest of each model.",
            ("model", "version", "feature", "score"),
            registry=registry,
        )
        self._open = Gauge(
            "driftstream_incidents_open",
            "Incidents open now, by severity.",
            ("severity",),
            registry=registry,
        )
        self._unshown = Counter(
            "driftstream_models_without_series_total",
            "Windows of models beyond the number that may have series (metrics_models).",
            registry=registry,
        )
        for scored in ("true", "false"):
            self._windows.labels(scored)
        for severity in Severity:
            self._open.labels(severity.value)

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        """A window was written; its share of drifted features if it was scored."""
        self._windows.labels(str(scored).lower()).inc()
        if drift_share is None or not self._has_series(model):
            return
        self._share.labels(*model).set(drift_share)
        # A score that the last window didn't tell decides no more: a monitor changed it.
        for score in self._shown[model].keys() - self._told.get(model, set()):
            self._replace(model, score, [])
            del self._shown[model][score]
        self._told[model] = set()

    def feature_scores(self, model: ModelKey, score: str, scores: Mapping[str, float]) -> None:
        """A scored window's scores by feature; the highest take the place of the last ones.

        It follows the window's `window_closed`, once for each score that decides something.
        """
        if model not in self._shown:
            return
        highest = sorted(scores, key=lambda name: (-scores[name], name))[: self._top]
        self._replace(model, score, highest)
        self._told.setdefault(model, set()).add(score)
        for feature in highest:
            self._score.labels(*model, feature, score).set(scores[feature])

    def incidents_open(self, severity: Severity, count: int) -> None:
        """So many incidents of a severity are open in this worker's tasks."""
        self._open.labels(severity.value).set(count)

    def moved(self, rows: int) -> None:
        """Rows came for a closed pane."""
        self._moved.inc(rows)

    def refused(self, topic: str) -> None:
        """A record was nonsense and is ignored."""
        self._refused.labels("detect", topic).inc()

    def _replace(self, model: ModelKey, score: str, features: list[str]) -> None:
        for feature in self._shown[model].get(score, ()):
            if feature not in features:
                self._score.remove(*model, feature, score)
        self._shown[model][score] = features

    def _has_series(self, model: ModelKey) -> bool:
        if model in self._shown:
            return True
        if len(self._shown) >= self._limit:
            self._unshown.inc()
            return False
        self._shown[model] = {}
        return True
