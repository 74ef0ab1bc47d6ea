"""Incidents as CloudEvents: what happened, to what, and the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from stream import cloudevents
from stream.agents.detect.figures import breaches, of_subject, window_id
from stream.core.pane.spans import Subject
from stream.core.records import Output
from stream.core.results import DataResult, Signal, Silence, WindowResult
from stream.core.score import VariableScores, bin_shares
from stream.core.score.performance import Breach
from stream.core.signal.incident import Change, IncidentKind, State
from stream.core.specs import Role

__all__ = ["alert_output", "silence_output"]

_EVIDENCE = 10  # variables that an alert shows at most; all drifted ones are named
_TOLD = 5  # variables and thresholds that a summary names
_BINS = 6  # bins of each that moved most
_WORDS = {"min": "below", "max": "above", "max_drop": "below", "max_rise": "above"}
_NAMES = {
    IncidentKind.DRIFT: "drift",
    IncidentKind.PERFORMANCE: "poor performance",
    IncidentKind.ESTIMATED: "poor estimated performance",
    IncidentKind.SERVING: "poor serving",
    IncidentKind.FAIRNESS: "unfairness",
}


def alert_output(result: WindowResult, signal: Signal, event_source: str) -> Output:
    """The CloudEvent of what a window did to an incident, keyed by the incident."""
    change = signal.change
    if change.silent:
        return silence_output(Silence(result.subject, signal.kind, change), event_source)
    closed, window = result.closed, result.closed.window
    kind = "data" if isinstance(result, DataResult) else "performance"
    data = _common(result.subject, signal.kind, change) | {
        "summary": _summary(result, signal),
        "window_start_ms": window.start_ms,
        "window_end_ms": window.end_ms,
        "window_id": window_id(kind, result.subject, window),
        "rows": closed.scored_rows,
        "profile": "" if result.profile is None else result.profile.hash,
        "monitor_effective_from_ms": result.monitor.effective_from_ms,
        "breaches": breaches(signal.breaches),
        "cites": [
            {"incident_id": stood.incident, "severity": stood.severity, "since_ms": stood.at_ms}
            for stood in signal.cites
        ],
    }
    if isinstance(result, DataResult):
        data |= _of_data(result, signal)
    else:
        data["coverage"] = result.coverage.share
    return _output(result.subject, change, data, event_source)


def silence_output(silence: Silence, event_source: str) -> Output:
    """The CloudEvent of an incident that silence resolved; it names no window."""
    change = silence.change
    data = _common(silence.subject, silence.kind, change) | {
        "summary": f"{_who(silence.subject)}: {_NAMES[silence.kind]} resolved: "
        "no window could be scored for 30 days",
        "window_start_ms": change.at_ms,
        "window_end_ms": change.at_ms,
    }
    return _output(silence.subject, change, data, event_source)


def _output(subject: Subject, change: Change, data: dict[str, Any], event_source: str) -> Output:
    headers, value = cloudevents.encode(
        cloudevents.CloudEvent(
            id=change.id,
            source=event_source,
            type=f"io.driftstream.incident.{change.state.value}.v1",
            data=orjson.dumps(data, option=orjson.OPT_SORT_KEYS),
            subject=subject.model.key,
            time=cloudevents.event_time(change.at_ms),
            dataschema=cloudevents.schema_uri("alert"),
        )
    )
    return Output("alerts", change.incident.id.encode(), value, headers)


def _common(subject: Subject, kind: IncidentKind, change: Change) -> dict[str, Any]:
    incident = change.incident
    return {
        "incident_id": incident.id,
        "state": change.state.value,
        "kind": kind.value,
        "severity": incident.severity.value,
        **of_subject(subject),
        "opened_ms": incident.opened_ms,
        "since_ms": incident.since_ms,
        "at_ms": change.at_ms,
        "resolved_ms": change.at_ms if change.state is State.RESOLVED else None,
        "windows": incident.windows,
    }


def _of_data(result: DataResult, signal: Signal) -> dict[str, Any]:
    if signal.kind is not IncidentKind.DRIFT:
        return {}
    return {
        "drift_share": result.drift_share,
        "drift_share_limit": result.monitor.drift_share,
        "peak_share": signal.change.incident.peak_share,
        "drifted": [scores.label for scores in _by_rank(result) if scores.drifted],
        "evidence": _evidence(result),
    }


def _who(subject: Subject) -> str:
    return f"{subject.model} ({subject.segment})" if subject.segment else str(subject.model)


def _summary(result: WindowResult, signal: Signal) -> str:
    who, change = _who(result.subject), signal.change
    if change.state is State.RESOLVED:
        done = f"{who}: {_NAMES[signal.kind]} resolved after {change.incident.windows} windows"
        if isinstance(result, DataResult) and signal.kind is IncidentKind.DRIFT:
            return f"{done}; {_share(result)} exceed their threshold now"
        return done
    if isinstance(result, DataResult) and signal.kind is IncidentKind.DRIFT:
        drifted = [scores for scores in _by_rank(result) if scores.drifted]
        features = _listed([s.label for s in drifted if s.role is Role.FEATURE])
        others = _listed([s.label for s in drifted if s.role is not Role.FEATURE])
        text = f"{who}: {_share(result)} drifted"
        text = f"{text} ({features})" if features else text
        return f"{text}, also {others}" if others else text
    limits = ", ".join(map(_crossed, signal.breaches[:_TOLD]))
    text = f"{who}: {_NAMES[signal.kind]}: {limits}"
    return f"{text}; the data has drifted too" if signal.cites else text


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _TOLD} more" if len(labels) > _TOLD else ""
    return ", ".join(labels[:_TOLD]) + more


def _crossed(breach: Breach) -> str:
    return f"{breach.metric} {breach.value:.4g} is {_WORDS[breach.rule]} {breach.limit:.4g}"


def _share(result: DataResult) -> str:
    features = [scores for scores in result.scores if scores.role is Role.FEATURE]
    return f"{sum(scores.drifted for scores in features)} of {len(features)} features"


def _by_rank(result: DataResult) -> list[VariableScores]:
    return sorted(result.scores, key=lambda scores: scores.rank)


def _evidence(result: DataResult) -> list[dict[str, Any]]:
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


def _moved_bins(result: DataResult, scores: VariableScores) -> list[dict[str, Any]]:
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
