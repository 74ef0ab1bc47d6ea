"""Counts by sets of segments become counts by segment: a row counts in each of its set's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stream.core.pane.groups import Counted
from stream.core.pane.payload import Payload, runs, spread, starts_of
from stream.core.records import Int64s

__all__ = ["by_segment"]


def by_segment(
    counted: Counted, segments: Sequence[tuple[str, ...]], width: Int64s
) -> tuple[Counted, tuple[str, ...]]:
    """The counts of all rows, "", and of each segment, and the segments' names.

    `segments` gives a set's segments by its number; `width` (entries,) the lengths of vectors.
    Of the result, `sets` are indices into the names, and no triple stands there twice.
    """
    names = {"": 0}
    lists = [[0] for _ in range(int(counted.sets.max(initial=0)) + 1)]
    for number in np.unique(counted.sets[counted.sets > 0]).tolist():
        lists[number] += [names.setdefault(name, len(names)) for name in segments[number]]
    sizes = np.array([len(numbers) for numbers in lists], dtype=np.int64)
    flat = np.array([number for numbers in lists for number in numbers], dtype=np.int64)
    copies = sizes[counted.sets]
    source = np.repeat(np.arange(len(counted)), copies)
    segment = flat[spread((np.cumsum(sizes) - sizes)[counted.sets], copies)]
    order = np.lexsort((segment, counted.pane[source], counted.entry[source]))
    source, segment = source[order], segment[order]
    entry, pane = counted.entry[source], counted.pane[source]
    starts = runs(entry, pane, segment)
    if not len(starts):
        return counted, tuple(names)
    first = Counted(
        entry[starts],
        pane[starts],
        segment[starts],
        np.add.reduceat(counted.totals[:, source], starts, axis=1),
        counted.payload,
    )
    payload = _merged(counted.payload.take(source), starts, width[first.entry])
    return replace(first, payload=payload), tuple(names)


def _merged(parts: Payload, starts: Int64s, width: Int64s) -> Payload:
    """The sum of each run of parts; a run begins at each of `starts`, with vectors of `width`."""
    coded = np.where(parts.with_counts, 0, parts.length)
    codes = np.add.reduceat(coded, starts)
    vectors = np.add.reduceat(parts.with_counts, starts, dtype=np.int64)
    few = (vectors == 0) & (codes * 2 < width)
    place_end, count_end = np.cumsum(codes), np.cumsum(vectors * width)
    length = np.where(few, codes, width)
    found = starts_of(length, ~few)
    counts = np.zeros(int(length[~few].sum()), dtype=np.int64)
    for run in np.flatnonzero(~few).tolist():
        size, at = int(width[run]), int(found[run])
        mine = counts[at : at + size]
        begin, end = int(place_end[run] - codes[run]), int(place_end[run])
        mine += np.bincount(parts.places[begin:end], minlength=size)
        begin, end = int(count_end[run]) - int(vectors[run]) * size, int(count_end[run])
        mine += parts.counts[begin:end].reshape(-1, size).sum(axis=0, dtype=np.int64)
    kept: npt.NDArray[np.bool_] = np.repeat(few, codes)
    return Payload(parts.places[kept], counts, starts_of(length, few), found, length)
