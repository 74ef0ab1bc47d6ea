"""Detect, composed: partials become closed panes, windows, scores and incidents of many models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from math import gcd

from stream.core.catalog import Monitors, Profiles
from stream.core.incidents import Incidents
from stream.core.judging import (
    data_result,
    data_verdicts,
    performance_result,
    performance_verdicts,
)
from stream.core.labels import LabelSpec, label_spec
from stream.core.numbers import significant
from stream.core.pane.data import DataWindows
from stream.core.pane.frontier import LABELS, Frontier
from stream.core.pane.grouping import groupings
from stream.core.pane.open import OpenWindows, WindowEnd
from stream.core.pane.past import Past, from_ms, rows_between
from stream.core.pane.spans import UNBINNED, Counted, Move, Subject, Tally
from stream.core.pane.window import Range
from stream.core.records import Group, Int64s, Kind, ModelKey, Partial, Source
from stream.core.results import (
    Advance,
    Coverage,
    DataResult,
    Folded,
    PerformanceResult,
    Said,
    Silence,
)
from stream.core.rules import Bounds
from stream.core.score.performance import Estimate
from stream.core.specs import MonitorSpec, Profile, TimeSpec

__all__ = ["Detection"]

_DAY_MS = 86_400_000
_BOUNDS = Bounds()

_Groups = tuple[str, dict[str, Int64s]]  # the segment to compare with, vectors by segment


class Detection:
    """One detect task: all models of one partition of `partials`.

    Rows close with the partitions of `features` and `predictions`, outcomes with those of
    `labels` as well. The same partials, profiles and monitors give the same windows and
    incidents however they are cut into slices, unless sources were excused.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        times: TimeSpec,
        profiles: Profiles,
        monitors: Monitors,
        bounds: Bounds = _BOUNDS,
    ) -> None:
        self.pane_ms = times.pane_ms
        self._profiles = profiles
        self._monitors = monitors
        self.frontier = Frontier([s for s in sources if s.topic != LABELS], times)
        self.outcome_frontier = Frontier(sources, times)
        self.windows = DataWindows(times.pane_ms, profiles, monitors, bounds)
        self.outcomes = OpenWindows(times.pane_ms, monitors, self._counted_by, bounds.models)
        self.pasts: dict[Subject, Past] = {}
        self.incidents = Incidents(self.pasts)
        self._turn: Iterator[Said] | None = None

    def explains(self, group: Group) -> bool:
        """Whether the profile that a group was binned by is known."""
        if group.kind is not Kind.DATA or group.profile == UNBINNED.by:
            return True
        return self.windows.find(group.model, group.profile) is not None

    def is_new(self, model: ModelKey) -> bool:
        """Whether nothing is counted of a model yet: what applies to it may be news as well."""
        return not (self.windows.open.holds(model) or self.outcomes.holds(model))

    def unheard(self) -> list[tuple[ModelKey, str]]:
        """Profiles that this task warmed up before it moved and that are yet to be heard of."""
        return self.windows.unheard()

    def reschedule(self) -> None:
        """To be called when monitors changed, or state was restored."""
        for step in (OpenWindows.defer, OpenWindows.reschedule):
            step(self.windows.open)
            step(self.outcomes)

    def listen_afresh(self) -> None:
        """Who owns which source isn't known: nobody heard the partials for a while."""
        self.frontier.listen_afresh()
        self.outcome_frontier.listen_afresh()

    def labels_behind_ms(self) -> int:
        """By how much performance windows are behind data windows; 0 where there are none.

        Before the first label: since the first predictions remembered that labels could join.
        """
        data_ms = self.frontier.closed_ms
        since_ms = self.outcome_frontier.closed_ms or self._first_made_ms(data_ms)
        return max(data_ms - since_ms, 0)

    def fold(self, partial: Partial) -> Folded:
        """Adds a partial's groups to their panes.

        Rows and outcomes of a closed pane count in the earliest open one, as late ones; what
        corrects outcomes of a closed pane is dropped.
        """
        moved = late = 0
        refused: Counter[ModelKey] = Counter()
        for group in partial.groups:
            of_rows = group.kind in {Kind.DATA, Kind.SERVING}
            if not (self.windows.open if of_rows else self.outcomes).knows(group.model):
                if not group.segment and group.kind is not Kind.SERVING:
                    refused[group.model] += _late(group)
                continue
            frontier = self.frontier if of_rows else self.outcome_frontier
            if group.pane_ms < frontier.closed_ms:
                if group.kind is Kind.CORRECTION:
                    late += 0 if group.segment else max(group.feature_rows, group.rows)
                    continue
                if not group.segment and group.kind is not Kind.SERVING:
                    self._note_moves(group, partial, frontier)
                    moved += _late(group)
                group = replace(group, pane_ms=frontier.closed_ms, late_rows=_late(group))
            if of_rows:
                self.windows.add(group)
            else:
                self._add_outcomes(group)
        self.frontier.hear(partial)
        self.outcome_frontier.hear(partial)
        return Folded(moved, late, refused)

    def advance(self, now_ms: int, enough: Callable[[], bool] = lambda: False) -> Advance:
        """Closes the panes that can be closed, and every window that ends with them.

        Performance windows close after the data windows of their time. Where `enough()`, asked
        after each window and each model warmed up, says so, the rest is left to the next calls:
        no further pane is closed before (`settled`), and what is said in the end is the same.
        """
        if self._turn is None:
            if self.settled:
                opened = self.windows.open
                opened.closed_ms = self.frontier.closable(now_ms, opened.extent)
            self._turn = self._close(now_ms)
        found = Advance()
        for said in self._turn:
            found.note(said)
            if enough():
                return found
        self._turn = None
        return found

    @property
    def settled(self) -> bool:
        """Whether all that closed panes lead to has been said."""
        return self._turn is None and self.windows.open.settled and self.outcomes.settled

    def _close(self, now_ms: int) -> Iterator[Said]:
        """What closed panes lead to; begun anew, it goes on behind what it has given."""
        opened, outcomes = self.windows.open, self.outcomes
        if not opened.settled:
            yield from self.windows.warm_up()
            yield from map(self._judged_data, self.windows.close())
        if outcomes.settled:
            most_ms = opened.closed_ms if opened.holds_beyond(opened.closed_ms) else None
            extent = self.outcomes.extent
            outcomes.closed_ms = self.outcome_frontier.closable(now_ms, extent, most_ms)
        yield from map(self._judged_outcomes, outcomes.close())
        outcomes.settle()
        if opened.closed_ms // _DAY_MS > opened.settled_ms // _DAY_MS:
            yield from self._forget()
        opened.settle()

    def _add_outcomes(self, group: Group) -> None:
        subject = Subject(group.model, group.segment)
        if not self.outcomes.admits(subject):
            return
        numbers = (group.rows, group.feature_rows, group.late_rows)
        tally = Tally(*numbers, counts=group.count_vector())
        self.outcomes.count(subject, group.pane_ms, Counted(group.kind, group.profile), tally)

    def _forget(self) -> Iterator[Silence]:
        """Resolves what is silent for so long, and drops subjects whose past decides nothing."""
        closed_ms = self.windows.open.closed_ms
        for ended in self.incidents.silences(closed_ms, self.outcomes.closed_ms):
            self.windows.open.journal.touched.add(ended.subject)
            yield ended
        for subject in sorted({*self.windows.open.strands, *self.outcomes.strands}):
            idle = self.windows.idle(subject, closed_ms) and self.outcomes.idle(subject, closed_ms)
            if idle and self.incidents.forget(subject):
                self.windows.forget(subject)
                self.outcomes.forget(subject)
                self.pasts.pop(subject, None)

    def _note_moves(self, group: Group, partial: Partial, frontier: Frontier) -> None:
        """The sources that may have held the rows: those whose watermark was behind the pane."""
        end_ms = group.pane_ms + self.pane_ms
        windows = self.outcomes if group.kind is Kind.OUTCOME else self.windows.open
        for source, before, after in partial.progress:
            if after > before and frontier.watermark_ms(source) < end_ms:
                move = Move(source, before, after, frontier.closed_ms)
                windows.note_move(Subject(group.model), move)

    def _counted_by(self, subject: Subject, window: Range, monitor: MonitorSpec) -> Counted | None:
        spec = self._spec(subject.model, window, monitor)
        return None if spec is None else Counted(Kind.OUTCOME, spec.hash)

    def _spec(self, model: ModelKey, window: Range, monitor: MonitorSpec) -> LabelSpec | None:
        """How labels are read at a window's end. What was warmed up says nothing."""
        profile = self._profiles.at(model, window.end_ms - self.pane_ms)
        return label_spec(profile, monitor.labels)

    def _judged_data(self, end: WindowEnd) -> DataResult:
        window = end.closed.window
        profile = None if end.by is None else self.windows.find(end.subject.model, end.by.by)
        result = data_result(end, profile)
        past = self.pasts.setdefault(end.subject, Past())
        for start_ms, rows in end.retired:
            past.made[start_ms] = past.made.get(start_ms, 0) + rows
        past.estimated(window, {name: astuple(e) for name, e in result.estimated.items()})
        signals = self.incidents.judge(end, data_verdicts(result), result.breaches)
        past.settle(self.outcomes.settled_ms, end.monitor.labels.horizon_ms, _span_ms(end.monitor))
        return replace(result, signals=signals)

    def _judged_outcomes(self, end: WindowEnd) -> PerformanceResult:
        subject, window = end.subject, end.closed.window
        past = self.pasts.setdefault(subject, Past())
        for start_ms, rows in end.retired:
            past.known[start_ms] = past.known.get(start_ms, 0) + rows
        spec = self._spec(subject.model, window, end.monitor)
        profile = self._profiles.at(subject.model, window.end_ms - self.pane_ms)
        if profile is not None and profile.warmed_up:
            profile = None
        told = past.estimates.get(window, {})
        estimated = {name: Estimate(*figure) for name, figure in told.items()}
        coverage = self._coverage(end, past)
        groups = [] if spec is None or subject.segment else self._groups(end, profile)
        result = performance_result(end, spec, profile, coverage, estimated, groups)
        signals = self.incidents.judge(end, performance_verdicts(result), result.breaches)
        past.settle(window.end_ms, end.monitor.labels.horizon_ms, _span_ms(end.monitor))
        return replace(result, signals=signals)

    def _first_made_ms(self, closed_ms: int) -> int:
        """Where the first closed span begins that holds predictions to be labelled."""
        now = Range(closed_ms - self.pane_ms, closed_ms)
        first_ms = closed_ms
        for (model, _), past in self.pasts.items():
            made_ms = next(iter(past.made), closed_ms)
            if made_ms < first_ms:
                monitor = self._monitors.at(model.model, now.start_ms)
                if self._spec(model, now, monitor) is not None:
                    first_ms = made_ms
        return first_ms

    def _groups(self, end: WindowEnd, profile: Profile | None) -> list[_Groups]:
        """The vectors of each protected rule's segments, but of those with too few outcomes."""
        found: list[_Groups] = []
        if end.by is None or not any(rule.protected for rule in end.monitor.segments):
            return found
        for grouping in groupings(end.monitor, profile):
            vectors: dict[str, Int64s] = {}
            for name in filter(None, grouping.names if grouping.rule.protected else ()):
                subject = Subject(end.subject.model, name)
                tally = self.outcomes.counts(subject, end.closed.window, end.by)
                if tally.counts is not None and tally.rows >= end.monitor.min_rows:
                    vectors[name] = tally.counts
            if vectors:
                found.append((grouping.reference, vectors))
        return found

    def _coverage(self, end: WindowEnd, past: Past) -> Coverage:
        """Of outcomes and predictions alike what is in closed spans and in open ones."""
        rule, end_ms = end.monitor.labels, end.closed.window.end_ms
        begin_ms = from_ms(end_ms, rule.horizon_ms, _span_ms(end.monitor))
        known = rows_between(past.known, begin_ms, end_ms)
        known += self.outcomes.rows(end.subject, begin_ms, end_ms)
        made = rows_between(past.made, begin_ms, end_ms)
        made += self.windows.open.rows(end.subject, begin_ms, end_ms)
        expected = made * rule.sample
        share = min(significant(known / expected), 1.0) if expected > 0 else None
        return Coverage(known, made, rule.sample, begin_ms, share)


def _span_ms(monitor: MonitorSpec) -> int:
    """The length of the spans that a monitor's windows are made of."""
    return gcd(monitor.window_ms, monitor.hop_ms)


def _late(group: Group) -> int:
    return max(group.rows, group.feature_rows)
