"""Watermarks and effective times against a plain row-by-row reading of the rule."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.core.pane.watermark import Watermark, Watermarks
from stream.core.records import Source

SLACK = 30
SOURCES = tuple(Source("predictions", p) for p in range(3))

rows_of = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(0, 400)), max_size=60
)


def _plain(
    rows: list[tuple[int, int, int]], now_ms: int
) -> tuple[list[int], dict[Source, Watermark]]:
    marks: dict[Source, Watermark] = {}
    effective = []
    for source, event, timestamp in rows:
        mark = marks.get(SOURCES[source], Watermark())
        effective.append(max(event, mark.high_ms - SLACK))
        if min(event, timestamp) > mark.high_ms:
            moved = Watermark(min(event, timestamp), min(timestamp, now_ms))
            marks[SOURCES[source]] = moved
    return effective, marks


@given(rows=rows_of, cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_slices_give_the_row_by_row_times(
    rows: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    expected, marks = _plain(rows, 250)
    watermarks = Watermarks(SLACK)
    found: list[int] = []
    places = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, stop in pairwise(places):
        part = np.array(rows[start:stop], dtype=np.int64)
        source, event, timestamp = part[:, 0].astype(np.int32), part[:, 1], part[:, 2]
        found += watermarks.advance(SOURCES, source, event, timestamp, 250).effective_ms.tolist()
    assert found == expected
    for known in SOURCES:
        assert watermarks.mark(known) == marks.get(known, Watermark())


def test_a_source_starts_below_every_time_and_restores() -> None:
    watermarks = Watermarks(SLACK)
    assert watermarks.watermark_ms(SOURCES[0]) < 0
    watermarks.restore({SOURCES[0]: Watermark(1000, 1000)})
    one = np.zeros(1, dtype=np.int32)
    late = watermarks.advance(SOURCES[:1], one, np.array([5]), np.array([9]), 9).effective_ms
    assert late.tolist() == [1000 - SLACK]
    watermarks.forget(SOURCES[0])
    assert watermarks.mark(SOURCES[0]) == Watermark()
