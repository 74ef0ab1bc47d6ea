"""Incidents: one change of a model's world from its opening to its resolution.

A function of the scored windows of one (model, version, segment) in the order of their ends;
windows that hold no rows or weren't scored are neither clean nor dirty and don't come here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID, uuid5

import orjson

from stream.core.records import ModelKey
from stream.core.specs import MonitorSpec, Severity

__all__ = [
    "FORGET_AFTER_MS",
    "NAMESPACE",
    "Change",
    "History",
    "Incident",
    "State",
    "Verdict",
    "advance",
    "identify",
    "is_dirty",
    "severity_of",
]

NAMESPACE = UUID("5b8c4c0e-6f6c-5d0b-9a52-1d1f3c6a7e10")  # of all ids that this project makes
FORGET_AFTER_MS = 30 * 86_400_000  # without scored windows, unless an incident is open
_ORDER = tuple(Severity)


class State(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scored window says: its range, whether it is dirty, and how much has drifted."""

    start_ms: int
    end_ms: int
    dirty: bool
    drift_share: float


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident. `since_ms` is the start of the first dirty window that led to it."""

    id: str
    opened_ms: int
    since_ms: int
    severity: Severity
    windows: int = 1
    clean: int = 0
    peak_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """An incident that opened, changed its severity or was resolved, with the window's end."""

    id: str
    state: State
    incident: Incident
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered from window to window; bounded by the monitor's `open_within`.

    Without an open incident it is forgotten after FORGET_AFTER_MS of event time. `recent` are
    the last scored windows, oldest first, as (start, dirty).
    """

    recent: tuple[tuple[int, bool], ...] = ()
    incident: Incident | None = None
    resolved_ms: int | None = None


def identify(*what: str | int) -> str:
    """The UUIDv5 of what these words identify: the same for the same, wherever it is made."""
    return str(uuid5(NAMESPACE, orjson.dumps(what).decode()))


def is_dirty(spec: MonitorSpec, drift_share: float, *, alarmed: bool) -> bool:
    """Whether a window counts towards an incident: too much has drifted, or it is `alarmed`.

    It is alarmed where a variable has drifted that the monitor lets alarm alone.
    """
    return alarmed or drift_share > spec.drift_share


def severity_of(spec: MonitorSpec, drift_share: float) -> Severity:
    """The loudest of the monitor's severity and those whose share is exceeded."""
    raised = (severity for severity, share in spec.severity_by_share if drift_share > share)
    return max((spec.severity, *raised), key=_ORDER.index)


def advance(
    history: History, model: ModelKey, segment: str, verdict: Verdict, spec: MonitorSpec
) -> tuple[History, Change | None]:
    """Takes one scored window in; returns what is to be remembered and what happened."""
    if history.incident is None and verdict.start_ms - _last_ms(history) > FORGET_AFTER_MS:
        history = History()
    kept = max(spec.open_within, spec.open_after, 1)
    recent = (*history.recent, (verdict.start_ms, verdict.dirty))[-kept:]
    history = replace(history, recent=recent)
    if history.incident is None:
        return _idle(history, model, segment, verdict, spec)
    return _open(history, history.incident, verdict, spec)


def _last_ms(history: History) -> int:
    return max([start_ms for start_ms, _ in history.recent] + [history.resolved_ms or 0])


def _idle(
    history: History, model: ModelKey, segment: str, verdict: Verdict, spec: MonitorSpec
) -> tuple[History, Change | None]:
    dirty = [start_ms for start_ms, is_bad in history.recent if is_bad]
    resolved_ms = history.resolved_ms
    cooling = resolved_ms is not None and verdict.end_ms - resolved_ms < spec.cooldown_ms
    if not verdict.dirty or len(dirty) < spec.open_after or cooling:
        return history, None
    incident = Incident(
        id=identify("incident", "drift", model.model, model.version, segment, verdict.end_ms),
        opened_ms=verdict.end_ms,
        since_ms=dirty[0],
        severity=severity_of(spec, verdict.drift_share),
        peak_share=verdict.drift_share,
    )
    return replace(history, incident=incident), _change(incident, State.OPENED, verdict)


def _open(
    history: History, before: Incident, verdict: Verdict, spec: MonitorSpec
) -> tuple[History, Change | None]:
    incident = replace(
        before,
        windows=before.windows + 1,
        clean=0 if verdict.dirty else before.clean + 1,
        peak_share=max(before.peak_share, verdict.drift_share),
    )
    if incident.clean >= max(spec.resolve_after, 1):
        history = History(recent=(), incident=None, resolved_ms=verdict.end_ms)
        return history, _change(incident, State.RESOLVED, verdict)
    if verdict.dirty and (severity := severity_of(spec, verdict.drift_share)) != before.severity:
        incident = replace(incident, severity=severity)
        return replace(history, incident=incident), _change(incident, State.UPDATED, verdict)
    return replace(history, incident=incident), None


def _change(incident: Incident, state: State, verdict: Verdict) -> Change:
    name = identify("change", incident.id, state.value, verdict.end_ms)
    return Change(name, state, incident, verdict.end_ms)
