"""What windows and alerts have in common as records: ids, moves, metrics, limits crossed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream.core.pane.spans import Closed, Move, Subject
from stream.core.score.performance import Breach, Estimate
from stream.core.signal.incident import identify

__all__ = ["breaches", "metrics", "moves", "of_subject", "window_id"]


def window_id(kind: str, subject: Subject, window: Iterable[int]) -> str:
    """The id of a window on the topic `windows`."""
    return identify("window", kind, *subject.model, subject.segment, *window)


def of_subject(subject: Subject) -> dict[str, Any]:
    """Whose window or alert it is."""
    return {
        "model": subject.model.model,
        "version": subject.model.version,
        "segment": subject.segment,
    }


def metrics(told: Mapping[str, Estimate]) -> dict[str, Any]:
    """Metrics with their intervals, by name."""
    return {
        name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        for name, estimate in told.items()
    }


def moves(closed: Closed) -> list[dict[str, Any]]:
    """Where rows of closed panes came from."""
    return [_move(move) for move in closed.moves]


def breaches(found: Iterable[Breach]) -> list[dict[str, Any]]:
    """Limits that were crossed."""
    return [
        {
            "metric": breach.metric,
            "value": breach.value,
            "low": breach.low,
            "high": breach.high,
            "limit": breach.limit,
            "rule": breach.rule,
        }
        for breach in found
    ]


def _move(move: Move) -> dict[str, Any]:
    return {
        **move.source._asdict(),
        "before": move.before,
        "after": move.after,
        "pane_ms": move.pane_ms,
    }
