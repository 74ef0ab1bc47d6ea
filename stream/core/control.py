"""A subject's control record: all that is kept of it besides counts, as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stream.core.pane.past import Past, Stood
from stream.core.pane.spans import Move, Subject
from stream.core.pipeline import Detection
from stream.core.records import ModelKey, Source
from stream.core.signal.incident import History, Incident, IncidentKind
from stream.core.specs import Severity

__all__ = ["as_json", "control", "moves_json", "moves_of", "restore_control", "subject_of"]


def as_json(value: Any) -> bytes:
    """Canonical JSON: the same value gives the same bytes."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def control(detection: Detection, subject: Subject) -> dict[str, Any]:
    """The record's content; what a subject doesn't have is left out."""
    windows = detection.windows.open.strands.get(subject)
    outcomes = detection.outcomes.strands.get(subject)
    warming = None if subject.segment else detection.windows.warming.get(subject.model)
    past = detection.pasts.get(subject)
    histories = {
        kind.value: asdict(history)
        for kind, history in detection.incidents.histories.get(subject, {}).items()
    }
    found = {
        "since_ms": None if windows is None else windows.spans.since_ms,
        "ended_ms": None if windows is None else windows.ended_ms,
        "outcomes_since_ms": None if outcomes is None else outcomes.spans.since_ms,
        "outcomes_ended_ms": None if outcomes is None else outcomes.ended_ms,
        "warmed": "" if warming is None else warming.hash,
        "histories": histories,
        "past": {} if past is None else _past_json(past),
    }
    return {key: value for key, value in found.items() if value not in (None, "", {})}


def restore_control(detection: Detection, subject: Subject, record: dict[str, Any]) -> None:
    """Gives a detection what `control` wrote."""
    if "since_ms" in record:
        strand = detection.windows.open.strand(subject)
        strand.spans.since_ms, strand.ended_ms = record["since_ms"], record["ended_ms"]
    if "outcomes_since_ms" in record:
        strand = detection.outcomes.strand(subject)
        strand.spans.since_ms = record["outcomes_since_ms"]
        strand.ended_ms = record["outcomes_ended_ms"]
    if "warmed" in record:
        detection.windows.warmed(subject.model, record["warmed"])
    for kind, history in record.get("histories", {}).items():
        histories = detection.incidents.histories.setdefault(subject, {})
        histories[IncidentKind(kind)] = _history(history)
    if "past" in record:
        detection.pasts[subject] = _past(record["past"])


def moves_json(moves: Sequence[Move]) -> bytes:
    """Moves as one record."""
    return as_json([[*m.source, m.before, m.after, m.pane_ms] for m in moves])


def moves_of(value: bytes) -> list[Move]:
    """The moves that a record holds."""
    return [
        Move(Source(topic, partition), before, after, pane_ms)
        for topic, partition, before, after, pane_ms in json.loads(value)
    ]


def subject_of(rest: bytes) -> Subject:
    """The subject that a key names."""
    model, version, segment = json.loads(rest)
    return Subject(ModelKey(model, version), segment)


def _history(history: dict[str, Any]) -> History:
    incident = history["incident"]
    if incident is not None:
        incident = Incident(**{**incident, "severity": Severity(incident["severity"])})
    recent = tuple((start_ms, dirty) for start_ms, dirty in history["recent"])
    return History(recent, incident, history["resolved_ms"])


def _past_json(past: Past) -> dict[str, Any]:
    found = {
        "made": sorted(past.made.items()),
        "known": sorted(past.known.items()),
        "stood": [[stood.at_ms, stood.incident, stood.severity] for stood in past.stood],
        "estimates": [[*window, values] for window, values in sorted(past.estimates.items())],
    }
    return {key: value for key, value in found.items() if value}


def _past(record: dict[str, Any]) -> Past:
    return Past(
        made=dict(record.get("made", ())),
        known=dict(record.get("known", ())),
        estimates={
            (start_ms, end_ms): {
                name: (told[0], told[1], told[2], told[3]) for name, told in values.items()
            }
            for start_ms, end_ms, values in record.get("estimates", ())
        },
        stood=[Stood(*item) for item in record.get("stood", ())],
    )
