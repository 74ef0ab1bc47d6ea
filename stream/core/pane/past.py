"""What a subject's performance windows need of earlier ones: coverage, estimates, incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Figure", "Past", "Stood", "from_ms", "rows_between"]

Figure = tuple[float | None, float | None, float | None, int]  # value, low, high, rows

_HOUR_MS = 3_600_000
_MOST = 1_024  # entries of each kind: a month and a half of hours
_MOST_KEPT = 200  # estimates and incidents that wait for labels


@dataclass(frozen=True, slots=True)
class Stood:
    """How an incident stood from the end of a window on; "" where none was open."""

    at_ms: int
    incident: str
    severity: str = ""


@dataclass(slots=True)
class Past:
    """Predictions and outcomes of closed spans, and what data windows said, until no window asks.

    `made` and `known` are rows by the start of their span, or, once performance windows are
    past it, of its step: an hour, of a short horizon a 64th of it, in whole spans. `estimates`
    are the data windows' by (start, end); `stood` how the drift incident stood, in the order of
    windows.
    """

    made: dict[int, int] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)
    estimates: dict[tuple[int, int], dict[str, Figure]] = field(default_factory=dict)
    stood: list[Stood] = field(default_factory=list)

    def drift_at(self, time_ms: int) -> Stood | None:
        """The drift incident that was open at the end of the windows up to a time."""
        last = None
        for stood in self.stood:
            if stood.at_ms <= time_ms:
                last = stood
        return last if last is not None and last.incident else None

    def note(self, stood: Stood) -> None:
        """Notes how the drift incident stands from now on."""
        self.stood.append(stood)
        del self.stood[:-_MOST_KEPT]

    def estimated(self, window: tuple[int, int], values: Mapping[str, Figure]) -> None:
        """Notes what a data window's performance was estimated to be."""
        if values:
            self.estimates[window] = dict(values)
            while len(self.estimates) > _MOST_KEPT:
                del self.estimates[min(self.estimates)]

    def settle(self, closed_ms: int, horizon_ms: int, span_ms: int) -> None:
        """Forgets what no performance window that ends after `closed_ms` will ask for."""
        step_ms = _step(horizon_ms, span_ms)
        oldest_ms = from_ms(closed_ms, horizon_ms, span_ms)
        self.made = _settled(self.made, closed_ms, oldest_ms, step_ms)
        self.known = _settled(self.known, closed_ms, oldest_ms, step_ms)
        self.estimates = {w: e for w, e in self.estimates.items() if w[1] > closed_ms}
        behind = sum(stood.at_ms <= closed_ms for stood in self.stood)
        del self.stood[: max(behind - 1, 0)]


def _step(horizon_ms: int, span_ms: int) -> int:
    """How finely the past is kept: in whole spans, for rows are known by the span they lie in."""
    return max(min(_HOUR_MS, horizon_ms // 64) // span_ms * span_ms, span_ms)


def from_ms(end_ms: int, horizon_ms: int, span_ms: int) -> int:
    """Where the label horizon before a window's end begins, down to a whole step."""
    step_ms = _step(horizon_ms, span_ms)
    return max(end_ms - horizon_ms, 0) // step_ms * step_ms


def rows_between(entries: Mapping[int, int], begin_ms: int, end_ms: int) -> int:
    """The rows of a range that begins at a whole step."""
    return sum(rows for start_ms, rows in entries.items() if begin_ms <= start_ms < end_ms)


def _settled(
    entries: Mapping[int, int], closed_ms: int, oldest_ms: int, step_ms: int
) -> dict[int, int]:
    crowded = len(entries) > _MOST
    found: dict[int, int] = {}
    for start_ms in sorted(entries):
        step = start_ms // step_ms * step_ms
        if step >= oldest_ms:
            key = step if start_ms < closed_ms or crowded else start_ms
            found[key] = found.get(key, 0) + entries[start_ms]
    return {key: found[key] for key in sorted(found)[-_MOST:]}
