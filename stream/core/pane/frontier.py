"""Which panes are closed: what observe told of its source partitions, and who may be waited for.

A pane that ends at E closes when every source has told a watermark W >= E or is excused: silent,
read to its end, and still so long after the others' records were appended (DESIGN, Time).

Labels come in bursts: while all their partitions are silent, panes that wait for them close only
up to the last one that holds rows, and after `label_patience` to the end of that one's window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.core.pane.open import Extent
from stream.core.records import Claim, Partial, Source
from stream.core.specs import TimeSpec

__all__ = ["LABELS", "NEVER_MS", "Frontier", "SourceState"]

LABELS = "labels"  # the topic that comes in bursts

NEVER_MS = -1  # the watermark of a source that has told none
_MOST_TOLD = 256  # watermarks kept a source before they are thinned


class SourceState(NamedTuple):
    """What is known of one source, as a snapshot holds it; of a claim position, time, since."""

    source: Source
    position: int
    watermark_ms: int
    told: tuple[tuple[int, int], ...]
    claim: tuple[int, int, int] | None


@dataclass(slots=True)
class _Voice:
    position: int = 0
    watermark_ms: int = NEVER_MS
    told: deque[tuple[int, int]] = field(default_factory=deque)  # (W, K), ascending
    claim: tuple[int, int, int] | None = None  # position, time, time of the first one
    unowned_ms: int | None = None  # detect's clock when it last found that nobody owns it
    heard_ms: int | None = None  # detect's clock when it was last heard of
    spoke: bool = False  # since `closable` was last called

    def hear(self, position: int) -> None:
        """Whoever speaks of a source owns it, and its position never goes back."""
        self.spoke, self.unowned_ms = True, None
        self.position = max(self.position, position)
        if self.claim is not None and self.position > self.claim[0]:
            self.claim = None

    def silent_ms(self) -> int | None:
        """Until when it was silent, None if nobody says so."""
        times = [self.unowned_ms, None if self.claim is None else self.claim[1]]
        return max((time for time in times if time is not None), default=None)

    def silence_ms(self) -> int:
        """How long it has been silent, as far as claims say, or that nobody owns it."""
        claimed = 0 if self.claim is None else self.claim[1] - self.claim[2]
        if self.unowned_ms is None or self.heard_ms is None:
            return claimed
        return max(claimed, self.unowned_ms - self.heard_ms)


class Frontier:
    """The end of the closed panes of one detect task, moved by partials in their order.

    `sources` are all source partitions that must pass a pane's end. The same partials close the
    same panes however they are cut and interleaved, unless a source was excused.
    """

    def __init__(self, sources: Sequence[Source], times: TimeSpec, closed_ms: int = 0) -> None:
        self._times = times
        self._voices = {source: _Voice() for source in sources}
        self._labels = [v for source, v in self._voices.items() if source.topic == LABELS]
        self.closed_ms = closed_ms

    @property
    def sources(self) -> Iterable[Source]:
        """The sources that panes wait for."""
        return self._voices.keys()

    def watermark_ms(self, source: Source) -> int:
        """The largest watermark that the source told; NEVER_MS before the first."""
        voice = self._voices.get(source)
        return NEVER_MS if voice is None else voice.watermark_ms

    def hear(self, partial: Partial) -> None:
        """Takes in progress, watermarks and claims; sources that aren't waited for are ignored."""
        for source, _, after in partial.progress:
            voice = self._voices.get(source)
            if voice is not None:
                voice.hear(after)
        for source, watermark_ms, k_ms in partial.told:
            voice = self._voices.get(source)
            if voice is None or watermark_ms <= voice.watermark_ms:
                continue
            voice.watermark_ms = watermark_ms
            if watermark_ms >= self.closed_ms + self._times.pane_ms:
                voice.told.append((watermark_ms, k_ms))
            if len(voice.told) > _MOST_TOLD:
                voice.told = _thinned(voice.told)
        for claim in partial.claims:
            self._claim(claim)

    def closable(
        self, now_ms: int, extent: Callable[[], Extent], most_ms: int | None = None
    ) -> int:
        """Moves to the end up to which panes close, and returns it; it never goes back.

        `extent` tells how far rows reach: panes close no further when every source is excused.
        `now_ms` serves only to excuse sources that nobody owns. Nothing closes beyond `most_ms`.
        """
        self._excuse_unowned(now_ms)
        while (end_ms := _least(self._next(extent), most_ms)) > self.closed_ms:
            self.closed_ms = end_ms
            for voice in self._voices.values():
                _prune(voice.told, end_ms + self._times.pane_ms)
        return self.closed_ms

    def states(self) -> list[SourceState]:
        """All that is needed to go on: with `closed_ms` the whole of it."""
        return [
            SourceState(source, voice.position, voice.watermark_ms, tuple(voice.told), voice.claim)
            for source, voice in self._voices.items()
        ]

    def restore(self, closed_ms: int, states: Iterable[SourceState]) -> None:
        """Goes on from a snapshot; sources that aren't waited for any more are left out."""
        self.closed_ms = closed_ms
        for source, position, watermark_ms, told, claim in states:
            if source in self._voices:
                self._voices[source] = _Voice(position, watermark_ms, deque(told), claim)
        self._labels = [v for source, v in self._voices.items() if source.topic == LABELS]

    def listen_afresh(self) -> None:
        """Who owns which source isn't known: nobody heard the partials for a while."""
        for voice in self._voices.values():
            voice.heard_ms = voice.unowned_ms = None

    def _claim(self, claim: Claim) -> None:
        voice = self._voices.get(claim.source)
        if voice is None or claim.position < voice.position:
            return
        voice.hear(claim.position)
        if voice.claim is None:
            voice.claim = (claim.position, claim.at_ms, claim.at_ms)
        else:
            _, at_ms, since_ms = voice.claim
            voice.claim = (claim.position, max(claim.at_ms, at_ms), since_ms)

    def _excuse_unowned(self, now_ms: int) -> None:
        """A source of which no commit has said anything for `max_hold` counts as silent."""
        for voice in self._voices.values():
            if voice.spoke or voice.heard_ms is None:
                voice.heard_ms, voice.spoke = now_ms, False
            elif now_ms - voice.heard_ms >= self._times.max_hold_ms:
                voice.unowned_ms = now_ms

    def _next(self, extent: Callable[[], Extent]) -> int:
        """The largest end to which all panes behind `closed_ms` close for one and the same reason.

        Up to the smallest of the first watermarks behind E, those and so K_E stay the same.
        """
        pane_ms = self._times.pane_ms
        end_ms = self.closed_ms + pane_ms
        ahead = [voice.told[0] for voice in self._voices.values() if voice.told]
        claimed = []
        for voice in self._voices.values():
            silent_ms = voice.silent_ms()
            if voice.watermark_ms < end_ms and silent_ms is None:
                return self.closed_ms
            if voice.watermark_ms < end_ms and silent_ms is not None:
                claimed.append(silent_ms)
        if ahead:
            k_ms = max(k for _, k in ahead)
            if claimed and min(claimed) < k_ms + self._times.idle_after_ms:
                return self.closed_ms
            reached_ms = min(watermark_ms for watermark_ms, _ in ahead)
        elif claimed:
            quiet_ms = self._times.out_of_orderness_ms + self._times.idle_after_ms
            reached_ms = min(min(claimed) - quiet_ms, extent().window_ms)
        else:
            return self.closed_ms
        if self._labels and all(voice.watermark_ms < end_ms for voice in self._labels):
            reached_ms = min(reached_ms, self._without_labels(extent()))
        return max(self.closed_ms, reached_ms // pane_ms * pane_ms)

    def _without_labels(self, extent: Extent) -> int:
        """How far panes close while all partitions of labels are silent."""
        silence_ms = min(voice.silence_ms() for voice in self._labels)
        patient = silence_ms < self._times.label_patience_ms
        return extent.pane_ms if patient else extent.window_ms


def _least(end_ms: int, most_ms: int | None) -> int:
    return end_ms if most_ms is None else min(end_ms, most_ms)


def _prune(told: deque[tuple[int, int]], end_ms: int) -> None:
    while told and told[0][0] < end_ms:
        told.popleft()


def _thinned(told: deque[tuple[int, int]]) -> deque[tuple[int, int]]:
    """Every other one, the last always: with fewer, an excuse comes later, never too early."""
    entries = list(told)
    return deque(entries[(len(entries) - 1) % 2 :: 2])
