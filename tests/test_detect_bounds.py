"""What detect keeps is bounded: raw rows, moves, silent models and incidents, the past."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from stream import schemas
from stream.core.catalog import Monitors, Profiles
from stream.core.pane.past import Past, Stood, from_ms, rows_between
from stream.core.pane.spans import CARRY_FOR_MS, Subject
from stream.core.pipeline import Detection
from stream.core.records import CARRIES_COLUMN, Group, Kind, ModelKey, Partial, RawColumns, Source
from stream.core.rules import Bounds
from stream.core.signal.incident import FORGET_AFTER_MS, State
from stream.core.snapshot import Snapshot
from stream.core.specs import MonitorSpec
from tests.detect_agents import HALF, PROFILE
from tests.detect_world import (
    BOTH,
    CREDIT,
    FRAUD,
    PANE,
    TIMES,
    binned_group,
    partial,
    raw_group,
    sources,
)

A, B = sources(2)
WINDOW = 100 * PANE
HOUR = 3_600_000
BOUNDS = Bounds(models=20, raw_rows=100_000)


def detection_of(
    *all_sources: Source, warmup_rows: int = 1_000, bounds: Bounds = BOUNDS
) -> tuple[Detection, Snapshot]:
    profiles = Profiles()
    profiles.hear(PROFILE)
    monitor = MonitorSpec(window_ms=WINDOW, hop_ms=WINDOW, min_rows=10, warmup_rows=warmup_rows)
    detection = Detection(all_sources or [A], TIMES, profiles, Monitors(monitor), bounds)
    return detection, Snapshot(detection, schemas.schema("pane_partial"))


def to(end_ms: int, source: Source = A) -> Partial:
    return partial(told=[(source, end_ms, end_ms)])


def write(state: dict[bytes, bytes], snapshot: Snapshot) -> list[bytes]:
    changes = snapshot.changes()
    for key, value in changes:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return [key for key, _ in changes]


def big_group(pane_ms: int, rows: int) -> Group:
    raw: RawColumns = {"features.age": [1.0] * rows, CARRIES_COLUMN: [BOTH] * rows}
    return Group(FRAUD, "", pane_ms, rows, rows, 0, 0, None, raw=raw)


def test_raw_rows_beyond_the_bound_count_in_windows_and_are_kept_no_more() -> None:
    detection, _ = detection_of(warmup_rows=10 * BOUNDS.raw_rows)
    size = BOUNDS.raw_rows // 4
    for pane in range(6):
        detection.fold(partial(big_group(pane * PANE, size)))
        assert detection.windows.warming[FRAUD].rows <= BOUNDS.raw_rows
    assert sorted(detection.windows.warming[FRAUD].waiting.panes) == [3 * PANE, 4 * PANE, 5 * PANE]
    detection.fold(to(WINDOW))
    [result] = detection.advance(0).windows
    assert result.closed.totals.rows == 6 * size


def test_rows_of_models_beyond_the_bound_are_counted_and_nothing_of_them_is_kept() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    refused: Counter[ModelKey] = Counter()
    for number in range(200):
        group = raw_group(ModelKey("endless", str(number)), 0, 3)
        refused.update(detection.fold(partial(group)).refused)
        write(state, snapshot)
    assert len(refused) == 200 - BOUNDS.models
    assert set(refused.values()) == {3}
    assert len(detection.windows.open.strands) == len(detection.windows.warming) == BOUNDS.models
    assert sum(key.startswith(b"raw/") for key in state) == BOUNDS.models
    detection.fold(to(WINDOW))
    assert len(detection.advance(0).windows) == BOUNDS.models
    detection.fold(to(4 * CARRY_FOR_MS))
    detection.advance(0)  # they were silent for so long that there is room again
    late = raw_group(ModelKey("endless", "200"), 4 * CARRY_FOR_MS, 3)
    assert not detection.fold(partial(late)).refused


def test_of_many_models_without_profile_those_with_the_fewest_rows_give_them_up() -> None:
    detection, snapshot = detection_of(warmup_rows=BOUNDS.raw_rows // 2)
    state: dict[bytes, bytes] = {}
    small = BOUNDS.raw_rows // 40
    detection.fold(partial(big_group(0, BOUNDS.raw_rows // 2)))
    for number in range(60):
        group = replace(big_group(0, small), model=ModelKey("endless", str(number % 18)))
        detection.fold(partial(group))
        write(state, snapshot)
        warming = detection.windows.warming.values()
        assert sum(model.rows for model in warming) <= BOUNDS.raw_rows
    restored, again = detection_of(warmup_rows=BOUNDS.raw_rows // 2)
    again.restore(state)
    again.resume()
    for each in (detection, restored):
        each.fold(to(WINDOW))
        advance = each.advance(0)
        assert FRAUD in {profile.model for profile in advance.profiles}
        assert sum(window.closed.totals.rows for window in advance.windows) == (
            BOUNDS.raw_rows // 2 + 60 * small
        )


def test_raw_rows_of_a_silent_model_are_given_up_and_the_model_is_forgotten() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(raw_group(FRAUD, 0, 20)))
    detection.fold(to(WINDOW))
    detection.advance(0)
    write(state, snapshot)
    assert any(key.startswith(b"raw/") for key in state)
    detection.fold(to(CARRY_FOR_MS + 2 * WINDOW))
    detection.advance(0)
    write(state, snapshot)
    assert not any(key.startswith(b"raw/") for key in state)
    detection.fold(to(4 * CARRY_FOR_MS))
    detection.advance(0)
    write(state, snapshot)
    assert not detection.windows.open.strands
    assert not detection.windows.warming
    assert sorted(state) == [b"frontier", b"frontier/data/0", b"frontier/outcomes/0"]


def test_an_incident_of_a_silent_model_is_resolved_and_then_forgotten() -> None:
    detection, snapshot = detection_of()
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 200, HALF)))
    detection.fold(to(WINDOW))
    [result] = detection.advance(0).windows
    [signal] = result.signals
    assert signal.change.state is State.OPENED
    detection.fold(to(FORGET_AFTER_MS + 86_400_000))
    [silence] = detection.advance(0).silences
    assert silence.change.incident.id == signal.change.incident.id
    assert (silence.change.state, silence.change.at_ms) == (State.RESOLVED, FORGET_AFTER_MS)
    detection.fold(to(4 * FORGET_AFTER_MS))
    assert not detection.advance(0).silences
    write(state, snapshot)
    assert not detection.incidents.histories
    assert not detection.pasts
    assert sorted(state) == [b"frontier", b"frontier/data/0", b"frontier/outcomes/0"]


def test_one_more_move_writes_one_more_move() -> None:
    detection, snapshot = detection_of(A, B)
    state: dict[bytes, bytes] = {}
    detection.fold(partial(binned_group(PROFILE, 0, 1), claims=[(B, 0, 90_000_000)]))
    detection.fold(to(10 * PANE))
    detection.advance(0)
    for number in range(50):
        progress = [(B, 10 * number, 10 * number + 1)]
        detection.fold(partial(binned_group(PROFILE, 0, 1), progress=progress))
        write(state, snapshot)
    moves = [key for key in state if key.startswith(b"moves/")]
    assert len(moves) == 50
    assert max(len(state[key]) for key in moves) < 100
    other, again = detection_of(A, B)
    again.restore(state)
    again.resume()
    subject = Subject(CREDIT)
    held = detection.windows.open.strands[subject].spans.moves
    assert other.windows.open.strands[subject].spans.moves == held
    detection.fold(partial(told=[(A, WINDOW, WINDOW), (B, WINDOW, WINDOW)]))
    [result] = detection.advance(0).windows
    assert len(result.closed.moves) == 50
    write(state, snapshot)
    assert not any(key.startswith(b"moves/") for key in state)


def test_sources_that_say_nothing_are_not_written_again() -> None:
    many = [Source("predictions", number) for number in range(120)]
    detection, snapshot = detection_of(*many)
    write({}, snapshot)
    detection.fold(partial(progress=[(many[70], 0, 5)]))
    assert write({}, snapshot) == [b"frontier/data/1", b"frontier/outcomes/1"]


def test_a_model_s_segments_are_bounded() -> None:
    detection, _ = detection_of()
    group = binned_group(PROFILE, 0, 1)
    for number in range(1_500):
        detection.fold(partial(_of_segment(group, f"x={number}")))
    assert len(detection.windows.open.strands) == 1_000


def _of_segment(group: Group, segment: str) -> Group:
    numbers = (group.pane_ms, group.rows, group.feature_rows, 0, 0)
    return Group(
        ModelKey(*group.model),
        group.profile,
        *numbers,
        group.counts,
        kind=Kind.DATA,
        segment=segment,
    )


def test_the_past_is_kept_by_hours_once_it_is_settled() -> None:
    past, week = Past(), 7 * 24 * HOUR
    for minute in range(14 * 24 * 60):
        past.made[minute * 60_000] = 1
        past.settle(minute * 60_000, week, 60_000)
    assert len(past.made) <= 7 * 24 + 61
    end_ms = 14 * 24 * HOUR
    begin_ms = from_ms(end_ms, week, 60_000)
    assert begin_ms == end_ms - week
    assert rows_between(past.made, begin_ms, end_ms) == 7 * 24 * 60


def test_without_labels_the_past_and_estimates_stay_bounded() -> None:
    past = Past()
    for minute in range(20_000):
        at_ms = minute * 60_000
        past.made[at_ms] = 1
        past.estimated((at_ms, at_ms + 60_000), {"accuracy": (0.9, None, None, 1)})
        past.note(Stood(at_ms, str(minute)))
        past.settle(0, 7 * 24 * HOUR, 60_000)
    assert len(past.made) <= 1_025
    assert len(past.estimates) <= 200
    assert len(past.stood) <= 200


def test_drift_is_cited_as_it_stood() -> None:
    past = Past()
    for at_ms, incident in ((10, "first"), (30, ""), (50, "second")):
        past.note(Stood(at_ms, incident))
    cited = {at_ms: past.drift_at(at_ms) for at_ms in (5, 10, 29, 30, 49, 90)}
    names = {at_ms: stood and stood.incident for at_ms, stood in cited.items()}
    assert names == {5: None, 10: "first", 29: "first", 30: None, 49: None, 90: "second"}
    past.settle(35, HOUR, 1_000)
    assert past.drift_at(40) is None
    assert [stood.at_ms for stood in past.stood] == [30, 50]
