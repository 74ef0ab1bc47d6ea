"""The open windows of many models: groups come in, closed windows go out in the order of ends."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream.core.catalog import Monitors, Profiles
from stream.core.errors import ProfileError
from stream.core.pane.journal import Journal
from stream.core.pane.spans import CARRY_FOR_MS, MIN_ROWS, UNBINNED, Closed, Move, Spans, Tally
from stream.core.pane.warmup import WarmUp, binned, unbinned
from stream.core.pane.window import Range, last_window, span_of, window_after
from stream.core.records import Group, ModelKey
from stream.core.specs import MonitorSpec, Profile

__all__ = ["OpenWindows", "Watched", "WindowEnd"]


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """A closed window that holds rows, with the monitor and the profile in force for it.

    `profile` is the one at the window's end, None during warm-up.
    """

    model: ModelKey
    closed: Closed
    profile: Profile | None
    monitor: MonitorSpec


@dataclass(slots=True)
class Watched:
    """What one task keeps of a model@version's rows.

    `warmed` is the profile that this task warmed up, until it is heard of on `profiles`;
    `warmed_hash` says that there is one. `due` is the next window that holds rows.
    """

    spans: Spans = field(default_factory=Spans)
    warm: WarmUp = field(default_factory=WarmUp)
    warmed: Profile | None = None
    warmed_hash: str = ""
    due: Range | None = None
    span: Range | None = None  # the span used last


class OpenWindows:
    """Rows of many models until their windows are closed.

    What it gives depends on the groups, their panes and `close`'s order alone. Bounded by the
    models' open spans and by `idle`; `journal` holds what changed since it was last cleared.
    """

    def __init__(self, pane_ms: int, profiles: Profiles, monitors: Monitors) -> None:
        self._pane_ms = pane_ms
        self._profiles = profiles
        self._monitors = monitors
        self._due: list[tuple[int, ModelKey]] = []
        self._held: Counter[Range] = Counter()
        self._warming: set[ModelKey] = set()
        self.closed_ms = 0
        self.journal = Journal()
        self.models: dict[ModelKey, Watched] = {}
        self.unknown_groups = 0

    def watched(self, model: ModelKey) -> Watched:
        """What is kept of a model, made if there is nothing yet."""
        found = self.models.get(model)
        if found is None:
            found = self.models[model] = Watched()
        return found

    def find(self, model: ModelKey, content_hash: str) -> Profile | None:
        """The profile of that content; one that was warmed up here counts before it is heard."""
        found = self._profiles.find(model, content_hash)
        if found is None:
            watched = self.models.get(model)
            warmed = None if watched is None else watched.warmed
            return warmed if warmed is not None and warmed.hash == content_hash else None
        return found

    def add(self, group: Group) -> None:
        """Adds a group to its pane, which must be open.

        Raw rows are binned if a profile covers their pane, else they wait. Rows binned by a
        profile that nobody knows count in windows, not in scores.
        """
        watched = self.watched(group.model)
        if group.raw is not None:
            in_force = self._profile_at(group.model, group.pane_ms)
            if in_force is None:
                self.wait(group)
                self.journal.keep(group)
                return
            tally = binned(group, in_force)
            self._count(group.model, watched, group.pane_ms, in_force.hash, tally)
            return
        profile = self.find(group.model, group.profile)
        tally, counts = unbinned(group), group.count_vector()
        if profile is None or len(counts) != profile.width:
            self.unknown_groups += 1
            self._count(group.model, watched, group.pane_ms, UNBINNED, tally)
            return
        tally.counts = counts
        self._count(group.model, watched, group.pane_ms, group.profile, tally)

    def note_move(self, model: ModelKey, move: Move) -> None:
        """Notes that rows of closed panes came, for the window that receives them."""
        self.watched(model).spans.moved(move)
        self.journal.touched.add(model)

    def hold(self, model: ModelKey, span: Range, profile: str, tally: Tally) -> None:
        """Adds rows to a span without a journal entry, as what is on the changelog already."""
        watched = self.watched(model)
        if watched.spans.add(span, profile, tally):
            self._held[span] += 1
            self._schedule(model, watched, self.closed_ms)

    def wait(self, group: Group) -> None:
        """Keeps a raw group until there is a profile, without a journal entry."""
        watched = self.watched(group.model)
        watched.warm.add(group)
        self._warming.add(group.model)
        span = self._span(group.model, watched, group.pane_ms)
        self.hold(group.model, span, UNBINNED, unbinned(group))

    def reschedule(self) -> None:
        """To be called when monitors changed, or state was restored."""
        self._due.clear()
        for model, watched in self.models.items():
            watched.due = watched.span = None
            self._schedule(model, watched, self.closed_ms)

    def warm_up(self, closed_ms: int) -> tuple[list[Profile], list[str]]:
        """Closes panes: profiles of models that have the rows now, and why others failed."""
        self.closed_ms = closed_ms
        profiles: list[Profile] = []
        refused: list[str] = []
        for model in sorted(self._warming):
            self._settle(model, self.models[model], profiles, refused)
        return profiles, refused

    def close(self) -> Iterator[WindowEnd]:
        """The windows that hold rows and end with the closed panes; to be taken to the end."""
        while self._due and self._due[0][0] <= self.closed_ms:
            due_ms, model = heapq.heappop(self._due)
            watched = self.models[model]
            if watched.due is not None and watched.due.end_ms == due_ms:
                end = self._close(model, watched, watched.due)
                if end is not None:
                    yield end

    def idle(self) -> list[ModelKey]:
        """Models without rows for so long that nothing of them has to be kept."""
        return [
            model
            for model, watched in self.models.items()
            if not watched.spans.tallies
            and not watched.warm.panes
            and self.closed_ms - watched.spans.since_ms > CARRY_FOR_MS + 2 * self._length(model)
        ]

    def forget(self, model: ModelKey) -> None:
        """Drops an idle model."""
        del self.models[model]
        self.journal.forget(model)

    def rows_end_ms(self) -> int:
        """The end of the last window that holds rows, 0 if there are none."""
        return max(
            (
                last_window(self._monitors, model.model, max(watched.spans.tallies).start_ms).end_ms
                for model, watched in self.models.items()
                if watched.spans.tallies
            ),
            default=0,
        )

    def _length(self, model: ModelKey) -> int:
        return self._monitors.at(model.model, self.closed_ms).window_ms

    def _count(
        self, model: ModelKey, watched: Watched, pane_ms: int, profile: str, tally: Tally
    ) -> None:
        span = self._span(model, watched, pane_ms)
        if span.start_ms >= watched.spans.since_ms:
            self.hold(model, span, profile, tally)
            self.journal.count(span, model, profile, tally)

    def _settle(
        self, model: ModelKey, watched: Watched, profiles: list[Profile], refused: list[str]
    ) -> None:
        """Builds a model's profile if its closed panes have the rows, and bins what waited."""
        panes = watched.warm.panes
        waiting = len(panes)
        while not watched.warmed_hash and (last_ms := self._cut(model, watched)) is not None:
            try:
                profile = watched.warm.build(model, last_ms, last_ms + self._pane_ms)
            except ProfileError as problem:
                refused.append(f"{model} could not be warmed up: {problem}")
            else:
                watched.warmed, watched.warmed_hash = profile, profile.hash
                profiles.append(profile)
            self._give_up(model, watched, [pane for pane in panes if pane <= last_ms])
        for pane_ms in sorted(panes):
            in_force = self._profile_at(model, pane_ms)
            if in_force is not None:
                self._bin(model, watched, pane_ms, in_force)
        if watched.warmed_hash or self._profile_at(model, self.closed_ms) is not None:
            self._give_up(model, watched, [pane for pane in panes if pane < self.closed_ms])
        if len(panes) < waiting:
            self.journal.settle(model)
            for group in (group for pane_ms in panes for group in watched.warm.groups(pane_ms)):
                self.journal.keep(group)
        if not panes:
            self._warming.discard(model)

    def _cut(self, model: ModelKey, watched: Watched) -> int | None:
        closed_ms = self.closed_ms
        return watched.warm.cut(
            lambda pane_ms: pane_ms < closed_ms and self._profile_at(model, pane_ms) is None,
            lambda pane_ms: self._monitors.at(model.model, pane_ms).warmup_rows,
        )

    def _give_up(self, model: ModelKey, watched: Watched, panes: list[int]) -> None:
        """Panes that will never be binned: their rows count in windows, not in scores."""
        for pane_ms in panes:
            span = self._span(model, watched, pane_ms)
            for group in watched.warm.panes[pane_ms]:
                if span.start_ms >= watched.spans.since_ms:
                    self.journal.count(span, model, UNBINNED, unbinned(group))
            watched.warm.drop(pane_ms)

    def _bin(self, model: ModelKey, watched: Watched, pane_ms: int, profile: Profile) -> None:
        span = self._span(model, watched, pane_ms)
        for group in watched.warm.groups(pane_ms):
            if watched.spans.take_out(span, unbinned(group)):
                self._count(model, watched, pane_ms, profile.hash, binned(group, profile))
        watched.warm.drop(pane_ms)

    def _close(self, model: ModelKey, watched: Watched, window: Range) -> WindowEnd | None:
        monitor = self._monitors.at(model.model, window.start_ms)
        profile = self._profile_at(model, window.end_ms - self._pane_ms)
        closed = watched.spans.close(window, profile, monitor.min_rows)
        following = window_after(self._monitors, model.model, window.end_ms)
        carried = profile.hash if profile and closed and closed.reason == MIN_ROWS else None
        for span in watched.spans.retire(following.start_ms, carried):
            self._held[span] -= 1
            if not self._held[span]:
                del self._held[span]
                self.journal.release(span)
        self.journal.touched.add(model)
        watched.due = None
        self._schedule(model, watched, window.end_ms)
        return None if closed is None else WindowEnd(model, closed, profile, monitor)

    def _schedule(self, model: ModelKey, watched: Watched, after_ms: int) -> None:
        if not watched.spans.tallies:
            return
        first_ms = max(after_ms, min(watched.spans.tallies).start_ms)
        due = window_after(self._monitors, model.model, first_ms)
        if watched.due is None or due.end_ms != watched.due.end_ms:
            watched.due = due
            heapq.heappush(self._due, (due.end_ms, model))

    def _span(self, model: ModelKey, watched: Watched, pane_ms: int) -> Range:
        span = watched.span
        if span is None or not span.start_ms <= pane_ms < span.end_ms:
            span = watched.span = span_of(self._monitors, model.model, pane_ms)
        return span

    def _profile_at(self, model: ModelKey, pane_ms: int) -> Profile | None:
        """The profile in force; one that this task warmed up itself counts before it is heard."""
        found = self._profiles.at(model, pane_ms)
        if found is not None and not found.warmed_up:
            return found
        watched = self.models.get(model)
        warmed = None if watched is None else watched.warmed
        return warmed if warmed is not None and warmed.effective_from_ms <= pane_ms else found
