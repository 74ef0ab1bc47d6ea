"""Data windows: rows counted by profiles, and those that wait until their model has one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stream.core.catalog import Monitors, Profiles
from stream.core.errors import ProfileError
from stream.core.pane.open import OpenWindows, WindowEnd
from stream.core.pane.spans import CARRY_FOR_MS, SERVED, UNBINNED, Counted, Subject, Tally
from stream.core.pane.warmup import WarmUp, binned, unbinned
from stream.core.pane.window import Range
from stream.core.records import Group, Kind, ModelKey
from stream.core.rules import Bounds
from stream.core.specs import MonitorSpec, Profile

__all__ = ["DataWindows", "Warming"]


@dataclass(slots=True)
class Warming:
    """A model's raw rows, and the profile that this task warmed up of them.

    `profile` is there until it is heard of on `profiles`; `hash` says that there is one.
    `rows` are those that wait.
    """

    waiting: WarmUp = field(default_factory=WarmUp)
    profile: Profile | None = None
    hash: str = ""
    rows: int = 0


class DataWindows:
    """The rows of predictions and features, by subject, in windows counted by profiles.

    Bounded as `OpenWindows` is, and by `bounds`; rows that wait for a profile for CARRY_FOR_MS
    are given up: they count in windows, not in scores.
    """

    def __init__(
        self, pane_ms: int, profiles: Profiles, monitors: Monitors, bounds: Bounds
    ) -> None:
        self._pane_ms = pane_ms
        self._profiles = profiles
        self._monitors = monitors
        self._waiting: set[ModelKey] = set()
        self._most_raw_rows = bounds.raw_rows
        self._raw_rows = 0
        self.open = OpenWindows(pane_ms, monitors, self._counted_by, bounds.models)
        self.warming: dict[ModelKey, Warming] = {}

    def find(self, model: ModelKey, content_hash: str) -> Profile | None:
        """The profile of that content; one that was warmed up here counts before it is heard."""
        found = self._profiles.find(model, content_hash)
        if found is None:
            warming = self.warming.get(model)
            warmed = None if warming is None else warming.profile
            return warmed if warmed is not None and warmed.hash == content_hash else None
        return found

    def unheard(self) -> list[tuple[ModelKey, str]]:
        """Profiles that this task warmed up before it moved and that are yet to be heard of."""
        return [
            (model, warming.hash)
            for model, warming in self.warming.items()
            if warming.hash and self.find(model, warming.hash) is None
        ]

    def warmed(self, model: ModelKey, content_hash: str) -> None:
        """Restores that a profile of that hash was warmed up here."""
        self.warming.setdefault(model, Warming()).hash = content_hash

    def profile_at(self, model: ModelKey, pane_ms: int) -> Profile | None:
        """The profile in force; one that this task warmed up itself counts before it is heard."""
        found = self._profiles.at(model, pane_ms)
        if found is not None and not found.warmed_up:
            return found
        warming = self.warming.get(model)
        warmed = None if warming is None else warming.profile
        return warmed if warmed is not None and warmed.effective_from_ms <= pane_ms else found

    def add(self, group: Group) -> None:
        """Adds a group to its pane, which must be open.

        Raw rows are binned if a profile covers their pane, else they wait. Rows binned by a
        profile that nobody knows count in windows, not in scores. A segment is counted by
        published profiles alone: when rows begin to be binned by a warmed-up one depends on
        when observe heard of it.
        """
        subject = Subject(group.model, group.segment)
        if not self.open.admits(subject):
            return
        if group.kind is Kind.SERVING:
            counts = group.count_vector()
            self.open.count(subject, group.pane_ms, SERVED, Tally(counts=counts))
        elif group.raw is None:
            self._add_binned(subject, group)
        elif not group.segment:
            self._add_raw(subject, group)

    def wait(self, group: Group) -> None:
        """Keeps a raw group until there is a profile, without a journal entry."""
        warming = self.warming.setdefault(group.model, Warming())
        warming.waiting.add(group)
        warming.rows += _weight(group)
        self._raw_rows += _weight(group)
        self._waiting.add(group.model)
        subject = Subject(group.model)
        span = self.open.span(subject, group.pane_ms)
        self.open.hold(subject, span, UNBINNED, unbinned(group))

    def warm_up(self) -> Iterator[Profile | ProfileError]:
        """Profiles of models whose closed panes have the rows now, and why others failed."""
        for model in sorted(self._waiting):
            yield from self._settle(model, self.warming[model])

    def close(self) -> Iterator[WindowEnd]:
        """The windows that end; see `OpenWindows.close`."""
        return self.open.close()

    def idle(self, subject: Subject, closed_ms: int) -> bool:
        """Whether nothing of a subject has to be kept."""
        waits = not subject.segment and subject.model in self._waiting
        return not waits and self.open.idle(subject, closed_ms)

    def forget(self, subject: Subject) -> None:
        """Drops an idle subject."""
        if not subject.segment:
            self.warming.pop(subject.model, None)
        self.open.forget(subject)

    def _counted_by(
        self,
        subject: Subject,
        window: Range,
        monitor: MonitorSpec,  # noqa: ARG002  # the protocol's
    ) -> Counted | None:
        profile = self.profile_at(subject.model, window.end_ms - self._pane_ms)
        return None if profile is None else Counted(Kind.DATA, profile.hash)

    def _add_binned(self, subject: Subject, group: Group) -> None:
        profile = self.find(group.model, group.profile)
        if group.segment and (profile is None or profile.warmed_up):
            return
        tally, counts = unbinned(group), group.count_vector()
        if profile is None or len(counts) != profile.width:
            self.open.unknown_groups += 1
            self.open.count(subject, group.pane_ms, UNBINNED, tally)
            return
        tally.counts = counts
        self.open.count(subject, group.pane_ms, Counted(Kind.DATA, profile.hash), tally)

    def _add_raw(self, subject: Subject, group: Group) -> None:
        in_force = self.profile_at(group.model, group.pane_ms)
        if in_force is not None:
            counted = Counted(Kind.DATA, in_force.hash)
            self.open.count(subject, group.pane_ms, counted, binned(group, in_force))
            return
        self.wait(group)
        self.open.journal.keep(group)
        self.open.last_pane_ms = max(self.open.last_pane_ms, group.pane_ms + self._pane_ms)
        if self._raw_rows > self._most_raw_rows:
            self._relieve()

    def _settle(self, model: ModelKey, warming: Warming) -> list[Profile | ProfileError]:
        """Builds a model's profile if its closed panes have the rows, and bins what waited."""
        panes = warming.waiting.panes
        before = len(panes)
        told: list[Profile | ProfileError] = []
        while not warming.hash and (last_ms := self._cut(model, warming)) is not None:
            try:
                profile = warming.waiting.build(model, last_ms, last_ms + self._pane_ms)
            except ProfileError as problem:
                told.append(ProfileError(f"{model} could not be warmed up: {problem}"))
            else:
                warming.profile, warming.hash = profile, profile.hash
                told.append(profile)
            self._give_up(model, warming, [pane for pane in panes if pane <= last_ms])
        for pane_ms in sorted(panes):
            in_force = self.profile_at(model, pane_ms)
            if in_force is not None:
                self._bin(model, warming, pane_ms, in_force)
        closed_ms = self.open.closed_ms
        covered = warming.hash or self.profile_at(model, closed_ms) is not None
        stale_ms = closed_ms if covered else closed_ms - CARRY_FOR_MS
        self._give_up(model, warming, [pane for pane in panes if pane < stale_ms])
        if len(panes) < before:
            self._keep(model, warming)
        if not panes:
            self._waiting.discard(model)
        return told

    def _relieve(self) -> None:
        """Gives up what waits, until it is half of what may: models with the fewest rows first.

        Of the last one it is the oldest panes. What has most is nearest to a profile.
        """
        models = sorted(self._waiting, key=lambda model: (self.warming[model].rows, model))
        for model in models:
            warming = self.warming[model]
            panes = sorted(warming.waiting.panes)
            for pane_ms in panes[:-1] if model == models[-1] else panes:
                if self._raw_rows <= self._most_raw_rows // 2:
                    break
                self._give_up(model, warming, [pane_ms])
            self._keep(model, warming)
            if not warming.waiting.panes:
                self._waiting.discard(model)
            if self._raw_rows <= self._most_raw_rows // 2:
                break

    def _keep(self, model: ModelKey, warming: Warming) -> None:
        """Tells the journal that what waits now is all that is needed of the raw rows."""
        self.open.journal.settle(model)
        for pane_ms in warming.waiting.panes:
            for group in warming.waiting.groups(pane_ms):
                self.open.journal.keep(group)

    def _cut(self, model: ModelKey, warming: Warming) -> int | None:
        closed_ms = self.open.closed_ms
        return warming.waiting.cut(
            lambda pane_ms: pane_ms < closed_ms and self.profile_at(model, pane_ms) is None,
            lambda pane_ms: min(
                self._monitors.at(model.model, pane_ms).warmup_rows, self._most_raw_rows // 2
            ),
        )

    def _give_up(self, model: ModelKey, warming: Warming, panes: list[int]) -> None:
        """Panes that will never be binned: their rows count in windows, not in scores."""
        subject = Subject(model)
        since_ms = self.open.strand(subject).spans.since_ms
        for pane_ms in panes:
            span = self.open.span(subject, pane_ms)
            for group in warming.waiting.panes[pane_ms]:
                if span.start_ms >= since_ms:
                    self.open.journal.count(span, subject, UNBINNED, unbinned(group))
            self._drop(warming, pane_ms)

    def _bin(self, model: ModelKey, warming: Warming, pane_ms: int, profile: Profile) -> None:
        subject = Subject(model)
        span = self.open.span(subject, pane_ms)
        spans = self.open.strand(subject).spans
        for group in warming.waiting.groups(pane_ms):
            if spans.take_out(span, unbinned(group)):
                counted = Counted(Kind.DATA, profile.hash)
                self.open.count(subject, pane_ms, counted, binned(group, profile))
        self._drop(warming, pane_ms)

    def _drop(self, warming: Warming, pane_ms: int) -> None:
        rows = sum(map(_weight, warming.waiting.panes[pane_ms]))
        warming.rows, self._raw_rows = warming.rows - rows, self._raw_rows - rows
        warming.waiting.drop(pane_ms)


def _weight(group: Group) -> int:
    return max(group.rows, group.feature_rows)
