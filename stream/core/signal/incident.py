"""Incidents: one change of a model's world from its opening to its resolution.

A function of the scored windows of one kind and (model, version, segment), in the order of their
ends; windows that hold no rows or weren't scored are neither clean nor dirty and don't come here.
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
    "IncidentKind",
    "State",
    "Verdict",
    "advance",
    "identify",
    "is_dirty",
    "severity_of",
    "silence",
]

NAMESPACE = UUID("5b8c4c0e-6f6c-5d0b-9a52-1d1f3c6a7e10")  # of all ids that this project makes
FORGET_AFTER_MS = 30 * 86_400_000  # without scored windows; an open incident is resolved then
_ORDER = tuple(Severity)


class State(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class IncidentKind(StrEnum):
    """What an incident is about; each kind has incidents of its own."""

    DRIFT = "drift"
    PERFORMANCE = "performance"
    ESTIMATED = "estimated"
    SERVING = "serving"
    FAIRNESS = "fairness"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scored window says: its range, whether it is dirty, how much has drifted, how bad."""

    start_ms: int
    end_ms: int
    dirty: bool
    drift_share: float = 0.0
    severity: Severity = Severity.CRITICAL


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
    """An incident that opened, changed its severity or was resolved, with the window's end.

    `silent` where it was resolved for want of scored windows, `at_ms` being when.
    """

    id: str
    state: State
    incident: Incident
    at_ms: int
    silent: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered from window to window; bounded by the monitor's `open_within`.

    It is forgotten after FORGET_AFTER_MS of event time without scored windows. `recent` are the
    last of these, oldest first, as (start, dirty).
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


def silence(history: History, time_ms: int) -> Change | None:
    """How an open incident is resolved where no window was scored for FORGET_AFTER_MS."""
    incident, last_ms = history.incident, _last_ms(history)
    if incident is None or time_ms - last_ms <= FORGET_AFTER_MS:
        return None
    return _change(incident, State.RESOLVED, last_ms + FORGET_AFTER_MS, silent=True)


def advance(
    history: History,
    kind: IncidentKind,
    model: ModelKey,
    segment: str,
    verdict: Verdict,
    spec: MonitorSpec,
) -> tuple[History, tuple[Change, ...]]:
    """Takes one scored window in; returns what is to be remembered and what happened."""
    ended = silence(history, verdict.start_ms)
    if verdict.start_ms - _last_ms(history) > FORGET_AFTER_MS:
        history = History()
    kept = max(spec.open_within, spec.open_after, 1)
    recent = (*history.recent, (verdict.start_ms, verdict.dirty))[-kept:]
    history = replace(history, recent=recent)
    if history.incident is None:
        what = ("incident", kind.value, *model, segment, verdict.end_ms)
        history, change = _idle(history, identify(*what), verdict, spec)
    else:
        history, change = _open(history, history.incident, verdict, spec)
    return history, tuple(item for item in (ended, change) if item is not None)


def _last_ms(history: History) -> int:
    return max([start_ms for start_ms, _ in history.recent] + [history.resolved_ms or 0])


def _idle(
    history: History, name: str, verdict: Verdict, spec: MonitorSpec
) -> tuple[History, Change | None]:
    dirty = [start_ms for start_ms, is_bad in history.recent if is_bad]
    resolved_ms = history.resolved_ms
    cooling = resolved_ms is not None and verdict.end_ms - resolved_ms < spec.cooldown_ms
    if not verdict.dirty or len(dirty) < spec.open_after or cooling:
        return history, None
    incident = Incident(
        id=name,
        opened_ms=verdict.end_ms,
        since_ms=dirty[0],
        severity=verdict.severity,
        peak_share=verdict.drift_share,
    )
    change = _change(incident, State.OPENED, verdict.end_ms)
    return replace(history, incident=incident), change


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
        return history, _change(incident, State.RESOLVED, verdict.end_ms)
    if verdict.dirty and verdict.severity != before.severity:
        incident = replace(incident, severity=verdict.severity)
        change = _change(incident, State.UPDATED, verdict.end_ms)
        return replace(history, incident=incident), change
    return replace(history, incident=incident), None


def _change(incident: Incident, state: State, at_ms: int, *, silent: bool = False) -> Change:
    return Change(
        identify("change", incident.id, state.value, at_ms), state, incident, at_ms, silent
    )
