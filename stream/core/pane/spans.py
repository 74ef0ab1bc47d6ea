"""What is counted of one subject until its windows are closed: tallies by span and by profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.core.pane.window import Range
from stream.core.records import Int64s, Kind, ModelKey, Source

__all__ = [
    "CARRY_FOR_MS",
    "MIN_ROWS",
    "OTHER_PROFILE",
    "SERVED",
    "UNBINNED",
    "WARMUP",
    "Carry",
    "Closed",
    "Counted",
    "Move",
    "Spans",
    "Subject",
    "Tally",
    "total",
]

CARRY_FOR_MS = 30 * 86_400_000  # rows are given up when no others came for so long
_MOST_MOVES = 2_000  # a record of them stays far below what a broker takes
WARMUP = "warmup"
MIN_ROWS = "min_rows"
OTHER_PROFILE = "other_profile"


class Subject(NamedTuple):
    """What windows are of: a model@version's rows, or those of one of its segments."""

    model: ModelKey
    segment: str = ""


class Counted(NamedTuple):
    """What a tally's counts are of: a kind of vector, and the hash of what gives its places."""

    kind: Kind
    by: str


UNBINNED = Counted(Kind.DATA, "")  # rows that no profile has counted
SERVED = Counted(Kind.SERVING, "")


