from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stream.core.pane.frontier import Frontier
from stream.core.pane.open import Extent
from stream.core.records import Partial, Source
from tests.detect_world import PANE, TIMES, partial, sources

A, B, C = sources(3)
QUIET = TIMES.out_of_orderness_ms + TIMES.idle_after_ms


def told(source: Source, watermark_ms: int, k_ms: int | None = None) -> Partial:
    return partial(told=[(source, watermark_ms, watermark_ms if k_ms is None else k_ms)])


def claim(source: Source, at_ms: int, position: int = 0) -> Partial:
    return partial(claims=[(source, position, at_ms)])


def closed(frontier: Frontier, *partials: Partial, now_ms: int = 0, rows_end_ms: int = 0) -> int:
    for item in partials:
        frontier.hear(item)
    return frontier.closable(now_ms, lambda: Extent(rows_end_ms, rows_end_ms))


def test_a_pane_closes_when_every_source_has_passed_its_end() -> None:
    frontier = Frontier([A, B], TIMES)
    assert closed(frontier, told(A, 5 * PANE + 10)) == 0
    assert closed(frontier, told(B, 2 * PANE)) == 2 * PANE
    assert closed(frontier, told(B, 3 * PANE - 1)) == 2 * PANE
    assert closed(frontier, told(B, 90 * PANE)) == 5 * PANE


def test_sources_that_are_not_waited_for_say_nothing() -> None:
    frontier = Frontier([A], TIMES)
    assert closed(frontier, told(B, 9 * PANE), told(A, PANE)) == PANE


def test_a_claim_excuses_once_it_is_long_enough_behind_the_others() -> None:
    frontier = Frontier([A, B], TIMES)
    appended_ms = 7_000_000
    closed(frontier, told(A, 4 * PANE, appended_ms))
    assert closed(frontier, claim(B, appended_ms + TIMES.idle_after_ms - 1)) == 0
    assert closed(frontier, claim(B, appended_ms + TIMES.idle_after_ms)) == 4 * PANE


def test_the_first_watermark_behind_an_end_decides_not_the_last() -> None:
    """B was silent long enough for the pane that A passed early, not for the later ones."""
    frontier = Frontier([A, B], TIMES)
    closed(frontier, told(A, PANE, 10_000), told(A, 5 * PANE, 50_000))
    assert closed(frontier, claim(B, 10_000 + TIMES.idle_after_ms)) == PANE


def test_the_largest_of_the_others_decides() -> None:
    frontier = Frontier([A, B, C], TIMES)
    closed(frontier, told(A, PANE, 10_000), told(B, PANE, 20_000))
    assert closed(frontier, claim(C, 10_000 + TIMES.idle_after_ms)) == 0
    assert closed(frontier, claim(C, 20_000 + TIMES.idle_after_ms)) == PANE


def test_a_claim_is_void_once_its_source_moves_on() -> None:
    frontier = Frontier([A, B], TIMES)
    closed(frontier, claim(B, 1_000_000, position=7))
    closed(frontier, partial(progress=[(B, 7, 8)]))
    assert closed(frontier, told(A, 4 * PANE, 0)) == 0
    assert closed(frontier, claim(B, 1_000_000, position=7)) == 0, "an old claim again"
    assert closed(frontier, claim(B, 1_000_000, position=8)) == 4 * PANE


def test_progress_without_movement_leaves_a_claim() -> None:
    frontier = Frontier([A, B], TIMES)
    closed(frontier, claim(B, 1_000_000, position=7), partial(progress=[(B, 7, 7)]))
    assert closed(frontier, told(A, 4 * PANE, 0)) == 4 * PANE


def test_when_all_are_silent_panes_close_to_the_end_of_the_last_window_with_rows() -> None:
    frontier = Frontier([A, B], TIMES)
    closed(frontier, told(A, 2 * PANE), told(B, 2 * PANE))
    silent = [claim(A, 9 * PANE + QUIET), claim(B, 50 * PANE)]
    assert closed(frontier, *silent, rows_end_ms=6 * PANE) == 6 * PANE
    assert closed(frontier, rows_end_ms=20 * PANE) == 9 * PANE, "A claims no more than that"
    assert closed(frontier, rows_end_ms=0) == 9 * PANE


def test_without_any_rows_nothing_closes() -> None:
    frontier = Frontier([A], TIMES)
    assert closed(frontier, claim(A, 1_000_000)) == 0


def test_a_source_that_nobody_owns_is_excused_after_max_hold() -> None:
    frontier = Frontier([A, B], TIMES)
    start_ms = 1_000_000
    assert closed(frontier, told(A, PANE, start_ms), now_ms=start_ms) == 0
    assert closed(frontier, now_ms=start_ms + TIMES.max_hold_ms - 1) == 0
    later_ms = start_ms + TIMES.max_hold_ms
    assert closed(frontier, partial(progress=[(A, 0, 1)]), now_ms=later_ms) == PANE
    back = partial(progress=[(B, 0, 0)])
    assert closed(frontier, back, told(A, 2 * PANE, start_ms), now_ms=later_ms) == PANE


def test_many_watermarks_of_one_source_stay_bounded() -> None:
    frontier = Frontier([A, B], TIMES)
    for number in range(1, 20_000):
        frontier.hear(told(A, number * PANE))
    state = frontier.states()[0]
    assert len(state.told) <= 256
    assert closed(frontier, told(B, 7_777 * PANE)) == 7_777 * PANE
    assert closed(frontier, told(B, 30_000 * PANE)) == 19_999 * PANE


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.integers(0, 20 * PANE), st.booleans()),
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_restored_it_goes_on_as_if_never_stopped(
    said: list[tuple[Source, int, bool]], every: int
) -> None:
    frontier = Frontier([A, B, C], TIMES)
    other = Frontier([A, B, C], TIMES)
    for number, (source, time_ms, is_claim) in enumerate(said):
        item = claim(source, time_ms + QUIET, number) if is_claim else told(source, time_ms)
        ends = [closed(each, item, rows_end_ms=20 * PANE) for each in (frontier, other)]
        assert ends[0] == ends[1]
        if number % every == 0:
            again = Frontier([A, B, C], TIMES)
            again.restore(other.closed_ms, other.states())
            other = again


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3 * PANE)), max_size=60),
    st.randoms(use_true_random=False),
)
def test_any_interleaving_closes_the_same_panes(
    steps: list[tuple[int, int]], random: Random
) -> None:
    """Each source's watermarks in their order, the sources in any: the end is the same."""
    queues: dict[Source, list[Partial]] = {A: [], B: [], C: []}
    high = dict.fromkeys(queues, 0)
    for number, step in steps:
        source = sources(3)[number]
        high[source] += step
        queues[source].append(told(source, high[source]))
    expected = min(high.values()) // PANE * PANE
    frontier = Frontier([A, B, C], TIMES)
    last = 0
    while left := [queue for queue in queues.values() if queue]:
        end_ms = closed(frontier, random.choice(left).pop(0))
        assert end_ms >= last
        last = end_ms
    assert last == expected
