"""What is counted of one model until its windows are closed: tallies by span and profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.core.pane.window import Range
from stream.core.records import Int64s, Source
from stream.core.specs import Profile

__all__ = [
    "CARRY_FOR_MS",
    "MIN_ROWS",
    "OTHER_PROFILE",
    "UNBINNED",
    "WARMUP",
    "Carry",
    "Closed",
    "Move",
    "Spans",
    "Tally",
]

CARRY_FOR_MS = 30 * 86_400_000  # rows are given up when no others came for so long
_MOST_MOVES = 2_000  # a record of them stays far below what a broker takes
UNBINNED = ""  # the "profile" of rows that no profile has counted
WARMUP = "warmup"
MIN_ROWS = "min_rows"
OTHER_PROFILE = "other_profile"


@dataclass(slots=True)
class Tally:
    """Rows that were added up; `counts` over a profile's slots, None where they aren't binned."""

    rows: int = 0
    feature_rows: int = 0
    late_rows: int = 0
    unknown_features: int = 0
    counts: Int64s | None = None

    def add(self, other: Tally) -> None:
        """Adds the other, which stays as it is and shares nothing with this one."""
        self.add_rows(other)
        if other.counts is None:
            return
        if self.counts is None:
            self.counts = other.counts.copy()
        else:
            self.counts += other.counts

    def add_rows(self, other: Tally, sign: int = 1) -> None:
        """Adds the numbers of rows without their counts, or with sign −1 takes them out."""
        self.rows += sign * other.rows
        self.feature_rows += sign * other.feature_rows
        self.late_rows += sign * other.late_rows
        self.unknown_features += sign * other.unknown_features

    @property
    def weight(self) -> int:
        """How many rows can be scored: predictions, or features that came apart from them."""
        return max(self.rows, self.feature_rows)


class Move(NamedTuple):
    """Rows of closed panes that count in the pane at `pane_ms`: positions of one commit."""

    source: Source
    before: int
    after: int
    pane_ms: int


@dataclass(frozen=True, slots=True)
class Carry:
    """Rows of earlier windows that were too few to be scored, by the profile `profile`."""

    start_ms: int
    profile: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that holds rows. `counts` is what its scores are of, None where it has none.

    `totals` counts all its rows, whatever they were binned by. `scored_from_ms` is set where
    earlier windows' rows are in `counts`; `scored_rows` is how many rows are.
    """

    window: Range
    totals: Tally
    counts: Int64s | None
    scored_rows: int
    scored_from_ms: int | None
    reason: str
    moves: tuple[Move, ...]


@dataclass(slots=True)
class Spans:
    """The open spans of one model@version, and what it carries from window to window.

    Bounded: spans behind `since_ms` are gone, what is carried is one tally.
    """

    tallies: dict[Range, dict[str, Tally]] = field(default_factory=dict)
    since_ms: int = 0
    carry: Carry | None = None
    moves: list[Move] = field(default_factory=list)

    def add(self, span: Range, profile: str, tally: Tally) -> bool:
        """Adds to a span; True where the span is new. Spans behind `since_ms` are ignored."""
        if span.start_ms < self.since_ms:
            return False
        held = self.tallies.get(span)
        if held is None:
            self.tallies[span] = {profile: _copy(tally)}
            return True
        mine = held.get(profile)
        if mine is None:
            held[profile] = _copy(tally)
        else:
            mine.add(tally)
        return False

    def take_out(self, span: Range, tally: Tally) -> bool:
        """Takes out unbinned rows that were added to a span; False where it is gone."""
        held = self.tallies.get(span, {}).get(UNBINNED)
        if held is None:
            return False
        held.add_rows(tally, sign=-1)
        return True

    def moved(self, move: Move) -> None:
        """Notes moved rows; those of commits that follow each other become one.

        Of thousands, those of one source become one, told of the last pane that received some.
        """
        for place, known in enumerate(self.moves):
            same = (known.source, known.pane_ms) == (move.source, move.pane_ms)
            if same and known.before <= move.before <= known.after:
                self.moves[place] = known._replace(after=max(known.after, move.after))
                return
        self.moves.append(move)
        if len(self.moves) > _MOST_MOVES:
            self.moves = _by_source(self.moves)

    def close(self, window: Range, profile: Profile | None, min_rows: int) -> Closed | None:
        """Closes a window by the profile in force at its end; None where it holds no rows."""
        if window.start_ms - self.since_ms > CARRY_FOR_MS:
            self.carry = None
        inside = [by for span, by in self.tallies.items() if _within(span, window)]
        totals = Tally()
        for tally in (tally for by in inside for tally in by.values()):
            totals.add_rows(tally)
        if not totals.weight:
            return None
        moves = sorted(m for m in self.moves if window.start_ms <= m.pane_ms < window.end_ms)
        if profile is None:
            return Closed(window, totals, None, 0, None, WARMUP, tuple(moves))
        mine = _sum(by[profile.hash] for by in inside if profile.hash in by)
        from_ms = None
        if self.carry is not None and self.carry.profile == profile.hash:
            mine.add(self.carry.tally)
            from_ms = self.carry.start_ms
        if mine.counts is None or not mine.weight:
            unbinned = _sum(by[UNBINNED] for by in inside if UNBINNED in by)
            reason = WARMUP if unbinned.weight else OTHER_PROFILE
        else:
            reason = MIN_ROWS if mine.weight < min_rows else ""
        if reason:
            return Closed(window, totals, None, mine.weight, None, reason, tuple(moves))
        return Closed(window, totals, mine.counts, mine.weight, from_ms, "", tuple(moves))

    def retire(self, since_ms: int, carried_by: str | None) -> list[Range]:
        """Forgets what is behind `since_ms`; returns the spans that are gone.

        `carried_by` is the profile of a window that wasn't scored for want of rows: those
        behind `since_ms` are then carried to the next one. None carries nothing.
        """
        gone = sorted(span for span in self.tallies if span.start_ms < since_ms)
        carry = None
        if carried_by is not None:
            tally = _sum(self.tallies[s].get(carried_by, Tally()) for s in gone)
            start_ms = gone[0].start_ms if gone else since_ms
            if self.carry is not None and self.carry.profile == carried_by:
                tally.add(self.carry.tally)
                start_ms = self.carry.start_ms
            carry = Carry(start_ms, carried_by, tally) if tally.weight else None
        self.carry = carry
        for span in gone:
            del self.tallies[span]
        self.moves = [move for move in self.moves if move.pane_ms >= since_ms]
        self.since_ms = max(self.since_ms, since_ms)
        return gone


def _within(span: Range, window: Range) -> bool:
    return window.start_ms <= span.start_ms < window.end_ms


def _by_source(moves: Iterable[Move]) -> list[Move]:
    found: dict[Source, Move] = {}
    for move in moves:
        known = found.setdefault(move.source, move)
        before, after = min(known.before, move.before), max(known.after, move.after)
        found[move.source] = Move(move.source, before, after, max(known.pane_ms, move.pane_ms))
    return list(found.values())


def _copy(tally: Tally) -> Tally:
    return _sum((tally,))


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total
