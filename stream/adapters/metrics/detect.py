"""Metrics of the detect agent: windows, drift, performance and serving by model, incidents."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.adapters.metrics.declared import Declared
from stream.adapters.metrics.figures import Figure, ModelFigures
from stream.core.records import ModelKey
from stream.core.specs import Severity

__all__ = ["INCIDENT_KINDS", "DetectMetrics"]

INCIDENT_KINDS = ("drift", "performance", "estimated", "serving", "fairness")

_WINDOWS = Declared(
    Counter,
    "driftstream_windows_closed_total",
    "Windows written, by whether they had rows enough to be scored.",
    ("scored",),
)
_MOVED = Declared(
    Counter,
    "driftstream_moved_rows_total",
    "Rows that came for a pane already closed and were counted in a later one.",
)
_SHARE = Declared(
    Gauge,
    "driftstream_drift_share_ratio",
    "Share of a model's features that drifted in its last scored window.",
    ("model", "version"),
)
_SCORE = Declared(
    Gauge,
    "driftstream_feature_score",
    "A feature's drift score in the last scored window; the highest of each model.",
    ("model", "version", "feature", "score"),
)
_OPEN = Declared(
    Gauge,
    "driftstream_incidents_open",
    "Incidents open now, by kind and severity.",
    ("kind", "severity"),
)
_PERFORMANCE = (
    "driftstream_performance",
    "A metric of the model's last scored performance window",
)
_ESTIMATED = (
    "driftstream_estimated_performance",
    "A metric that the last scored data window was estimated to have",
)
_SERVING = (
    "driftstream_serving",
    "How the model served its last data window: latency in ms, shares, rows a second",
)
# Gauges of one window: a summary, whose label `quantile` is, would want the sum of all delays.
_DELAY = Declared(
    Gauge,
    "driftstream_label_delay_seconds",
    "Time from prediction to label in the last scored performance window, by percentile.",
    ("model", "version", "percentile"),
)
_COVERAGE = Declared(
    Gauge,
    "driftstream_label_coverage_ratio",
    "Outcomes known, of the predictions made, over the label horizon.",
    ("model", "version"),
)
_LATE = Declared(
    Counter,
    "driftstream_corrections_late_total",
    "Labels that would have changed an outcome of a closed pane: dropped.",
)
_BEYOND = Declared(
    Counter,
    "driftstream_models_refused_rows_total",
    "Predictions and labels of model@versions beyond max_models: in no window.",
)
_BEHIND = Declared(
    Gauge,
    "driftstream_labels_behind_seconds",
    "Event time by which performance windows are behind data windows: labels are wanting.",
)
_UNSHOWN = Declared(
    Counter,
    "driftstream_models_without_series_total",
    "Windows of models beyond the number that may have series (metrics_models).",
)


class DetectMetrics:
    """What the detect agent tells: windows, drift and performance by model, incidents.

    At most `models` model@versions have series, and each at most `top` of a score: those that
    are highest in its last window, and as many metrics of each kind, the first by name.
    """

    def __init__(
        self, registry: CollectorRegistry, refused: Counter, models: int, top: int
    ) -> None:
        self._refused = refused
        self._limit = models
        self._top = top
        self._shown: dict[ModelKey, dict[str, list[str]]] = {}
        self._told: dict[ModelKey, set[str]] = {}
        self._windows = _WINDOWS.on(registry)
        self._moved = _MOVED.on(registry)
        self._share = _SHARE.on(registry)
        self._score = _SCORE.on(registry)
        self._open = _OPEN.on(registry)
        self._performance = ModelFigures(registry, *_PERFORMANCE)
        self._estimated = ModelFigures(registry, *_ESTIMATED)
        self._serving = ModelFigures(registry, *_SERVING)
        self._delay = _DELAY.on(registry)
        self._coverage = _COVERAGE.on(registry)
        self._late = _LATE.on(registry)
        self._beyond = _BEYOND.on(registry)
        self._behind = _BEHIND.on(registry)
        self._unshown = _UNSHOWN.on(registry)
        for scored in ("true", "false"):
            self._windows.labels(scored)
        for kind in INCIDENT_KINDS:
            for severity in Severity:
                self._open.labels(kind, severity.value)

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

    def expected(
        self, model: ModelKey, estimated: Mapping[str, Figure], serving: Mapping[str, Figure]
    ) -> None:
        """A data window's estimated performance and serving metrics."""
        if model in self._shown:
            self._estimated.set(model, estimated, self._top)
            self._serving.set(model, serving, self._top)

    def performance(
        self,
        model: ModelKey,
        metrics: Mapping[str, Figure],
        coverage: float | None,
        delay_ms: Mapping[str, float],
    ) -> None:
        """A performance window; without metrics those of the last scored one stay."""
        if not self._has_series(model):
            return
        if coverage is not None:
            self._coverage.labels(*model).set(coverage)
        for percentile, value in delay_ms.items():
            self._delay.labels(*model, percentile).set(value / 1000)
        if metrics:
            self._performance.set(model, metrics, self._top)

    def incidents_open(self, kind: str, severity: Severity, count: int) -> None:
        """So many incidents of a kind and severity are open in this worker's tasks."""
        self._open.labels(kind, severity.value).set(count)

    def moved(self, rows: int) -> None:
        """Rows came for a closed pane."""
        self._moved.inc(rows)

    def correction_late(self, count: int) -> None:
        """Labels would have changed outcomes of closed panes."""
        self._late.inc(count)

    def models_refused(self, rows: int) -> None:
        """Rows came of models beyond the bound."""
        self._beyond.inc(rows)

    def labels_behind(self, behind_ms: int) -> None:
        """Performance windows are behind data windows."""
        self._behind.set(behind_ms / 1000)

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
