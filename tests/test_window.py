from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.core.catalog import Monitors
from stream.core.pane.spans import (
    MIN_ROWS,
    OTHER_PROFILE,
    UNBINNED,
    WARMUP,
    Counted,
    Move,
    Spans,
    Tally,
)
from stream.core.pane.window import Range, last_window, span_of, window_after
from stream.core.records import Kind, Source
from stream.core.specs import MonitorSpec
from tests.detect_world import CREDIT, counts_of, profile_of

PROFILE = profile_of(CREDIT)
OTHER = profile_of(CREDIT, seed=2)
MINE = Counted(Kind.DATA, PROFILE.hash)
THEIRS = Counted(Kind.DATA, OTHER.hash)


def monitors(*specs: tuple[int, int, int]) -> Monitors:
    """Monitors of the model m from (effective from, window, hop)."""
    found = Monitors(MonitorSpec(window_ms=60, hop_ms=60))
    for from_ms, window_ms, hop_ms in specs:
        found.hear(MonitorSpec("m", from_ms, window_ms=window_ms, hop_ms=hop_ms))
    return found


def windows(found: Monitors, time_ms: int, count: int) -> list[Range]:
    told = []
    for _ in range(count):
        told.append(window_after(found, "m", time_ms))
        time_ms = told[-1].end_ms
    return told


def tally(rows: int, *, profile: bool = True) -> Tally:
    return Tally(rows, rows, 0, 0, counts_of(PROFILE, rows) if profile else None)


def test_tumbling_windows_follow_each_other() -> None:
    assert windows(monitors(), 60, 2) == [(60, 120), (120, 180)]


def test_hopping_windows_overlap_and_start_at_multiples_of_the_hop() -> None:
    found = monitors((0, 60, 20))
    assert windows(found, 100, 3) == [(60, 120), (80, 140), (100, 160)]
    assert last_window(found, "m", 100) == (100, 160)
    assert span_of(found, "m", 105) == (100, 120)


def test_the_first_windows_of_all_begin_at_zero() -> None:
    assert windows(monitors((0, 60, 20)), 0, 4) == [(0, 20), (0, 40), (0, 60), (20, 80)]


def test_a_new_monitor_s_windows_begin_where_the_old_one_s_end() -> None:
    found = monitors((0, 60, 60), (120, 100, 100))
    assert windows(found, 0, 4) == [(0, 60), (60, 120), (120, 200), (200, 300)]
    off_the_grid = monitors((0, 60, 20), (130, 100, 100))
    assert windows(off_the_grid, 90, 4) == [(40, 100), (60, 120), (80, 130), (130, 200)]
    assert span_of(off_the_grid, "m", 125) == (120, 130)
    assert span_of(off_the_grid, "m", 135) == (130, 200)


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(0, 40), st.integers(1, 6), st.integers(0, 99)
)
def test_every_window_is_made_of_whole_spans_and_none_is_left_out(
    hop: int, more: int, change_ms: int, later: int, time_ms: int
) -> None:
    found = monitors((0, hop * more, hop), (change_ms, later, later))
    window = window_after(found, "m", time_ms)
    assert window.start_ms <= time_ms < window.end_ms
    if time_ms:
        assert window_after(found, "m", time_ms - 1).end_ms <= window.end_ms
    assert last_window(found, "m", time_ms).end_ms >= window.end_ms
    span = span_of(found, "m", time_ms)
    assert span.start_ms <= time_ms < span.end_ms
    assert window.start_ms <= span.start_ms
    assert span.end_ms <= window.end_ms


def test_a_window_without_rows_is_none() -> None:
    assert Spans().close(Range(0, 60), MINE, 10) is None


