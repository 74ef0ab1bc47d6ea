"""Detect, composed: partials become closed panes, windows, scores and incidents of many models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream.core.catalog import Monitors, Profiles
from stream.core.pane.frontier import Frontier
from stream.core.pane.open import OpenWindows, WindowEnd
from stream.core.pane.spans import UNBINNED, Closed, Move
from stream.core.records import Group, ModelKey, Partial, Source
from stream.core.score import VariableScores, drift_share, score_window
from stream.core.signal.incident import Change, History, Verdict, advance, is_dirty
from stream.core.specs import MonitorSpec, Profile, Severity, TimeSpec

__all__ = ["Advance", "Detection", "WindowResult"]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class WindowResult:
    """A closed window that holds rows, its scores if it has any, and what they led to.

    `profile` is the one in force at the window's end, None during warm-up; `scores` is empty,
    and `drift_share` None, where the window isn't scored.
    """

    model: ModelKey
    closed: Closed
    profile: Profile | None
    monitor: MonitorSpec
    scores: tuple[VariableScores, ...] = ()
    drift_share: float | None = None
    dirty: bool = False
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What closing panes led to, in order; `refused` says why a warm-up made no profile."""

    windows: tuple[WindowResult, ...] = ()
    profiles: tuple[Profile, ...] = ()
    refused: tuple[str, ...] = ()


class Detection:
    """One detect task: all models of one partition of `partials`.

    The same partials, profiles and monitors give the same windows and incidents however they are
    cut into slices, unless sources were excused.
    """

    def __init__(
        self, sources: Sequence[Source], times: TimeSpec, profiles: Profiles, monitors: Monitors
    ) -> None:
        self._pane_ms = times.pane_ms
        self.frontier = Frontier(sources, times)
        self.windows = OpenWindows(times.pane_ms, profiles, monitors)
        self.histories: dict[ModelKey, History] = {}

    def open_incidents(self) -> Counter[Severity]:
        """How many incidents are open, by severity."""
        histories = self.histories.values()
        return Counter(h.incident.severity for h in histories if h.incident is not None)

    def explains(self, group: Group) -> bool:
        """Whether the profile that a group was binned by is known."""
        return (
            group.profile == UNBINNED or self.windows.find(group.model, group.profile) is not None
        )

    def unheard(self) -> list[tuple[ModelKey, str]]:
        """Profiles that this task warmed up before it moved and that are yet to be heard of."""
        return [
            (model, watched.warmed_hash)
            for model, watched in self.windows.models.items()
            if watched.warmed_hash and self.windows.find(model, watched.warmed_hash) is None
        ]

    def fold(self, partial: Partial) -> int:
        """Adds a partial's groups to their panes; returns how many rows were moved.

        Rows of a closed pane count in the earliest open one, as late rows.
        """
        closed_ms = self.frontier.closed_ms
        moved = 0
        for group in partial.groups:
            if group.pane_ms < closed_ms:
                self._note_moves(group, partial, closed_ms)
                late = max(group.rows, group.feature_rows)
                moved += late
                group = replace(group, pane_ms=closed_ms, late_rows=late)
            self.windows.add(group)
        self.frontier.hear(partial)
        return moved

    def advance(self, now_ms: int) -> Advance:
        """Closes the panes that can be closed, and every window that ends with them."""
        end_ms = self.frontier.closable(now_ms, self.windows.rows_end_ms)
        before_ms = self.windows.closed_ms
        if end_ms == before_ms:
            return Advance()
        profiles, refused = self.windows.warm_up(end_ms)
        windows = tuple(map(self._judged, self.windows.close()))
        if end_ms // _DAY_MS > before_ms // _DAY_MS:
            self._forget()
        return Advance(windows, tuple(profiles), tuple(refused))

    def _forget(self) -> None:
        """Drops models that are silent for so long that their past decides nothing any more."""
        for model in self.windows.idle():
            history = self.histories.get(model)
            if history is None or history.incident is None:
                self.histories.pop(model, None)
                self.windows.forget(model)

    def _note_moves(self, group: Group, partial: Partial, target_ms: int) -> None:
        """The sources that may have held the rows: those whose watermark was behind the pane."""
        end_ms = group.pane_ms + self._pane_ms
        for source, before, after in partial.progress:
            if after > before and self.frontier.watermark_ms(source) < end_ms:
                self.windows.note_move(group.model, Move(source, before, after, target_ms))

    def _judged(self, end: WindowEnd) -> WindowResult:
        result = WindowResult(end.model, end.closed, end.profile, end.monitor)
        if end.profile is None or end.closed.counts is None:
            return result
        scores = score_window(end.profile, end.closed.counts, end.monitor)
        share, window = drift_share(scores), end.closed.window
        alarmed = any(variable.drifted and variable.alert for variable in scores)
        dirty = is_dirty(end.monitor, share, alarmed=alarmed)
        verdict = Verdict(window.start_ms, window.end_ms, dirty, share)
        history = self.histories.get(end.model, History())
        self.histories[end.model], change = advance(history, end.model, "", verdict, end.monitor)
        return replace(result, scores=scores, drift_share=share, dirty=dirty, change=change)
