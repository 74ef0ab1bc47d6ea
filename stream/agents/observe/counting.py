"""Times the rows of a slice, joins them, and folds them into groups by model and pane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.agents.observe.joining import Joining, Marks, Part
from stream.core.labels import Labels
from stream.core.pane.block import Groups
from stream.core.pane.fold import Fold
from stream.core.pane.segments import Segments
from stream.core.pane.serving import ServingFold
from stream.core.pane.watermark import Watermarks
from stream.core.records import Batch, Decoded, Int64s, RawBatch, Slice

__all__ = ["Counting"]

_Number = TypeVar("_Number", bound=np.generic)


class Counting:
    """What is counted of rows between two commits. `joining` is None where labels aren't used."""

    def __init__(
        self,
        pane_ms: int,
        watermarks: Watermarks,
        segments: Segments,
        fold: Fold,
        serving: ServingFold,
        joining: Joining | None,
    ) -> None:
        self._pane_ms = pane_ms
        self._watermarks = watermarks
        self._segments = segments
        self._fold = fold
        self._serving = serving
        self._joining = joining

    def take(self) -> Groups:
        """All groups since the last call: of rows, of serving, of outcomes."""
        others = [*self._serving.take(), *(self._joining.take() if self._joining else ())]
        rows = self._fold.take()
        return Groups.joined([rows, Groups.of(others)]) if others else rows

    def clear(self) -> None:
        """Forgets the rows since the last take, as when a transaction is aborted."""
        self._fold.clear()
        self._serving.clear()

    def add(self, slice_: Slice, decoded: Decoded, now_ms: int) -> tuple[Int64s, int]:
        """Takes a slice in: how many rows each of its sources had, and how many were late."""
        counts = np.zeros(len(slice_.sources), dtype=np.int64)
        late = 0
        batches: list[Batch | RawBatch] = [*decoded.batches, *decoded.raw]
        if batches:
            parts = self._timed(slice_, batches, now_ms, counts)
            marks = None
            if self._joining is not None:
                marks = self._joining.predictions(slice_, parts)
            late = sum(
                self._folded(part, None if marks is None else marks[place])
                for place, part in enumerate(parts)
            )
        if decoded.labels is not None and len(decoded.labels):
            self._label(slice_, decoded.labels, now_ms, counts)
        return counts, late

    def _timed(
        self, slice_: Slice, batches: Sequence[Batch | RawBatch], now_ms: int, counts: Int64s
    ) -> list[Part]:
        """Times all rows of the slice together, in the order of their records."""
        record = _joined([batch.record for batch in batches])
        event_ms = _joined([batch.event_time_ms for batch in batches])
        order = None
        if len(batches) > 1:
            order = np.lexsort((_joined([batch.row for batch in batches]), record))
            record, event_ms = record[order], event_ms[order]
        source = slice_.source.take(record)
        counts += np.bincount(source, minlength=len(counts))
        effective_ms, _ = self._watermarks.advance(
            slice_.sources, source, event_ms, slice_.timestamp_ms.take(record), now_ms
        )
        if order is not None:
            unsorted = np.empty_like(effective_ms)
            unsorted[order] = effective_ms
            effective_ms = unsorted
        parts = []
        start = 0
        for batch in batches:
            times = effective_ms[start : start + len(batch)]
            start += len(batch)
            sets = self._segments.of(batch, times // self._pane_ms * self._pane_ms)
            parts.append(Part(batch, times, sets))
        return parts

    def _folded(self, part: Part, marks: Marks | None) -> int:
        """Folds a part but for its duplicates; returns the late rows."""
        batch, names = part.rows, self._segments.sets
        keep = unkept = None
        if marks is not None and marks.duplicate.any():
            keep = ~marks.duplicate
        if marks is not None and marks.unkept.any():
            unkept = marks.unkept
        if batch.served is not None:
            duplicate = None if marks is None else marks.duplicate
            self._serving.add(batch, part.effective_ms, part.sets, names, duplicate)
        if isinstance(batch, RawBatch):
            return self._fold.add_raw(batch, part.effective_ms, keep=keep, unkept=unkept)
        return self._fold.add(
            batch, part.effective_ms, keep=keep, unkept=unkept, sets=part.sets, segments=names
        )

    def _label(self, slice_: Slice, labels: Labels, now_ms: int, counts: Int64s) -> None:
        source = slice_.source.take(labels.record)
        counts += np.bincount(source, minlength=len(counts))
        stamps = slice_.timestamp_ms.take(labels.record)
        times = self._watermarks.advance(
            slice_.sources, source, labels.event_time_ms, stamps, now_ms
        )
        if self._joining is not None:
            self._joining.labels(slice_, labels, times)


def _joined(arrays: Sequence[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