def test_rows_of_all_spans_are_scored_by_the_profile_at_the_end() -> None:
    spans = Spans()
    assert spans.add(Range(0, 20), MINE, tally(5))
    assert not spans.add(Range(0, 20), MINE, tally(5))
    spans.add(Range(20, 40), MINE, tally(7))
    spans.add(Range(20, 40), THEIRS, tally(100, profile=False))
    spans.add(Range(60, 80), MINE, tally(1_000))
    closed = spans.close(Range(0, 60), MINE, 17)
    assert closed is not None
    assert closed.totals.rows == 117
    assert closed.scored_rows == 17
    assert closed.counts is not None
    assert (closed.counts == counts_of(PROFILE, 5) * 2 + counts_of(PROFILE, 7)).all()
    assert closed.reason == ""


def test_why_a_window_is_not_scored() -> None:
    spans = Spans()
    spans.add(Range(0, 60), UNBINNED, tally(50, profile=False))
    for by in (None, MINE):
        closed = spans.close(Range(0, 60), by, 1)
        assert closed is not None
        assert (closed.reason, closed.counts, closed.totals.rows) == (WARMUP, None, 50)
    spans = Spans()
    spans.add(Range(0, 60), THEIRS, tally(50))
    closed = spans.close(Range(0, 60), MINE, 1)
    assert closed is not None
    assert closed.reason == OTHER_PROFILE


def test_too_few_rows_are_carried_until_there_are_enough() -> None:
    spans = Spans()
    for start_ms, rows, expected in ((0, 4, None), (120, 5, None), (180, 3, 0), (240, 12, None)):
        window = Range(start_ms, start_ms + 60)
        spans.add(window, MINE, tally(rows))
        closed = spans.close(window, MINE, 10)
        assert closed is not None
        assert closed.totals.rows == rows
        assert closed.scored_from_ms == expected
        spans.retire(window.end_ms, MINE if closed.reason == MIN_ROWS else None)
        if start_ms == 180:
            assert closed.counts is not None
            assert closed.scored_rows == 12
            expected_counts = sum(counts_of(PROFILE, n) for n in (4, 5, 3))
            assert (closed.counts == expected_counts).all()
    assert spans.carry is None


def test_rows_of_hopping_windows_are_carried_once() -> None:
    spans = Spans()
    spans.add(Range(0, 20), MINE, tally(3))
    spans.add(Range(20, 40), MINE, tally(4))
    closed = spans.close(Range(0, 40), MINE, 10)
    assert closed is not None
    assert closed.reason == MIN_ROWS
    assert spans.retire(20, MINE) == [((0, 20), 3)]
    spans.add(Range(40, 60), MINE, tally(5))
    closed = spans.close(Range(20, 60), MINE, 10)
    assert closed is not None
    assert (closed.totals.rows, closed.scored_rows, closed.scored_from_ms) == (9, 12, 0)


def test_rows_behind_what_is_retired_are_not_kept() -> None:
    spans = Spans()
    spans.retire(60, None)
    assert not spans.add(Range(0, 60), MINE, tally(3))
    assert not spans.tallies


def test_moves_of_commits_that_follow_each_other_are_one() -> None:
    spans = Spans()
    source = Source("predictions", 1)
    for before, after, pane_ms in ((3, 5, 60), (5, 9, 60), (5, 9, 60), (12, 13, 60), (13, 14, 120)):
        spans.moved(Move(source, before, after, pane_ms))
    spans.add(Range(60, 120), MINE, tally(3))
    closed = spans.close(Range(60, 120), MINE, 1)
    assert closed is not None
    assert closed.moves == ((source, 3, 9, 60), (source, 12, 13, 60))
    spans.retire(120, None)
    assert spans.moves == [(source, 13, 14, 120)]


def test_thousands_of_moves_are_told_as_one_a_source() -> None:
    spans = Spans()
    sources = [Source("predictions", number) for number in range(3)]
    for number in range(9_000):
        source = sources[number % 3]
        spans.moved(Move(source, 10 * number, 10 * number + 5, 60 * number))
    assert len(spans.moves) <= 2_000
    assert {move.source for move in spans.moves} == set(sources)
    assert min(move.before for move in spans.moves) == 0
    assert max(move.after for move in spans.moves) == 89_995
