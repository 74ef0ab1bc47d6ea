"""Whether the drift did harm: the reference's performance, the estimate, and what labels say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.cli.demo.scene import Scene

__all__ = ["performance_line", "verdict"]


def performance_line(scene: Scene) -> str:
    """The metric in the reference, as estimated now and as realised; empty without labels."""
    name, reference = _metric(scene)
    if not name:
        return ""
    line = f"{name}  reference {reference:.3f}"
    expected = _value(scene.last, "estimated", name)
    if expected is not None:
        line += f"  estimated {expected:.3f}"
    realised = _value(scene.judged, "metrics", name)
    if realised is None:
        return f"{line}  labels come later"
    return f"{line}  by labels {realised:.3f}{_range(scene, name)}"


def verdict(scene: Scene) -> str:
    """Whether the model became worse, in a sentence or two."""
    name, reference = _metric(scene)
    if not name:
        return "Whether it does harm isn't known: there are no labels."
    realised = _value(scene.judged, "metrics", name)
    if realised is None:
        return "Whether it does harm isn't known yet: too few labels have come."
    now = f"{realised:.3f}{_range(scene, name)}"
    if scene.harm is None:
        harm = "No harm seen"
        if _is_worse(scene, name, reference):
            harm = "Some harm, though less than makes an incident"
        return f"{harm}: {name} is {now} by its labels, {reference:.3f} in the reference."
    text = f"It did harm: by its labels {name} is {now}, and was {reference:.3f} in the reference."
    if scene.found_at is not None and scene.harmed_at is not None:
        later = scene.harmed_at - scene.found_at
        when = "after" if later >= 0 else "before"
        text += f"\nLabels told it {abs(later):.0f} s {when} the drift was found."
    expected = _value(scene.judged, "estimated", name)
    if expected is not None and abs(expected - realised) > abs(reference - realised) / 2:
        text += (
            f"\nIts scores alone had let expect {expected:.3f}: they are no longer worth what they "
            "were (concept drift)."
        )
    return text


def _metric(scene: Scene) -> tuple[str, float]:
    """The metric that harm is judged by, and its value in the reference; "" without labels."""
    outcome, name = scene.profile.outcome, scene.metric
    return (name, dict(outcome.metrics)[name]) if outcome is not None and name else ("", 0.0)


def _is_worse(scene: Scene, name: str, reference: float) -> bool:
    """Whether the metric's interval lies wholly on the bad side of the reference's value."""
    metric = (scene.judged or {}).get("metrics", {}).get(name) or {}
    end = metric.get("low" if name == "mae" else "high")
    return end is not None and (end > reference if name == "mae" else end < reference)


def _value(window: Mapping[str, Any] | None, part: str, name: str) -> float | None:
    metric = ((window or {}).get(part) or {}).get(name)
    return None if metric is None or metric["value"] is None else float(metric["value"])


def _range(scene: Scene, name: str) -> str:
    metric = (scene.judged or {}).get("metrics", {}).get(name) or {}
    low, high = metric.get("low"), metric.get("high")
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
