from __future__ import annotations

import logging

import pytest

from stream import schemas
from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.core.errors import ConfigError
from stream.core.specs import MonitorSpec
from stream.engine.agent import Broadcast
from tests.detect_agents import MONITOR, PROFILE, WINDOW, A, Observer, agent_of, step, to, values
from tests.detect_world import (
    CREDIT,
    FRAUD,
    PANE,
    TIMES,
    binned_group,
    partial,
    profile_broadcast,
    profile_of,
    raw_group,
    records_slice,
    slice_of,
)


def test_a_monitor_takes_effect_at_its_time() -> None:
    agent = agent_of()
    change = {"model": "credit", "effective_from_ms": WINDOW, "window_ms": PANE, "hop_ms": PANE}
    record = schemas.encode_json("monitor", {**change, "min_rows": 10})
    agent.hear([profile_broadcast(PROFILE), Broadcast("monitors", 0, 0, b"credit", record)])
    groups = [binned_group(PROFILE, pane * PANE, 100) for pane in range(6)]
    windows = values(step(agent, partial(*groups), to(A, 6 * PANE)))
    starts = [(window["start_ms"], window["end_ms"]) for window in windows]
    assert starts == [(0, WINDOW), (4 * PANE, 5 * PANE), (5 * PANE, 6 * PANE)]
    assert windows[1]["monitor_effective_from_ms"] == WINDOW


def test_a_monitor_s_history_applies_to_its_time() -> None:
    agent = agent_of()
    past = {"effective_from_ms": 0, "window_ms": 2 * PANE, "hop_ms": 2 * PANE, "min_rows": 10}
    change = {"effective_from_ms": WINDOW, "window_ms": PANE, "hop_ms": PANE, "min_rows": 10}
    record = schemas.encode_json("monitor", {"model": "credit", **change, "history": [past]})
    agent.hear([profile_broadcast(PROFILE), Broadcast("monitors", 0, 0, b"credit", record)])
    groups = [binned_group(PROFILE, pane * PANE, 100) for pane in range(5)]
    windows = values(step(agent, partial(*groups), to(A, 5 * PANE)))
    starts = [(window["start_ms"], window["end_ms"]) for window in windows]
    assert starts == [(0, 2 * PANE), (2 * PANE, WINDOW), (WINDOW, 5 * PANE)]


def test_a_default_monitor_that_makes_no_windows_is_refused() -> None:
    odd = MonitorSpec(window_ms=PANE + 1, hop_ms=PANE)
    with pytest.raises(ConfigError, match="whole number of panes"):
        DetectAgent(DetectSettings(("predictions",), 1, TIMES, "test", odd))


def test_nonsense_on_the_broadcast_topics_is_survived_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    odd = schemas.encode_json("monitor", {"model": "credit", "window_ms": 7, "hop_ms": 7})
    other = profile_of(CREDIT, seed=9)
    with caplog.at_level(logging.WARNING):
        agent.hear(
            [
                Broadcast("profiles", 0, 0, None, b"nonsense"),
                Broadcast("profiles", 1, 0, None, None),
                profile_broadcast(PROFILE, 2),
                profile_broadcast(other, 3),
                Broadcast("monitors", 0, 0, None, b"{}"),
                Broadcast("monitors", 1, 0, None, odd),
            ]
        )
    assert observer.refusals == ["profiles", "profiles", "monitors", "monitors"]
    assert "immutable" in caplog.text
    assert "whole number of panes" in caplog.text


def test_a_record_that_is_no_partial_is_survived_and_counted() -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    assert agent.step(records_slice([None, b"nonsense", b"\xff" * 40]), 0) == []
    assert observer.refusals == ["partials"] * 3


def test_an_unknown_profile_is_asked_for_once_and_its_rows_still_count() -> None:
    agent = agent_of()
    slice_ = slice_of([partial(binned_group(PROFILE, 0, 200))])
    assert agent.wants_broadcasts(slice_)
    assert not agent.wants_broadcasts(slice_)
    agent.step(slice_, 0)
    [window] = values(step(agent, to(A, WINDOW)))
    assert (window["rows"], window["scored"]) == (200, False)


def test_a_known_profile_is_asked_for_with_its_model_s_first_rows_alone() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    slice_ = slice_of([partial(binned_group(PROFILE, 0, 200))])
    assert agent.wants_broadcasts(slice_)
    agent.step(slice_, 0)
    assert not agent.wants_broadcasts(slice_of([partial(binned_group(PROFILE, PANE, 200))]))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_monitor_that_comes_after_the_first_rows_begins_with_the_next_window(
    *, restarts: bool
) -> None:
    change = {"model": "credit", "window_ms": PANE, "hop_ms": PANE, "min_rows": 10}
    heard = [
        profile_broadcast(PROFILE),
        Broadcast("monitors", 0, 0, b"credit", schemas.encode_json("monitor", change)),
    ]
    agent = agent_of()
    step(agent, partial(binned_group(PROFILE, PANE, 100)), to(A, 2 * PANE))
    if restarts:
        state = {c.key: c.value for c in agent.commit({}, 0).changes if c.value is not None}
        agent = DetectAgent(DetectSettings(("predictions",), 1, TIMES, "driftstream/test", MONITOR))
        agent.hear(heard)
        agent.assign(0, {}, state)
    else:
        agent.hear(heard)
    groups = [binned_group(PROFILE, pane * PANE, 10 * pane) for pane in range(2, 7)]
    windows = values(step(agent, partial(*groups), to(A, 7 * PANE)))
    assert [(w["start_ms"], w["end_ms"], w["rows"]) for w in windows] == [
        (0, WINDOW, 150),
        (4 * PANE, 5 * PANE, 40),
        (5 * PANE, 6 * PANE, 50),
        (6 * PANE, 7 * PANE, 60),
    ]


def test_a_task_that_moved_asks_for_the_profile_that_it_warmed_up() -> None:
    agent = agent_of()
    raw = [raw_group(FRAUD, pane * PANE, 100) for pane in range(4)]
    outputs = step(agent, partial(*raw), to(A, WINDOW))
    [published] = [output for output in outputs if output.topic == "profiles"]
    state = {c.key: c.value for c in agent.commit({}, 0).changes if c.value is not None}
    other = agent_of()
    other.assign(0, {}, state)
    slice_ = slice_of([partial(raw_group(FRAUD, WINDOW, 150), told=[(A, 2 * WINDOW, 0)])])
    assert other.wants_broadcasts(slice_)
    other.hear([Broadcast("profiles", 0, 0, published.key, published.value)])
    assert not other.wants_broadcasts(slice_)
    [window] = values(list(other.step(slice_, 0)))
    assert (window["scored"], window["scored_rows"]) == (True, 150)
