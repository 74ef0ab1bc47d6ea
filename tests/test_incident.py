from __future__ import annotations

from uuid import UUID

import pytest

from stream.core.records import ModelKey
from stream.core.signal.incident import (
    FORGET_AFTER_MS,
    Change,
    History,
    IncidentKind,
    State,
    Verdict,
    advance,
    identify,
    is_dirty,
    severity_of,
    silence,
)
from stream.core.specs import MonitorSpec, Severity
from tests.detect_world import CREDIT

Judged = tuple[History, tuple[Change, ...]]


def run(spec: MonitorSpec, said: str, model: ModelKey = CREDIT) -> tuple[list[str], list[Change]]:
    """Windows of 10 ms: `x` dirty, `X` dirty with a share of 0.9, `.` clean; what happened."""
    history, told = History(), []
    changes: list[Change] = []
    for number, letter in enumerate(said):
        share = {"x": 0.3, "X": 0.9, ".": 0.0}[letter]
        severity = severity_of(spec, share)
        verdict = Verdict(number * 10, number * 10 + 10, letter != ".", share, severity)
        history, found = advance(history, IncidentKind.DRIFT, model, "", verdict, spec)
        told.append(",".join(change.state.value for change in found))
        changes += found
    return told, changes


def test_one_change_is_one_incident() -> None:
    told, changes = run(MonitorSpec(resolve_after=2), ".xx.x..x")
    assert told == ["", "opened", "", "", "", "", "resolved", "opened"]
    assert changes[0].incident.id == changes[1].incident.id != changes[2].incident.id
    assert changes[0].incident.opened_ms == 20
    assert changes[1].at_ms == 70
    assert changes[1].incident.windows == 6


def test_it_opens_after_k_of_n() -> None:
    spec = MonitorSpec(open_after=2, open_within=3)
    told, changes = run(spec, "x..x.x")
    assert told == ["", "", "", "", "", "opened"]
    assert changes[0].incident.since_ms == 30
    assert run(MonitorSpec(open_after=3, open_within=1), "xxx")[0][-1] == "opened"


def test_severity_follows_the_share_and_is_told_once() -> None:
    spec = MonitorSpec(severity_by_share=((Severity.CRITICAL, 0.8), (Severity.WARNING, 0.5)))
    told, changes = run(spec, "xxXXxX")
    assert told == ["opened", "", "updated", "", "updated", "updated"]
    assert [change.incident.severity for change in changes] == [
        Severity.INFO,
        Severity.CRITICAL,
        Severity.INFO,
        Severity.CRITICAL,
    ]
    assert changes[2].incident.peak_share == 0.9
    assert severity_of(MonitorSpec(severity=Severity.WARNING), 1.0) is Severity.WARNING


def test_a_clean_window_leaves_the_severity() -> None:
    spec = MonitorSpec(severity_by_share=((Severity.CRITICAL, 0.8),), resolve_after=3)
    assert run(spec, "X..X")[0] == ["opened", "", "", ""]


def test_none_opens_while_it_cools_down() -> None:
    spec = MonitorSpec(resolve_after=1, cooldown_ms=30)
    assert run(spec, "x.xxx")[0] == ["opened", "resolved", "", "", "opened"]


def judged(history: History, start_ms: int, dirty: bool, spec: MonitorSpec) -> Judged:
    verdict = Verdict(start_ms, start_ms + 10, dirty, 0.3)
    return advance(history, IncidentKind.DRIFT, CREDIT, "", verdict, spec)


def test_the_past_is_forgotten() -> None:
    spec = MonitorSpec(open_after=2, open_within=2)
    history, _ = judged(History(), 0, True, spec)
    _, changes = judged(history, FORGET_AFTER_MS + 10, True, spec)
    assert changes == ()


def test_silence_resolves_an_incident_whoever_notices_it_first() -> None:
    history, [opened] = judged(History(), 10, True, MonitorSpec())
    assert silence(history, FORGET_AFTER_MS + 10) is None
    noticed = silence(history, FORGET_AFTER_MS + 11)
    assert noticed is not None
    assert (noticed.state, noticed.at_ms) == (State.RESOLVED, FORGET_AFTER_MS + 10)
    _, [resolved, other] = judged(history, FORGET_AFTER_MS + 20, True, MonitorSpec())
    assert resolved == noticed
    assert resolved.incident.id == opened.incident.id != other.incident.id
    assert other.state is State.OPENED


def test_each_kind_has_incidents_of_its_own() -> None:
    verdict = Verdict(0, 10, True)
    ids = {
        advance(History(), kind, CREDIT, segment, verdict, MonitorSpec())[1][0].incident.id
        for kind in IncidentKind
        for segment in ("", "country=US")
    }
    assert len(ids) == 2 * len(IncidentKind)


def test_windows_of_a_resolved_incident_open_no_other() -> None:
    spec = MonitorSpec(open_after=2, open_within=5, resolve_after=1)
    assert run(spec, "xx.x")[0] == ["", "opened", "resolved", ""]


@pytest.mark.parametrize(
    ("share", "alarmed", "dirty"), [(0.2, False, False), (0.21, False, True), (0.0, True, True)]
)
def test_what_makes_a_window_dirty(share: float, alarmed: bool, dirty: bool) -> None:
    assert is_dirty(MonitorSpec(drift_share=0.2), share, alarmed=alarmed) is dirty


def test_ids_are_of_what_they_identify() -> None:
    _, first = run(MonitorSpec(), "x..")
    _, again = run(MonitorSpec(), "x..")
    _, other = run(MonitorSpec(), "x..", ModelKey("credit", "4"))
    assert [change.id for change in first] == [change.id for change in again]
    assert {change.id for change in first}.isdisjoint(change.id for change in other)
    assert UUID(first[0].incident.id).version == 5
    assert identify("a", "bc") != identify("ab", "c")
