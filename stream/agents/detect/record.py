"""Windows, incidents and warmed-up profiles as records: canonical bytes, the same for the same."""

from __future__ import annotations

from typing import Any

import orjson

from stream import cloudevents, schemas
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.pipeline import WindowResult
from stream.core.records import Output
from stream.core.score import VariableScores, bin_shares
from stream.core.signal.incident import Change, State, identify
from stream.core.specs import Profile, Role

__all__ = ["alert_output", "profile_output", "window_output", "window_record"]

_JSON = (("content-type", b"application/json"),)
_EVIDENCE = 10  # variables that an alert shows at most; all drifted ones are named
_BINS = 6  # bins of each that moved most


def window_record(result: WindowResult) -> dict[str, Any]:
    """The window in the form of schemas/window_result.avsc."""
    model, closed = result.model, result.closed
    window, totals = closed.window, closed.totals
    return {
        "window_id": identify("window", "data", *model, "", *window),
        "model": model.model,
        "version": model.version,
        "segment": "",
        "kind": "data",
        "start_ms": window.start_ms,
        "end_ms": window.end_ms,
        "rows": totals.rows,
        "feature_rows": totals.feature_rows,
        "late_rows": totals.late_rows,
        "unknown_features": totals.unknown_features,
        "scored": bool(result.scores),
        "scored_rows": closed.scored_rows,
        "scored_from_ms": closed.scored_from_ms,
        "reason": closed.reason,
        "profile": "" if result.profile is None else result.profile.hash,
        "monitor_effective_from_ms": result.monitor.effective_from_ms,
        "features": _variables(result),
        "drift_share": result.drift_share,
        "drifted": [s.label for s in _by_rank(result) if s.drifted],
        "dirty": result.dirty,
        "moves": [
            {**move.source._asdict(), "before": move.before, "after": move.after}
            | {"pane_ms": move.pane_ms}
            for move in closed.moves
        ],
    }


def window_output(result: WindowResult) -> Output:
    """The window for the topic `windows`, keyed by its model@version."""
    value = orjson.dumps(window_record(result), option=orjson.OPT_SORT_KEYS)
    return Output("windows", result.model.key.encode(), value, _JSON)


def alert_output(result: WindowResult, change: Change, event_source: str) -> Output:
    """The CloudEvent of what a window did to an incident, keyed by the incident."""
    headers, value = cloudevents.encode(
        cloudevents.CloudEvent(
            id=change.id,
            source=event_source,
            type=f"io.driftstream.incident.{change.state.value}.v1",
            data=orjson.dumps(_alert(result, change), option=orjson.OPT_SORT_KEYS),
            subject=result.model.key,
            time=cloudevents.event_time(change.at_ms),
            dataschema=cloudevents.schema_uri("alert"),
        )
    )
    return Output("alerts", change.incident.id.encode(), value, headers)


def profile_output(profile: Profile) -> Output:
    """A warmed-up profile for the topic `profiles`."""
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    return Output("profiles", profile_key(profile), value, _JSON)


def _variables(result: WindowResult) -> dict[str, Any]:
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


def _by_rank(result: WindowResult) -> list[VariableScores]:
    return sorted(result.scores, key=lambda scores: scores.rank)


def _alert(result: WindowResult, change: Change) -> dict[str, Any]:
    incident, window = change.incident, result.closed.window
    return {
        "incident_id": incident.id,
        "state": change.state.value,
        "kind": "drift",
        "severity": incident.severity.value,
        "model": result.model.model,
        "version": result.model.version,
        "segment": "",
        "summary": _summary(result, change),
        "opened_ms": incident.opened_ms,
        "since_ms": incident.since_ms,
        "at_ms": change.at_ms,
        "resolved_ms": change.at_ms if change.state is State.RESOLVED else None,
        "window_start_ms": window.start_ms,
        "window_end_ms": window.end_ms,
        "window_id": identify("window", "data", *result.model, "", *window),
        "windows": incident.windows,
        "rows": result.closed.scored_rows,
        "profile": "" if result.profile is None else result.profile.hash,
        "monitor_effective_from_ms": result.monitor.effective_from_ms,
        "drift_share": result.drift_share,
        "drift_share_limit": result.monitor.drift_share,
        "peak_share": incident.peak_share,
        "drifted": [scores.label for scores in _by_rank(result) if scores.drifted],
        "evidence": _evidence(result),
    }


def _summary(result: WindowResult, change: Change) -> str:
    features = [scores for scores in _by_rank(result) if scores.role is Role.FEATURE]
    drifted = [scores.label for scores in _by_rank(result) if scores.drifted]
    count = sum(scores.drifted for scores in features)
    if change.state is State.RESOLVED:
        return (
            f"{result.model}: drift resolved after {change.incident.windows} windows; "
            f"{count} of {len(features)} features exceed their threshold now"
        )
    names = ", ".join(drifted[:5]) + (f" and {len(drifted) - 5} more" if len(drifted) > 5 else "")
    return f"{result.model}: {count} of {len(features)} features drifted ({names})"


def _evidence(result: WindowResult) -> list[dict[str, Any]]:
    """The variables that drifted, by their contribution; the first one if none has."""
    ranked = _by_rank(result)
    shown = [scores for scores in ranked if scores.drifted][:_EVIDENCE] or ranked[:1]
    return [
        {
            "name": scores.label,
            "role": scores.role.value,
            "score": scores.score,
            "value": scores.scores[scores.score],
            "threshold": scores.threshold,
            "drifted": scores.drifted,
            "bins": _moved_bins(result, scores),
        }
        for scores in shown
    ]


def _moved_bins(result: WindowResult, scores: VariableScores) -> list[dict[str, Any]]:
    profile, counts = result.profile, result.closed.counts
    if profile is None or counts is None:
        return []
    index = [variable.name for variable in profile.variables].index(scores.name)
    bins = bin_shares(profile, counts, index, result.monitor.min_rows)
    most = sorted(range(len(bins)), key=lambda i: (-abs(bins[i].window - bins[i].reference), i))
    return [
        {"label": bins[i].bin, "reference": bins[i].reference, "current": bins[i].window}
        for i in sorted(most[:_BINS])
    ]
