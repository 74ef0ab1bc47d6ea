"""Which source partitions are silent, and when that is claimed to detect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream.core.records import Claim, Source

__all__ = ["Silence"]

_CLAIMS_PER_IDLE = 6  # a claim is repeated this often in each `idle_after`


@dataclass(slots=True)
class _Voice:
    heard_ms: int | None = None  # None: since its task was assigned, no clock has been seen
    at_end: bool = False
    silent: bool = False  # its end was told, and no row since: held or not, silence counts


class Silence:
    """Tells silent sources from busy ones, by the worker's own clock.

    A source is silent when it has been read to its end and nothing came for `idle_after_ms`,
    or when nothing came for `max_hold_ms` whatever the reason (no leader, paused). While the
    worker itself stalls it hears nothing, so of the time between two calls of `claims` at most
    half an `idle_after_ms` counts: silence is always seen at two calls or more.
    """

    def __init__(self, idle_after_ms: int, max_hold_ms: int) -> None:
        self._idle_after_ms = idle_after_ms
        self._max_hold_ms = max_hold_ms
        self._voices: dict[Source, _Voice] = {}
        self._claimed_ms = 0
        self._asked_ms: int | None = None

    def watch(self, sources: Iterable[Source]) -> None:
        """Begins to watch sources afresh: their silence counts from the next call with a clock."""
        self._voices.update({source: _Voice() for source in sources})

    def forget(self, sources: Iterable[Source]) -> None:
        """Stops watching sources."""
        for source in sources:
            self._voices.pop(source, None)

    def heard(self, sources: Iterable[Source], now_ms: int) -> None:
        """Rows of these sources came."""
        for source in sources:
            voice = self._voices.get(source)
            if voice is not None:
                voice.heard_ms, voice.at_end, voice.silent = now_ms, False, False

    def ended(self, sources: Iterable[Source], now_ms: int) -> None:
        """These sources were read to their end; from then on, told first, their silence counts.

        After an outage a broker may say so too early, before it knows its own log's end again.
        """
        for source in sources:
            voice = self._voices.get(source)
            if voice is not None:
                if not voice.silent:
                    voice.heard_ms = now_ms
                voice.at_end = voice.silent = True

    def held(self, sources: Iterable[Source]) -> None:
        """These sources aren't being read now: whether rows came since their end isn't known."""
        for source in sources:
            voice = self._voices.get(source)
            if voice is not None:
                voice.at_end = False

    def expected(self, source: Source, now_ms: int) -> bool:
        """Whether rows of the source may come at once: it is neither at its end nor stuck."""
        voice = self._voices.get(source)
        if voice is None or voice.at_end:
            return False
        return voice.heard_ms is None or now_ms - voice.heard_ms < self._max_hold_ms

    def claims(self, positions: Mapping[Source, int], now_ms: int) -> tuple[Claim, ...]:
        """The claims that are due now; they are repeated while the silence lasts."""
        stalled_ms = now_ms - (self._asked_ms or now_ms) - self._idle_after_ms // 2
        if stalled_ms > 0:
            for voice in self._voices.values():
                if voice.heard_ms is not None:
                    voice.heard_ms = min(now_ms, voice.heard_ms + stalled_ms)
        self._asked_ms = now_ms
        due = now_ms - self._claimed_ms >= self._idle_after_ms // _CLAIMS_PER_IDLE
        found = []
        for source, voice in self._voices.items():
            if voice.heard_ms is None:
                voice.heard_ms = now_ms
            limit = self._idle_after_ms if voice.at_end else self._max_hold_ms
            if due and now_ms - voice.heard_ms >= limit and source in positions:
                found.append(Claim(source, positions[source], now_ms))
        if found:
            self._claimed_ms = now_ms
        return tuple(sorted(found))
