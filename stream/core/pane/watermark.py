"""Watermarks of source partitions, and the effective times that they give to rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s, Source

__all__ = ["Times", "Watermark", "Watermarks"]


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
        self._marks: dict[Source, Watermark] = {}

    def restore(self, marks: Mapping[Source, Watermark]) -> None:
        """Adds sources with what is known of them; replaces them if they are there."""
        self._marks.update(marks)

    def forget(self, source: Source) -> None:
        """Drops a source, known or not."""
        self._marks.pop(source, None)

    def mark(self, source: Source) -> Watermark:
        """What is known of a source."""
        return self._marks.get(source, Watermark())

    def watermark_ms(self, source: Source) -> int:
        """W of a source, negative before its first row."""
        return self.mark(source).high_ms - self._slack_ms

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
        one = len(sources) == 1
        # Two bytes are enough for a slice's sources, and numpy sorts those by radix.
        order = None if one else np.argsort(source.astype(np.uint16), kind="stable")
        seen = np.minimum(event_time_ms, timestamp_ms)
        np.maximum(seen, 0, out=seen)
        segment = source if order is None else source[order]
        ordered = seen if order is None else seen[order]
        before = self._before(sources, segment, ordered)
        raised = np.flatnonzero(ordered > before)
        stamps = _take(timestamp_ms, order)[raised]
        self._raise(sources, segment[raised], ordered[raised], stamps, now_ms)
        watermark_ms = before - self._slack_ms
        if order is not None:
            watermark_ms = np.empty_like(before)
            watermark_ms[order] = before - self._slack_ms
        return Times(np.maximum(event_time_ms, watermark_ms), watermark_ms)

    def _before(
        self, sources: tuple[Source, ...], segment: npt.NDArray[np.int32], ordered: Int64s
    ) -> Int64s:
        """For each row, the high of its source over everything before the row.

        One running maximum serves all sources: each is lifted above the one before it.
        """
        highs = np.array([self.mark(source).high_ms for source in sources], dtype=np.int64)
        low = min(int(ordered.min()), int(highs.min()))
        span = max(int(ordered.max()), int(highs.max())) - low + 1
        lift = segment.astype(np.int64) * span
        running = ordered - low + lift
        starts = np.flatnonzero(np.diff(segment, prepend=-1))
        shifted = np.empty_like(running)
        shifted[1:] = running[:-1]
        shifted[starts] = (highs - low)[segment[starts]] + lift[starts]
        before: Int64s = np.maximum.accumulate(shifted) - lift + low
        return before

    def _raise(
        self,
        sources: tuple[Source, ...],
        segment: npt.NDArray[np.int32],
        high: Int64s,
        timestamp_ms: Int64s,
        now_ms: int,
    ) -> None:
        """Moves each source's mark to the last row that raised it."""
        lasts = np.flatnonzero(np.diff(segment, append=-1))
        for place in lasts.tolist():
            k_ms = min(int(timestamp_ms[place]), now_ms)
            self._marks[sources[int(segment[place])]] = Watermark(int(high[place]), k_ms)


def _take(values: Int64s, order: npt.NDArray[np.intp] | None) -> Int64s:
    return values if order is None else values[order]
