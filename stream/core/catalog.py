"""Which profile and which monitor apply to a model at a time: timelines, filled in offset order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stream.core.records import ModelKey
from stream.core.specs import MonitorSpec, Profile

__all__ = ["Monitors", "Profiles"]


class Profiles:
    """Every profile heard of, and which is in force for a model@version's pane.

    A published profile is immutable: of two for one model@version the first heard (the lower
    offset) stands, and the later is refused; likewise of two warmed-up ones. A published one
    replaces a warmed-up one from its `effective_from_ms` on, whichever was heard first.
    """

    def __init__(self) -> None:
        self.entries: list[Profile] = []
        self._timeline: dict[ModelKey, list[int]] = {}
        self._by_hash: dict[tuple[ModelKey, str], int] = {}

    def hear(self, profile: Profile) -> str | None:
        """Takes a profile in; returns why it was refused, or None. The same again is no refusal."""
        timeline = self._timeline.setdefault(profile.model, [])
        for index in timeline:
            known = self.entries[index]
            if known.warmed_up == profile.warmed_up:
                if known.hash == profile.hash:
                    return None
                return (
                    f"{profile.model} already has the profile {known.hash}; a profile is "
                    f"immutable, so {profile.hash} is refused: publish it for a new version"
                )
        index = len(self.entries)
        self.entries.append(profile)
        self._by_hash[profile.model, profile.hash] = index
        timeline.append(index)
        timeline.sort(key=self._rank)
        return None

    def latest(self, model: ModelKey) -> int | None:
        """The index of the profile in force from some time on for ever, or None."""
        timeline = self._timeline.get(model)
        return timeline[-1] if timeline else None

    def at(self, model: ModelKey, time_ms: int) -> Profile | None:
        """The profile in force for the model's pane that starts at `time_ms`, or None."""
        for index in reversed(self._timeline.get(model, ())):
            if self.entries[index].effective_from_ms <= time_ms:
                return self.entries[index]
        return None

    def published(self, model: ModelKey) -> Profile | None:
        """The model's published profile, in force or not yet; it has at most one."""
        timeline = self._timeline.get(model)
        if not timeline or self.entries[timeline[-1]].warmed_up:
            return None
        return self.entries[timeline[-1]]

    def find(self, model: ModelKey, content_hash: str) -> Profile | None:
        """The profile with this content, in force or not."""
        index = self._by_hash.get((model, content_hash))
        return None if index is None else self.entries[index]

    def _rank(self, index: int) -> tuple[bool, int]:
        """A published profile supersedes a warmed-up one, even where both start at one time."""
        profile = self.entries[index]
        return (not profile.warmed_up, profile.effective_from_ms)


@dataclass(frozen=True, slots=True)
class _Change:
    effective_from_ms: int
    spec: MonitorSpec


class Monitors:
    """Every monitor heard of; a change applies from its `effective_from_ms`.

    `default` is in force where no other is. `changes` counts what was heard: what is made from
    monitors is made anew when it has moved.
    """

    def __init__(self, default: MonitorSpec | None = None) -> None:
        self.default = default or MonitorSpec()
        self.changes = 0
        self._changes: dict[str, list[_Change]] = {}

    def hear(self, spec: MonitorSpec) -> None:
        """Takes a monitor in; one with the same start replaces the earlier."""
        changes = self._changes.setdefault(spec.model, [])
        changes[:] = [c for c in changes if c.effective_from_ms < spec.effective_from_ms]
        changes.append(_Change(spec.effective_from_ms, spec))
        self.changes += 1

    def defer(self, model: str, until_ms: int) -> None:
        """Lets what would be in force before a time take effect then; before it, the default is."""
        changes = self._changes.get(model, [])
        early = [c for c in changes if c.effective_from_ms < until_ms]
        later = [c for c in changes if c.effective_from_ms >= until_ms]
        if early:
            if not later or later[0].effective_from_ms > until_ms:
                spec = replace(early[-1].spec, effective_from_ms=until_ms)
                later.insert(0, _Change(until_ms, spec))
            changes[:] = later
            self.changes += 1

    def specs(self, model: str) -> tuple[MonitorSpec, ...]:
        """The model's own monitors that are known, by `effective_from_ms`; each until the next."""
        return tuple(change.spec for change in self._changes.get(model, ()))

    def at(self, model: str, time_ms: int) -> MonitorSpec:
        """The monitor in force for the model at `time_ms`, the default one if there is none."""
        for change in reversed(self._changes.get(model, ())):
            if change.effective_from_ms <= time_ms:
                return change.spec
        return self.default

    def replaced_at(self, model: str, time_ms: int) -> int | None:
        """When the monitor in force at `time_ms` is replaced by the next, None if it stays."""
        for change in self._changes.get(model, ()):
            if change.effective_from_ms > time_ms:
                return change.effective_from_ms
        return None

    def any_segments(self) -> bool:
        """True if any monitor known tells rows apart."""
        specs = (change.spec for changes in self._changes.values() for change in changes)
        return any(spec.segments for spec in (self.default, *specs))

    def models(self) -> tuple[str, ...]:
        """The models that have a monitor of their own, sorted."""
        return tuple(sorted(self._changes))
