"""What has been seen so far: rows sent, windows closed, the alert; the screens show it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.core.labels import LabelKind
from stream.core.specs import Profile, Variable

__all__ = ["Moved", "Scene"]

_RATE_SECONDS = 3.0
_WINDOWS = 6


@dataclass(frozen=True, slots=True)
class Moved:
    """A variable in a window: how far from its reference, over which threshold, its counts."""

    variable: Variable
    score_name: str
    score: float
    threshold: float
    drifted: bool
    counts: Sequence[int]

    @property
    def ratio(self) -> float:
        """How many times the threshold the score is."""
        return self.score / self.threshold if self.threshold else 0.0


@dataclass(slots=True)
class Scene:
    """The demo as it stands. Times are seconds since its beginning."""

    profile: Profile
    broker: str
    story: str = ""
    total: int | None = None
    sent: int = 0
    counted: int = 0
    outcomes: int = 0
    closed: int = 0
    heard: int = 0
    seconds: float = 0.0
    changed_at: float | None = None
    found_at: float | None = None
    alert: Mapping[str, Any] | None = None
    harm: Mapping[str, Any] | None = None
    harmed_at: float | None = None
    judged: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    windows: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=_WINDOWS))
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    _counts: list[tuple[int, int]] = field(default_factory=list)

    def tick(self, seconds: float, sent: int) -> None:
        """Time went on and rows were sent."""
        self.seconds = seconds
        self.sent = sent
        self._marks.append((seconds, sent))
        while self._marks[0][0] < seconds - _RATE_SECONDS:
            self._marks.popleft()

    @property
    def rate(self) -> float:
        """Rows a second that were sent lately."""
        if not self._marks:
            return 0.0
        (start, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def hear_window(self, window: Mapping[str, Any]) -> None:
        """A window was closed: of rows, or of outcomes (the last one scored is `judged`)."""
        self.windows.append(window)
        self.heard += 1
        if window.get("kind") == "performance":
            self.outcomes += int(window["rows"])
            if window.get("scored"):
                self.judged = window
            return
        self.closed += 1
        self.counted += int(window["rows"])
        self._counts.append((int(window["end_ms"]), int(window["rows"])))
        if window.get("scored"):
            self.last = window

    def hear_alert(self, alert: Mapping[str, Any]) -> None:
        """An incident was opened, updated or resolved.

        The first drift opened is `alert`, the first of performance `harm`.
        """
        if alert.get("state") != "opened":
            return
        if alert.get("kind") == "performance":
            if self.harm is None:
                self.harm, self.harmed_at = alert, self.seconds
        elif self.alert is None:
            self.alert, self.found_at = alert, self.seconds

    @property
    def metric(self) -> str:
        """What harm is judged by: accuracy, or mae of a regression; empty without labels."""
        outcome = self.profile.outcome
        if outcome is None:
            return ""
        name = "mae" if outcome.kind == LabelKind.REGRESSION else "accuracy"
        return name if name in dict(outcome.metrics) else ""

    @property
    def found_rows(self) -> int:
        """The rows counted up to the end of the window that alarmed, that window's included."""
        end_ms = 0 if self.alert is None else int(self.alert["window_end_ms"])
        return sum(rows for window_end_ms, rows in self._counts if window_end_ms <= end_ms)

    def moved(self, window: Mapping[str, Any] | None = None) -> list[Moved]:
        """The variables of a window (the last scored one), those furthest over threshold first."""
        window = window or self.last
        if window is None:
            return []
        found = _variables(self.profile.variables, window)
        return sorted(found, key=lambda moved: (-moved.ratio, moved.variable.name))


def _variables(variables: Iterable[Variable], window: Mapping[str, Any]) -> Iterable[Moved]:
    results = window["features"]
    for variable in variables:
        result = results.get(variable.label)
        if result is None:
            continue
        name = result.get("score") or "psi"
        value = result["scores"].get(name)
        yield Moved(
            variable,
            name,
            0.0 if value is None else float(value),
            float(result.get("threshold") or 0.0),
            bool(result["drifted"]),
            result["counts"],
        )
