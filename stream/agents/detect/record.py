"""Windows and warmed-up profiles as records: canonical bytes, the same for the same."""

from __future__ import annotations

from typing import Any

import orjson

from stream import schemas
from stream.agents.detect.figures import breaches, metrics, moves, of_subject, window_id
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.records import Output
from stream.core.results import DataResult, PerformanceResult, WindowResult
from stream.core.specs import Profile

__all__ = ["profile_output", "window_output", "window_record"]

_JSON = (("content-type", b"application/json"),)


def window_record(result: WindowResult) -> dict[str, Any]:
    """The window in the form of schemas/window_result.avsc."""
    closed, kind = result.closed, _kind(result)
    totals = closed.totals
    found = {
        "window_id": window_id(kind, result.subject, closed.window),
        **of_subject(result.subject),
        "kind": kind,
        "start_ms": closed.window.start_ms,
        "end_ms": closed.window.end_ms,
        "rows": totals.rows,
        "late_rows": totals.late_rows,
        "scored_rows": closed.scored_rows,
        "scored_from_ms": closed.scored_from_ms,
        "reason": closed.reason,
        "profile": "" if result.profile is None else result.profile.hash,
        "monitor_effective_from_ms": result.monitor.effective_from_ms,
        "dirty": result.dirty,
        "estimated": metrics(result.estimated),
        "breaches": [
            {"kind": kind.value, **breach}
            for kind, found in result.breaches.items()
            for breach in breaches(found)
        ],
        "moves": moves(closed),
    }
    return found | (_data(result) if isinstance(result, DataResult) else _performance(result))


def window_output(result: WindowResult) -> Output:
    """The window for the topic `windows`, keyed by its model@version."""
    value = orjson.dumps(window_record(result), option=orjson.OPT_SORT_KEYS)
    model = result.subject.model
    return Output("windows", model.key.encode(), value, _JSON)


def profile_output(profile: Profile) -> Output:
    """A warmed-up profile for the topic `profiles`."""
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    return Output("profiles", profile_key(profile), value, _JSON)


def _kind(result: WindowResult) -> str:
    return "data" if isinstance(result, DataResult) else "performance"


def _data(result: DataResult) -> dict[str, Any]:
    totals = result.closed.totals
    return {
        "feature_rows": totals.feature_rows,
        "unknown_features": totals.unknown_features,
        "duplicate_rows": totals.duplicate_rows,
        "unkept_rows": totals.unkept_rows,
        "scored": bool(result.scores),
        "features": _variables(result),
        "drift_share": result.drift_share,
        "drifted": [s.label for s in sorted(result.scores, key=lambda s: s.rank) if s.drifted],
        "serving": metrics(result.serving),
    }


def _performance(result: PerformanceResult) -> dict[str, Any]:
    coverage = result.coverage
    return {
        "scored": bool(result.metrics),
        "label_kind": "" if result.spec is None else result.spec.kind.value,
        "metrics": metrics(result.metrics),
        "residual": dict(result.residual),
        "reference_metrics": dict(result.reference),
        "fairness": metrics(result.fairness),
        "label_delay_ms": dict(result.delay),
        "coverage": coverage.share,
        "outcomes": coverage.outcomes,
        "predictions": coverage.predictions,
        "coverage_from_ms": coverage.from_ms,
        "label_sample": coverage.sample,
        "corrections": result.closed.corrections,
    }


def _variables(result: DataResult) -> dict[str, Any]:
    profile, counts = result.profile, result.closed.counts
    if profile is None or counts is None:
        return {}
    slots = {
        variable.name: counts[start : start + variable.width].tolist()
        for variable, start in zip(profile.variables, profile.starts.tolist(), strict=False)
    }
    return {
        scores.label: {
            "role": scores.role.value,
            "kind": scores.kind,
            "rows": scores.rows,
            "scores": scores.scores,
            "score": scores.score,
            "threshold": scores.threshold,
            "drifted": scores.drifted,
            "rank": scores.rank,
            "counts": slots[scores.name],
        }
        for scores in result.scores
    }
