"""Watermarks of source partitions, and the effective times that they give to rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s, Source

__all__ = ["Times", "Watermark", "Watermarks"]

_Item = TypeVar("_Item", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a source's time has come.

    `high_ms` is the largest min(event time, Kafka timestamp) of its rows so far (0 before the
    first), `k_ms` the smaller of that row's Kafka timestamp and the clock when it was read.
    """

    high_ms: int = 0
    k_ms: int = 0


class Times(NamedTuple):
    """The effective time of each row, and W of its source just before it; both (n,) int64."""

    effective_ms: Int64s
    watermark_ms: Int64s


class Watermarks:
    """The watermarks of any number of sources, advanced a slice at a time.

    The watermark W of a source is `high_ms` less `out_of_orderness_ms`: what DESIGN, Time,
    says, in offset order. Before the first row W is below every valid event time.
    """

    def __init__(self, out_of_orderness_ms: int) -> None:
        self._slack_ms = out_of_orderness_ms
        self._high_ms: dict[Source, int] = {}
        self._k_ms: dict[Source, int] = {}

    def restore(self, marks: Mapping[Source, Watermark]) -> None:
        """Adds sources with what is known of them; replaces them if they are there."""
        for source, mark in marks.items():
            self._high_ms[source], self._k_ms[source] = mark.high_ms, mark.k_ms

    def forget(self, source: Source) -> None:
        """Drops a source, known or not."""
        self._high_ms.pop(source, None)
        self._k_ms.pop(source, None)

    def mark(self, source: Source) -> Watermark:
        """What is known of a source."""
        return Watermark(self._high_ms.get(source, 0), self._k_ms.get(source, 0))

    def watermark_ms(self, source: Source) -> int:
        """W of a source, negative before its first row."""
        return self._high_ms.get(source, 0) - self._slack_ms

    def advance(
        self,
        sources: tuple[Source, ...],
        source: npt.NDArray[np.int32],
        event_time_ms: Int64s,
        timestamp_ms: Int64s,
        now_ms: int,
    ) -> Times:
        """The effective time of each row, max(event time, W just before it), and that W.

        `source` (n,) indexes `sources`; within a source the rows stand in offset order, the
        sources may be interleaved in any way. Event times lie within [0, 2**48).
        """
        if not len(source):
            return Times(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        order = None
        if len(sources) > 1 and not bool((source[1:] >= source[:-1]).all()):
            # Two bytes are enough for a slice's sources, and numpy sorts those by radix.
            order = np.argsort(source.astype(np.uint16), kind="stable")
        seen = np.minimum(event_time_ms, timestamp_ms)
        np.maximum(seen, 0, out=seen)
        ordered = _take(seen, order)
        ends = np.searchsorted(_take(source, order), np.arange(len(sources)), side="right")
        before = self._before(sources, ends, ordered)
        raised = np.flatnonzero(ordered > before)
        at = raised if order is None else order[raised]
        self._raise(sources, source[at], seen[at], timestamp_ms[at], now_ms)
        before -= self._slack_ms
        watermark_ms = before
        if order is not None:
            watermark_ms = np.empty_like(before)
            watermark_ms[order] = before
        return Times(np.maximum(event_time_ms, watermark_ms), watermark_ms)

    def _before(
        self, sources: tuple[Source, ...], ends: npt.NDArray[np.intp], ordered: Int64s
    ) -> Int64s:
        """For each row, the high of its source over everything before the row.

        Rows are sorted by source; `ends` tells where each source's end. One running maximum
        serves all of them: each is lifted above the one before it.
        """
        highs = np.array([self._high_ms.get(source, 0) for source in sources], dtype=np.int64)
        low = min(int(ordered.min()), int(highs.min()))
        span = max(int(ordered.max()), int(highs.max())) - low + 1
        lifts = np.arange(len(sources), dtype=np.int64) * span - low
        sizes = np.diff(ends, prepend=0)
        lift = np.repeat(lifts, sizes)
        before = np.empty(len(ordered), dtype=np.int64)
        np.add(ordered[:-1], lift[:-1], out=before[1:])
        there = sizes > 0
        before[(ends - sizes)[there]] = (highs + lifts)[there]
        np.maximum.accumulate(before, out=before)
        before -= lift
        return before

    def _raise(
        self,
        sources: tuple[Source, ...],
        source: npt.NDArray[np.int32],
        high_ms: Int64s,
        timestamp_ms: Int64s,
        now_ms: int,
    ) -> None:
        """Moves each source's mark to the last row that raised it; rows are sorted by source."""
        lasts = np.flatnonzero(np.diff(source, append=-1))
        columns = (source[lasts], high_ms[lasts], timestamp_ms[lasts])
        for place, high, stamp in zip(*(column.tolist() for column in columns), strict=True):
            self._high_ms[sources[place]] = high
            self._k_ms[sources[place]] = min(stamp, now_ms)


def _take(values: npt.NDArray[_Item], order: npt.NDArray[np.intp] | None) -> npt.NDArray[_Item]:
    return values if order is None else values[order]
