from __future__ import annotations

import json

import pytest

from stream import schemas
from stream.core.catalog import Monitors, Profiles
from stream.core.changelog import CROWDED
from stream.core.errors import StateError
from stream.core.pane.spans import CARRY_FOR_MS
from stream.core.pipeline import Detection
from stream.core.snapshot import Snapshot
from stream.core.specs import MonitorSpec
from tests.detect_world import (
    CREDIT,
    FRAUD,
    PANE,
    TIMES,
    binned_group,
    partial,
    profile_of,
    raw_group,
    sources,
)

PROFILE = profile_of(CREDIT)
[SOURCE] = sources(1)
WINDOW = 100 * PANE
FRONTIER = [b"frontier", b"frontier/data/0", b"frontier/outcomes/0"]


def detection_of(crowded: int = CROWDED) -> tuple[Detection, Snapshot]:
    profiles = Profiles()
    profiles.hear(PROFILE)
    monitor = MonitorSpec(window_ms=WINDOW, hop_ms=WINDOW, min_rows=10, warmup_rows=1_000)
    detection = Detection([SOURCE], TIMES, profiles, Monitors(monitor))
    return detection, Snapshot(detection, schemas.schema("pane_partial"), crowded)


def write(state: dict[bytes, bytes], snapshot: Snapshot) -> list[bytes]:
    changes = snapshot.changes()
    for key, value in changes:
        if value is None:
            state.pop(key, None)
        else:
            assert key not in state or not key.startswith((b"span", b"raw", b"moves")), (
                "chunks never change"
            )
            state[key] = value
    return [key for key, _ in changes]


def restored(state: dict[bytes, bytes]) -> tuple[Detection, Snapshot]:
    detection, snapshot = detection_of()
    snapshot.restore(state)
    snapshot.resume()
    return detection, snapshot


def content(detection: Detection) -> object:
    return {
        (subject, span, by): (t.rows, None if t.counts is None else t.counts.tolist())
        for subject, strand in detection.windows.open.strands.items()
        for span, held in strand.spans.tallies.items()
        for by, t in held.items()
    }


def test_a_commit_writes_what_changed_and_nothing_else() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 5), binned_group(PROFILE, WINDOW, 5)))
    assert write(state, snapshot) == [
        b"span/data/0/100000/00000000",
        b"span/data/100000/200000/00000000",
        b"frontier",
        b"frontier/data/0",
        b"frontier/outcomes/0",
    ]
    assert write(state, snapshot) == []
    detection.fold(partial(progress=[(SOURCE, 0, 5)]))
    assert write(state, snapshot) == [b"frontier/data/0", b"frontier/outcomes/0"]


def test_crowded_buckets_are_rewritten_and_hold_the_same() -> None:
    detection, snapshot = detection_of(crowded=3)
    state: dict[bytes, bytes] = {}
    for number in range(40):
        groups = [binned_group(PROFILE, PANE * (number % 7), 3), raw_group(FRAUD, 0, 2, number)]
        detection.fold(partial(*groups))
        write(state, snapshot)
        again, _ = restored(state)
        assert content(again) == content(detection)
        raw = again.windows.warming[FRAUD].waiting.panes[0]
        assert sum(group.rows for group in raw) == 2 * (number + 1)
    assert len(state) < 20


def test_a_closed_window_leaves_the_changelog() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 50), told=[(SOURCE, WINDOW, WINDOW)]))
    write(state, snapshot)
    assert len(detection.advance(0).windows) == 1
    write(state, snapshot)
    assert sorted(state) == [*FRONTIER, b'subject/["credit","3",""]']
    again, _ = restored(state)
    assert again.frontier.closed_ms == WINDOW
    assert not again.advance(0).windows


def test_rows_that_are_carried_survive() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 5), told=[(SOURCE, WINDOW, WINDOW)]))
    detection.advance(0)
    write(state, snapshot)
    again, later = restored(state)
    told = [(SOURCE, 2 * WINDOW, 0)]
    again.fold(partial(binned_group(PROFILE, WINDOW, 5), told=told))
    [result] = again.advance(0).windows
    assert (result.closed.scored_rows, result.closed.scored_from_ms) == (10, 0)
    write(state, later)
    assert b'carry/data/["credit","3",""]' not in state


def test_a_model_that_is_long_silent_is_forgotten() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 5), told=[(SOURCE, WINDOW, WINDOW)]))
    detection.advance(0)
    write(state, snapshot)
    assert b'carry/data/["credit","3",""]' in state
    end_ms = 3 * CARRY_FOR_MS // WINDOW * WINDOW
    detection.fold(partial(told=[(SOURCE, end_ms, end_ms)]))
    detection.advance(0)
    write(state, snapshot)
    assert sorted(state) == FRONTIER
    told = [(SOURCE, end_ms + WINDOW, end_ms)]
    detection.fold(partial(binned_group(PROFILE, end_ms, 5), told=told))
    [result] = detection.advance(0).windows
    assert (result.closed.scored_rows, result.closed.scored_from_ms) == (5, None)


def test_state_of_another_format_is_refused() -> None:
    _, snapshot = detection_of()
    for record in ({"v": 99}, {}):
        with pytest.raises(StateError, match="state reset"):
            snapshot.restore({b"frontier": json.dumps(record).encode()})
    with pytest.raises(StateError, match="state reset"):
        snapshot.restore({b"span/data/0/1/0": b""})


def test_no_state_is_a_new_task() -> None:
    detection, snapshot = detection_of()
    snapshot.restore({})
    snapshot.resume()
    assert detection.frontier.closed_ms == 0
