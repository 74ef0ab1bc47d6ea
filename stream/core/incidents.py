"""The incidents of many subjects: histories by kind, and the drift that performance cites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from stream.core.pane.open import WindowEnd
from stream.core.pane.past import Past, Stood
from stream.core.pane.spans import Subject
from stream.core.results import Signal, Silence
from stream.core.score.performance import Breach
from stream.core.signal.incident import (
    Change,
    History,
    IncidentKind,
    State,
    Verdict,
    advance,
    silence,
)
from stream.core.specs import Severity

__all__ = ["Incidents"]

_OF_OUTCOMES = frozenset({IncidentKind.PERFORMANCE, IncidentKind.FAIRNESS})


class Incidents:
    """Takes verdicts of windows in, gives what they did to incidents.

    How drift incidents stood is noted in `pasts`, so that a performance window, which closes
    later, cites them as they stood at its own end. Bounded by the subjects (`forget`).
    """

    def __init__(self, pasts: dict[Subject, Past]) -> None:
        self._pasts = pasts
        self.histories: dict[Subject, dict[IncidentKind, History]] = {}

    def open(self) -> Counter[tuple[IncidentKind, Severity]]:
        """How many incidents are open, by kind and severity."""
        return Counter(
            (kind, history.incident.severity)
            for by_kind in self.histories.values()
            for kind, history in by_kind.items()
            if history.incident is not None
        )

    def judge(
        self,
        end: WindowEnd,
        verdicts: Mapping[IncidentKind, Verdict],
        breaches: Mapping[IncidentKind, tuple[Breach, ...]],
    ) -> tuple[Signal, ...]:
        """What a window's verdicts did to its subject's incidents."""
        subject = end.subject
        found = []
        for kind, verdict in verdicts.items():
            histories = self.histories.get(subject, {})
            if kind not in histories and not verdict.dirty:
                continue  # nothing to be resolved, and a clean window before all others is none
            known = histories.get(kind, History())
            history, changes = advance(
                known, kind, subject.model, subject.segment, verdict, end.monitor
            )
            self.histories.setdefault(subject, {})[kind] = history
            for change in changes:
                self._note(subject, kind, change)
                cites = self._cited(subject, change.at_ms) if kind in _OF_OUTCOMES else ()
                limits = () if change.silent else breaches.get(kind, ())
                found.append(Signal(kind, change, limits, cites))
        return tuple(found)

    def silences(self, rows_ms: int, outcomes_ms: int) -> Iterator[Silence]:
        """Resolves incidents whose subject had no scored window for FORGET_AFTER_MS."""
        for subject in sorted(self.histories):
            for kind, history in self.histories[subject].items():
                time_ms = outcomes_ms if kind in _OF_OUTCOMES else rows_ms
                change = silence(history, time_ms)
                if change is not None:
                    self.histories[subject][kind] = History()
                    self._note(subject, kind, change)
                    yield Silence(subject, kind, change)

    def forget(self, subject: Subject) -> bool:
        """Drops a subject's histories; False, and nothing is done, while an incident is open."""
        histories = self.histories.get(subject, {})
        if any(history.incident is not None for history in histories.values()):
            return False
        self.histories.pop(subject, None)
        return True

    def _note(self, subject: Subject, kind: IncidentKind, change: Change) -> None:
        if kind is IncidentKind.DRIFT:
            past = self._pasts.setdefault(subject, Past())
            if change.state is State.RESOLVED:
                past.note(Stood(change.at_ms, ""))
            else:
                incident = change.incident
                past.note(Stood(change.at_ms, incident.id, incident.severity.value))

    def _cited(self, subject: Subject, time_ms: int) -> tuple[Stood, ...]:
        """The drift incidents of the model, and of the segment, that were open at a time."""
        found = []
        for who in dict.fromkeys((Subject(subject.model), subject)):
            past = self._pasts.get(who)
            stood = None if past is None else past.drift_at(time_ms)
            if stood is not None:
                found.append(stood)
        return tuple(found)
