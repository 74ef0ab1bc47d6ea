"""Metrics with intervals as gauges: a value, a lower and an upper end for each name of a model."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from stream.core.records import ModelKey

__all__ = ["Figure", "ModelFigures"]

Figure = tuple[float | None, float | None, float | None]  # value, low, high
_ENDS = ("", "_low", "_high")


class ModelFigures:
    """Three gauges by model, version and metric: `NAME`, `NAME_low` and `NAME_high`.

    A model shows what its last window told; what that lacks is removed.
    """

    def __init__(self, registry: CollectorRegistry, name: str, doc: str) -> None:
        notes = (".", ": the lower end of its 95 % interval.", ": the upper end of it.")
        self._gauges = [
            Gauge(name + end, doc + note, ("model", "version", "metric"), registry=registry)
            for end, note in zip(_ENDS, notes, strict=True)
        ]
        self._shown: dict[ModelKey, list[set[str]]] = {}

    def set(self, model: ModelKey, told: Mapping[str, Figure], top: int) -> None:
        """Shows at most `top` metrics of a model, the first by name."""
        shown = self._shown.setdefault(model, [set() for _ in _ENDS])
        names = sorted(told)[:top]
        for place, gauge in enumerate(self._gauges):
            values = {name: told[name][place] for name in names}
            present = {name for name, value in values.items() if value is not None}
            for name in shown[place] - present:
                gauge.remove(*model, name)
            for name in present:
                gauge.labels(*model, name).set(values[name] or 0.0)
            shown[place] = present
