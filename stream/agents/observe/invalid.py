"""Stops reading a partition that holds mostly rubbish, instead of draining it into dead letters."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from stream.core.records import Source

__all__ = ["InvalidShare"]

_log = logging.getLogger(__name__)

_SPAN_SECONDS = 60  # the share is taken over this long
_RETRY_MS = 30_000  # a paused source reads one slice this often
_LEAST = 100  # records, before a share means anything


@dataclass(slots=True)
class _History:
    """Records and refused ones of the last minute, by second, and their running sums."""

    seconds: deque[list[int]] = field(default_factory=deque)  # second, records, refused
    records: int = 0
    refused: int = 0
    paused: bool = False
    read_ms: int = 0

    def add(self, records: int, refused: int, now_ms: int) -> None:
        second = now_ms // 1_000
        if not self.seconds or self.seconds[-1][0] != second:
            self.seconds.append([second, 0, 0])
        self.seconds[-1][1] += records
        self.seconds[-1][2] += refused
        self.records += records
        self.refused += refused
        while self.seconds[0][0] <= second - _SPAN_SECONDS:
            _, old_records, old_refused = self.seconds.popleft()
            self.records -= old_records
            self.refused -= old_refused


class InvalidShare:
    """The share of refused records of each source over the last minute, and who is paused.

    A source whose share exceeds `most` is paused; every 30 s one slice of it is read, and it
    goes on when that slice's share is within the limit, or where there is nothing more to read.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._histories: dict[Source, _History] = {}

    def saw(self, source: Source, records: int, refused: int, now_ms: int) -> None:
        """A slice held so many records of the source, of which so many were refused."""
        history = self._histories.setdefault(source, _History())
        history.read_ms = now_ms
        if history.paused:
            if refused <= self._most * records:
                self._histories[source] = _History(read_ms=now_ms)
                _log.info("%s partition %d is read again", *source)
            return
        history.add(records, refused, now_ms)
        history.paused = (
            history.records >= _LEAST and history.refused > self._most * history.records
        )
        if history.paused:
            _log.warning(
                "%s partition %d is paused: %d of the %d records read of it in a minute were "
                "refused (`driftstream dead-letters list` says why); one slice is tried every 30 s",
                *source, history.refused, history.records,
            )  # fmt: skip

    def ended(self, source: Source, now_ms: int) -> None:
        """The source was read to its end: one on trial that holds nothing new is forgiven."""
        history = self._histories.get(source)
        if history is not None and history.paused and now_ms - history.read_ms >= _RETRY_MS:
            self.forget(source)

    def forget(self, source: Source) -> None:
        """Drops what is known of a source."""
        self._histories.pop(source, None)

    def paused(self, now_ms: int) -> frozenset[Source]:
        """The sources that must not be read now."""
        return frozenset(
            source
            for source, history in self._histories.items()
            if history.paused and now_ms - history.read_ms < _RETRY_MS
        )

    def stopped(self) -> frozenset[Source]:
        """The sources over the limit, also while their one slice is being read."""
        # A list first: health checks ask from other threads while sources are added.
        return frozenset(s for s, history in list(self._histories.items()) if history.paused)