@dataclass(slots=True)
class Tally:
    """Rows that were added up; `counts` is their vector, None where they aren't binned."""

    rows: int = 0
    feature_rows: int = 0
    late_rows: int = 0
    unknown_features: int = 0
    counts: Int64s | None = None
    duplicate_rows: int = 0
    unkept_rows: int = 0

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
        self.duplicate_rows += sign * other.duplicate_rows
        self.unkept_rows += sign * other.unkept_rows

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
    """Rows of earlier windows that were too few to be scored, all counted by one and the same."""

    start_ms: int
    counted: Counted
    tally: Tally


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that holds rows. `counts` is what its scores are of, None where it has none.

    `totals` counts all its rows, whatever they were binned by. `scored_from_ms` is set where
    earlier windows' rows are in `counts`; `scored_rows` is how many rows are. `served` is the
    window's serving vector. `corrections` are the outcomes of it that later labels took out.
    """

    window: Range
    totals: Tally
    counts: Int64s | None
    scored_rows: int
    scored_from_ms: int | None
    reason: str
    moves: tuple[Move, ...]
    served: Int64s | None = None
    corrections: int = 0


@dataclass(slots=True)
class Spans:
    """The open spans of one subject, and what it carries from window to window.

    Bounded: spans behind `since_ms` are gone, what is carried is one tally.
    """

    tallies: dict[Range, dict[Counted, Tally]] = field(default_factory=dict)
    since_ms: int = 0
    carry: Carry | None = None
    moves: list[Move] = field(default_factory=list)

    def add(self, span: Range, counted: Counted, tally: Tally) -> bool:
        """Adds to a span; True where the span is new. Spans behind `since_ms` are ignored."""
        if span.start_ms < self.since_ms:
            return False
        held = self.tallies.get(span)
        if held is None:
            self.tallies[span] = {counted: total((tally,))}
            return True
        mine = held.get(counted)
        if mine is None:
            held[counted] = total((tally,))
        else:
            mine.add(tally)
        return False

    def fits(self, span: Range, counted: Counted, width: int) -> bool:
        """Whether a vector of `width` places can be added to what a span holds of the same."""
        held = self.tallies.get(span, {}).get(counted)
        return held is None or held.counts is None or len(held.counts) == width

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

    def close(self, window: Range, by: Counted | None, min_rows: int) -> Closed | None:
        """Closes a window by what counts at its end; None where it holds no rows.

        Of outcomes what later labels changed is added to what was counted first.
        """
        if window.start_ms - self.since_ms > CARRY_FOR_MS:
            self.carry = None
        inside = self.inside(window)
        totals = Tally()
        for part in (tally for held in inside for tally in held.values()):
            totals.add_rows(part)
        corrections = _of_kind(inside, Kind.CORRECTION)
        totals.feature_rows -= corrections.feature_rows
        if totals.weight <= 0:
            return None
        moves = tuple(m for m in self.moves if window.start_ms <= m.pane_ms < window.end_ms)
        served = total(held[SERVED] for held in inside if SERVED in held).counts
        mine, from_ms, reason = Tally(), None, WARMUP
        if by is not None:
            mine, from_ms = self._with_carry(inside, by)
            reason = _reason(inside, mine, min_rows)
        return Closed(
            window,
            totals,
            None if reason else mine.counts,
            mine.weight,
            None if reason else from_ms,
            reason,
            tuple(sorted(moves)),
            served,
            corrections.feature_rows,
        )

    def inside(self, window: Range) -> list[Mapping[Counted, Tally]]:
        """What the spans of a window hold."""
        return [
            held
            for span, held in self.tallies.items()
            if window.start_ms <= span.start_ms < window.end_ms
        ]

    def retire(self, since_ms: int, carried: Counted | None) -> list[tuple[Range, int]]:
        """Forgets what is behind `since_ms`; returns the spans that are gone, and their rows.

        `carried` says what counts in a window that wasn't scored for want of rows: its tallies
        behind `since_ms` are then carried to the next one. None carries nothing.
        """
        gone = sorted(span for span in self.tallies if span.start_ms < since_ms)
        carry = None
        if carried is not None:
            tally = total(self.mine(self.tallies[span], carried) for span in gone)
            start_ms = gone[0].start_ms if gone else since_ms
            if self.carry is not None and self.carry.counted == carried:
                tally.add(self.carry.tally)
                start_ms = self.carry.start_ms
            carry = Carry(start_ms, carried, tally) if tally.weight > 0 else None
        self.carry = carry
        rows = [(span, sum(t.rows for t in self.tallies.pop(span).values())) for span in gone]
        self.moves = [move for move in self.moves if move.pane_ms >= since_ms]
        self.since_ms = max(self.since_ms, since_ms)
        return rows

    def _with_carry(
        self, inside: Iterable[Mapping[Counted, Tally]], by: Counted
    ) -> tuple[Tally, int | None]:
        mine = total(self.mine(held, by) for held in inside)
        if self.carry is None or self.carry.counted != by:
            return mine, None
        mine.add(self.carry.tally)
        return mine, self.carry.start_ms

    @staticmethod
    def mine(held: Mapping[Counted, Tally], by: Counted) -> Tally:
        """What `by` counts of a span, of outcomes with their corrections."""
        keys = (by, Counted(Kind.CORRECTION, by.by)) if by.kind is Kind.OUTCOME else (by,)
        found = total(held[key] for key in keys if key in held)
        found.feature_rows = found.feature_rows if by.kind is Kind.DATA else 0
        return found


def _reason(inside: Iterable[Mapping[Counted, Tally]], mine: Tally, min_rows: int) -> str:
    if mine.counts is None or mine.weight <= 0:
        unbinned = total(held[UNBINNED] for held in inside if UNBINNED in held)
        return WARMUP if unbinned.weight else OTHER_PROFILE
    return MIN_ROWS if mine.weight < min_rows else ""


def _of_kind(inside: Iterable[Mapping[Counted, Tally]], kind: Kind) -> Tally:
    found = Tally()
    for held in inside:
        for counted, tally in held.items():
            if counted.kind is kind:
                found.add_rows(tally)
    return found


def _by_source(moves: Iterable[Move]) -> list[Move]:
    found: dict[Source, Move] = {}
    for move in moves:
        known = found.setdefault(move.source, move)
        before, after = min(known.before, move.before), max(known.after, move.after)
        found[move.source] = Move(move.source, before, after, max(known.pane_ms, move.pane_ms))
    return list(found.values())


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies, sharing nothing with them."""
    found = Tally()
    for tally in tallies:
        found.add(tally)
    return found
