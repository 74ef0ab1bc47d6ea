"""Panes that wait for labels, which come in bursts."""

from __future__ import annotations

from dataclasses import replace

from stream.core.pane.frontier import Frontier
from stream.core.pane.open import Extent
from stream.core.records import Partial, Source
from tests.detect_world import PANE, partial
from tests.detect_world import TIMES as WORLD

TIMES = replace(WORLD, label_patience_ms=600_000)
P = Source("predictions", 0)
L, M = Source("labels", 0), Source("labels", 1)
LATE = 50_000_000


def told(source: Source, watermark_ms: int) -> Partial:
    return partial(told=[(source, watermark_ms, watermark_ms)])


def claims(at_ms: int, *sources: Source) -> Partial:
    return partial(claims=[(source, 0, at_ms) for source in sources])


def closed(frontier: Frontier, *partials: Partial, pane: int = 0, window: int = 0) -> int:
    for item in partials:
        frontier.hear(item)
    return frontier.closable(0, lambda: Extent(pane * PANE, window * PANE)) // PANE


def test_panes_wait_for_labels_that_are_on_their_way() -> None:
    frontier = Frontier([P, L], TIMES)
    assert closed(frontier, told(P, 9 * PANE), pane=4, window=8) == 0
    assert closed(frontier, told(L, 3 * PANE), pane=4, window=8) == 3


def test_silent_labels_hold_panes_behind_the_last_one_with_rows() -> None:
    frontier = Frontier([P, L, M], TIMES)
    assert closed(frontier, told(P, 20 * PANE), claims(LATE, L, M), pane=5, window=8) == 5
    later = claims(LATE + TIMES.label_patience_ms - 1, L, M)
    assert closed(frontier, later, pane=5, window=8) == 5


def test_after_label_patience_the_window_with_rows_ends_and_the_rest_waits() -> None:
    frontier = Frontier([P, L, M], TIMES)
    closed(frontier, told(P, 20 * PANE), claims(LATE, L, M), pane=5, window=8)
    later = claims(LATE + TIMES.label_patience_ms, L, M)
    assert closed(frontier, later, pane=5, window=8) == 8
    assert closed(frontier, told(P, 90 * PANE), later, pane=5, window=8) == 8


def test_patience_begins_again_with_every_label() -> None:
    frontier = Frontier([P, L], TIMES)
    closed(frontier, told(P, 20 * PANE), claims(LATE, L), pane=5, window=8)
    again_ms = LATE + TIMES.label_patience_ms
    frontier.hear(partial(progress=[(L, 0, 3)]))
    spoke = partial(claims=[(L, 3, again_ms)])
    assert closed(frontier, spoke, pane=6, window=8) == 6
    assert closed(frontier, partial(claims=[(L, 3, again_ms + 600_000)]), pane=6, window=8) == 8


def test_one_partition_that_speaks_is_enough() -> None:
    frontier = Frontier([P, L, M], TIMES)
    told_all = (told(P, 20 * PANE), told(L, 12 * PANE))
    assert closed(frontier, *told_all, claims(LATE, M), pane=5, window=8) == 12


def test_panes_of_rows_never_wait_for_labels() -> None:
    frontier = Frontier([P], TIMES)
    assert closed(frontier, told(P, 9 * PANE), told(L, PANE)) == 9


def test_nothing_closes_beyond_what_is_allowed() -> None:
    frontier = Frontier([P, L], TIMES)
    frontier.hear(partial(told=[(P, 9 * PANE, 0), (L, 9 * PANE, 0)]))
    assert frontier.closable(0, Extent, 4 * PANE) == 4 * PANE
    assert frontier.closable(0, Extent, 2 * PANE) == 4 * PANE
    assert frontier.closable(0, Extent) == 9 * PANE


def test_how_long_labels_are_silent_survives_a_restart() -> None:
    frontier = Frontier([P, L], TIMES)
    closed(frontier, told(P, 20 * PANE), claims(LATE, L), pane=5, window=8)
    other = Frontier([P, L], TIMES)
    other.restore(frontier.closed_ms, frontier.states())
    later = claims(LATE + TIMES.label_patience_ms, L)
    assert closed(other, later, pane=5, window=8) == closed(frontier, later, pane=5, window=8) == 8
