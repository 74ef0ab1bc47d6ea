"""The open windows of many subjects: rows come in, closed windows go out in the order of ends."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stream.core.catalog import Monitors
from stream.core.pane.journal import Journal
from stream.core.pane.spans import (
    CARRY_FOR_MS,
    MIN_ROWS,
    Closed,
    Counted,
    Move,
    Spans,
    Subject,
    Tally,
    total,
)
from stream.core.pane.window import Range, last_window, span_of, window_after
from stream.core.records import ModelKey
from stream.core.rules import Bounds
from stream.core.specs import MonitorSpec

__all__ = ["Extent", "OpenWindows", "Strand", "WindowEnd"]

_IDLE_AFTER_MS = 2 * CARRY_FOR_MS  # longer than any label horizon
_MOST_MODELS = Bounds().models
_MOST_SEGMENTS = 1_000  # of one model; observe's own bound is far lower


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """A closed window that holds rows, the monitor in force for it and what counts at its end.

    `retired` are the starts of the spans that no later window needs, with their rows.
    """

    subject: Subject
    closed: Closed
    by: Counted | None
    monitor: MonitorSpec
    retired: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Strand:
    """What is kept of one subject: its spans, and the next window that holds rows."""

    spans: Spans = field(default_factory=Spans)
    due: Range | None = None
    ended_ms: int = 0  # the end of the window closed last
    span: Range | None = None  # the span used last


@dataclass(frozen=True, slots=True)
class Extent:
    """How far rows reach: the end of the last pane, and of the last window, that holds any."""

    pane_ms: int = 0
    window_ms: int = 0


class OpenWindows:
    """Rows of many subjects until their windows are closed.

    `counted_by` says what counts for a subject's window, None where nothing does. What it gives
    depends on the rows, their panes and `close`'s order alone. Bounded by the subjects' open
    spans and by `idle`; `journal` holds what changed since it was last cleared.

    Panes are closed up to `closed_ms`. Closing their windows may take several turns: all are
    closed up to `settled_ms`, of some subjects more (`Strand.ended_ms`).
    """

    def __init__(
        self,
        pane_ms: int,
        monitors: Monitors,
        counted_by: Callable[[Subject, Range, MonitorSpec], Counted | None],
        max_models: int = _MOST_MODELS,
    ) -> None:
        self._pane_ms = pane_ms
        self._monitors = monitors
        self._counted_by = counted_by
        self._due: list[tuple[int, Subject]] = []
        self._held: Counter[Range] = Counter()
        self._segments: Counter[str] = Counter()
        self._subjects: Counter[ModelKey] = Counter()
        self._max_models = max_models
        self.closed_ms = 0
        self.settled_ms = 0
        self.last_pane_ms = 0  # the end of the last pane that ever got rows
        self.journal = Journal()
        self.strands: dict[Subject, Strand] = {}
        self.unknown_groups = 0

    def strand(self, subject: Subject) -> Strand:
        """What is kept of a subject, made if there is nothing yet."""
        found = self.strands.get(subject)
        if found is None:
            found = self.strands[subject] = Strand()
            self._segments[subject.model.model] += 1
            self._subjects[subject.model] += 1
        return found

    def admits(self, subject: Subject) -> bool:
        """Whether a subject's rows are counted.

        Not those of a model's thousandth segment, nor of a model beyond the bound.
        """
        if subject in self.strands:
            return True
        if not self.knows(subject.model):
            return False
        return not subject.segment or self._segments[subject.model.model] < _MOST_SEGMENTS

    def knows(self, model: ModelKey) -> bool:
        """Whether rows of a model are counted: it has some, or there is room for one more."""
        return model in self._subjects or len(self._subjects) < self._max_models

    def holds(self, model: ModelKey) -> bool:
        """Whether anything is kept of a model."""
        return model in self._subjects

    def count(self, subject: Subject, pane_ms: int, counted: Counted, tally: Tally) -> None:
        """Adds rows to their pane, which must be open. Vectors of another length are refused."""
        strand = self.strand(subject)
        span = self.span(subject, pane_ms)
        width = 0 if tally.counts is None else len(tally.counts)
        if span.start_ms < strand.spans.since_ms:
            return
        if width and not strand.spans.fits(span, counted, width):
            self.unknown_groups += 1
            return
        self.last_pane_ms = max(self.last_pane_ms, pane_ms + self._pane_ms)
        self.hold(subject, span, counted, tally)
        self.journal.count(span, subject, counted, tally)

    def note_move(self, subject: Subject, move: Move) -> None:
        """Notes that rows of closed panes came, for the window that receives them."""
        self.strand(subject).spans.moved(move)
        self.journal.move(subject, move)

    def hold(self, subject: Subject, span: Range, counted: Counted, tally: Tally) -> None:
        """Adds rows to a span without a journal entry, as what is on the changelog already."""
        strand = self.strand(subject)
        if strand.spans.add(span, counted, tally):
            self._held[span] += 1
            self._schedule(subject, strand)

    def span(self, subject: Subject, pane_ms: int) -> Range:
        """The span that holds a subject's pane."""
        strand = self.strand(subject)
        span = strand.span
        if span is None or not span.start_ms <= pane_ms < span.end_ms:
            span = strand.span = span_of(self._monitors, subject.model.model, pane_ms)
        return span

    def counts(self, subject: Subject, window: Range, by: Counted) -> Tally:
        """The rows of an open window that `by` counts, corrections included, nothing carried."""
        strand = self.strands.get(subject)
        if strand is None:
            return Tally()
        return total(Spans.mine(held, by) for held in strand.spans.inside(window))

    def rows(self, subject: Subject, from_ms: int, until_ms: int) -> int:
        """The rows of the spans that begin in a range and are still open."""
        strand = self.strands.get(subject)
        held = {} if strand is None else strand.spans.tallies
        return sum(
            tally.rows
            for span, by in held.items()
            if from_ms <= span.start_ms < until_ms
            for tally in by.values()
        )

    def defer(self) -> None:
        """Lets monitors that came when their time had begun wait for the end of what is counted.

        Rows that are counted together can't be told apart again, so a model that was applied a
        monitor after its first rows ends the window it is in by the monitor before.
        """
        for subject, strand in self.strands.items():
            for span in sorted(strand.spans.tallies):
                if span != span_of(self._monitors, subject.model.model, span.start_ms):
                    self._monitors.defer(subject.model.model, span.end_ms)

    def reschedule(self) -> None:
        """To be called when monitors changed, or state was restored."""
        self._due.clear()
        for subject, strand in self.strands.items():
            strand.due = strand.span = None
            self._schedule(subject, strand)

    def close(self) -> Iterator[WindowEnd]:
        """The windows that hold rows and end up to `closed_ms`.

        What isn't taken is given by the next call, before `settle`.
        Of windows that end together those of a model's segments follow that of all its rows.
        """
        while self._due and self._due[0][0] <= self.closed_ms:
            due_ms, subject = heapq.heappop(self._due)
            strand = self.strands[subject]
            if strand.due is not None and strand.due.end_ms == due_ms:
                end = self._close(subject, strand, strand.due)
                if end is not None:
                    yield end

    @property
    def settled(self) -> bool:
        """Whether all windows of the closed panes are closed."""
        return self.settled_ms == self.closed_ms

    def settle(self) -> None:
        """To be called when `close` was taken to its end."""
        self.settled_ms = self.closed_ms

    def idle(self, subject: Subject, closed_ms: int) -> bool:
        """Whether a subject had no rows for so long that nothing of it has to be kept."""
        strand = self.strands.get(subject)
        if strand is None:
            return True
        length_ms = self._monitors.at(subject.model.model, closed_ms).window_ms
        silent_ms = closed_ms - strand.spans.since_ms
        return not strand.spans.tallies and silent_ms > _IDLE_AFTER_MS + 2 * length_ms

    def forget(self, subject: Subject) -> None:
        """Drops an idle subject."""
        if self.strands.pop(subject, None) is not None:
            self._segments[subject.model.model] -= 1
            self._subjects[subject.model] -= 1
            self._subjects += Counter()  # without what has none left
            self.journal.forget(subject)

    def extent(self) -> Extent:
        """How far rows reach."""
        ends = (
            last_window(
                self._monitors, subject.model.model, max(strand.spans.tallies).start_ms
            ).end_ms
            for subject, strand in self.strands.items()
            if strand.spans.tallies
        )
        return Extent(self.last_pane_ms, max(ends, default=0))

    def holds_beyond(self, time_ms: int) -> bool:
        """Whether spans that end after a time hold rows."""
        return any(span.end_ms > time_ms for span in self._held)

    def _close(self, subject: Subject, strand: Strand, window: Range) -> WindowEnd | None:
        model = subject.model.model
        monitor = self._monitors.at(model, window.start_ms)
        by = self._counted_by(subject, window, monitor)
        closed = strand.spans.close(window, by, monitor.min_rows)
        following = window_after(self._monitors, model, window.end_ms)
        moves = len(strand.spans.moves)
        # A window left without rows (duplicates, retractions) passes on what it was handed.
        carried = by if closed is None or closed.reason == MIN_ROWS else None
        retired = strand.spans.retire(following.start_ms, carried)
        for span, _ in retired:
            self._held[span] -= 1
            if not self._held[span]:
                del self._held[span]
                self.journal.release(span)
        if len(strand.spans.moves) < moves:
            self.journal.unmove(subject)
        self.journal.touched.add(subject)
        strand.due, strand.ended_ms = None, window.end_ms
        self._schedule(subject, strand)
        if closed is None:
            return None
        starts = tuple((span.start_ms, rows) for span, rows in retired)
        return WindowEnd(subject, closed, by, monitor, starts)

    def _schedule(self, subject: Subject, strand: Strand) -> None:
        if not strand.spans.tallies:
            return
        after_ms = max(self.settled_ms, strand.ended_ms)
        first_ms = max(after_ms, min(strand.spans.tallies).start_ms)
        due = window_after(self._monitors, subject.model.model, first_ms)
        if strand.due is None or due.end_ms != strand.due.end_ms:
            strand.due = due
            heapq.heappush(self._due, (due.end_ms, subject))
