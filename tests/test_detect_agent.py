from __future__ import annotations

import orjson

from stream import cloudevents, schemas
from stream.core.pane.content import profile_from_record
from stream.core.records import Group
from stream.core.signal.incident import FORGET_AFTER_MS
from stream.core.specs import Severity
from tests.detect_agents import HALF, PROFILE, WINDOW, A, B, Observer, agent_of, step, to, values
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
)


def test_panes_become_scored_windows_and_an_incident() -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    agent.hear([profile_broadcast(PROFILE)])
    good = [binned_group(PROFILE, pane * PANE, 200) for pane in range(4)]
    bad = [binned_group(PROFILE, pane * PANE, 200, HALF) for pane in range(4, 8)]
    assert step(agent, partial(*good, *bad)) == []
    outputs = step(agent, to(A, 2 * WINDOW))
    clean, dirty = values(outputs)
    assert (clean["start_ms"], clean["end_ms"], clean["rows"]) == (0, WINDOW, 800)
    assert clean["scored"]
    assert not clean["dirty"]
    assert clean["features"]["age"]["rows"] == 800
    assert sum(clean["features"]["age"]["counts"]) == 800
    assert dirty["dirty"]
    assert "age" in dirty["drifted"]
    assert dirty["drift_share"] > 0.2
    [alert] = values(outputs, "alerts")
    assert alert["state"] == "opened"
    assert alert["window_id"] == dirty["window_id"]
    age = next(item for item in alert["evidence"] if item["name"] == "age")
    assert any(shown["reference"] > 0.05 and shown["current"] == 0 for shown in age["bins"])
    assert "credit@3" in alert["summary"]
    agent.commit({}, 0)
    assert observer.open["drift", Severity.INFO] == 1
    assert [scored for _, scored, _ in observer.windows] == [True, True]


def test_alerts_are_cloud_events_keyed_by_their_incident() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    bad = binned_group(PROFILE, 0, 200, HALF)
    outputs = step(agent, partial(bad), to(A, WINDOW))
    [record] = [output for output in outputs if output.topic == "alerts"]
    event = cloudevents.decode(record.headers, record.value)
    assert event.type == "io.driftstream.incident.opened.v1"
    assert event.subject == "credit@3"
    assert event.source == "driftstream/test"
    assert record.key == event.json()["incident_id"].encode()
    resolving = []
    for number in range(1, 4):
        group = binned_group(PROFILE, number * WINDOW, 200)
        resolving += step(agent, partial(group), to(A, (number + 1) * WINDOW))
    [resolved] = values(resolving, "alerts")
    assert resolved["state"] == "resolved"
    assert resolved["incident_id"] == event.json()["incident_id"]
    assert resolved["resolved_ms"] == 3 * WINDOW


def test_windows_are_canonical_json() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    [output] = step(agent, partial(binned_group(PROFILE, 0, 200)), to(A, WINDOW))
    assert output.key == b"credit@3"
    assert output.value is not None
    record = orjson.loads(output.value)
    assert orjson.dumps(record, option=orjson.OPT_SORT_KEYS) == output.value
    assert schemas.encode_json("window_result", record)


def test_rows_of_a_closed_pane_are_moved_and_the_window_says_so() -> None:
    observer = Observer()
    agent = agent_of(2, observer)
    agent.hear([profile_broadcast(PROFILE)])
    step(agent, partial(binned_group(PROFILE, 0, 200), progress=[(A, 0, 200), (B, 40, 40)]))
    claimed = partial(claims=[(B, 40, 90_000_000)])
    assert len(values(step(agent, to(A, WINDOW), claimed))) == 1
    late = binned_group(PROFILE, PANE, 30)
    step(agent, partial(late, progress=[(B, 40, 70), (A, 200, 210)]))
    [window] = values(step(agent, to(A, 2 * WINDOW), to(B, 2 * WINDOW)))
    assert (window["start_ms"], window["rows"], window["late_rows"]) == (WINDOW, 30, 30)
    assert window["moves"] == [
        {"topic": "predictions", "partition": 1, "before": 40, "after": 70, "pane_ms": WINDOW}
    ]
    assert observer.moved_rows == 30


def test_a_model_without_profile_warms_up_and_is_scored_from_the_cut() -> None:
    agent = agent_of()
    groups = [raw_group(FRAUD, pane * PANE, 100) for pane in range(8)]
    outputs = step(agent, partial(*groups), to(A, WINDOW + PANE))
    [record] = values(outputs, "profiles")
    profile = profile_from_record(record)
    assert profile.warmed_up
    assert profile.rows == 300
    assert profile.effective_from_ms == 3 * PANE
    first, second = values([*outputs, *step(agent, to(A, 2 * WINDOW))])
    assert (first["rows"], first["scored_rows"], first["scored"]) == (400, 100, True)
    assert (second["rows"], second["scored_rows"], second["scored"]) == (400, 400, True)
    assert second["profile"] == profile.hash


def test_windows_of_warm_up_panes_are_not_scored() -> None:
    agent = agent_of()
    groups = [raw_group(FRAUD, pane * PANE, 50) for pane in range(8)]
    first, second = values(step(agent, partial(*groups), to(A, 2 * WINDOW)))
    assert (first["reason"], first["scored"], first["rows"]) == ("warmup", False, 200)
    assert (second["scored"], second["scored_rows"], second["rows"]) == (True, 100, 200)


def test_a_published_profile_ends_the_warm_up() -> None:
    agent = agent_of()
    raw = [raw_group(CREDIT, pane * PANE, 60) for pane in range(4)]
    assert step(agent, partial(*raw)) == []
    agent.hear([profile_broadcast(PROFILE)])
    outputs = step(agent, to(A, WINDOW))
    assert values(outputs, "profiles") == []
    [window] = values(outputs)
    assert (window["profile"], window["scored_rows"]) == (PROFILE.hash, 240)


def test_a_profile_that_takes_effect_later_leaves_earlier_panes_unscored() -> None:
    agent = agent_of()
    later = profile_of(CREDIT, effective_from_ms=WINDOW)
    agent.hear([profile_broadcast(later)])
    raw = [raw_group(CREDIT, pane * PANE, 60) for pane in range(8)]
    outputs = step(agent, partial(*raw), to(A, 2 * WINDOW))
    assert values(outputs, "profiles") == [], "240 rows before it are no 300"
    first, second = values(outputs)
    assert (first["reason"], first["rows"], first["profile"]) == ("warmup", 240, "")
    assert (second["scored_rows"], second["profile"]) == (240, later.hash)
    assert not any(b"raw" in change.key for change in agent.commit({}, 0).changes if change.value)


def test_a_suspended_task_does_nothing_and_comes_back_as_it_was() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    step(agent, partial(binned_group(PROFILE, 0, 200)))
    agent.commit({}, 0)
    agent.suspend(0)
    assert agent.commit({}, 0).changes == []
    assert step(agent, to(A, WINDOW)) == []
    agent.resume(0)
    assert len(values(step(agent, to(A, WINDOW)))) == 1
    agent.drop(0)
    assert agent.commit({}, 0).changes == []


def test_time_alone_closes_what_silence_leaves_open() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    step(agent, partial(binned_group(PROFILE, 0, 200), progress=[(A, 0, 200)]))
    assert agent.commit({}, TIMES.max_hold_ms - 1).outputs == []
    outputs = agent.commit({}, TIMES.max_hold_ms).outputs
    assert len(values(list(outputs))) == 1


def test_features_that_come_apart_from_predictions_are_scored() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    whole = binned_group(PROFILE, 0, 200)
    group = Group(CREDIT, PROFILE.hash, 0, 0, 200, 0, 0, whole.counts)
    [window] = values(step(agent, partial(group), to(A, WINDOW)))
    assert (window["rows"], window["feature_rows"], window["scored"]) == (0, 200, True)


def test_an_incident_that_silence_resolves_is_told() -> None:
    agent = agent_of()
    agent.hear([profile_broadcast(PROFILE)])
    outputs = step(agent, partial(binned_group(PROFILE, 0, 200, HALF)), to(A, WINDOW))
    outputs += step(agent, to(A, FORGET_AFTER_MS + 86_400_000))
    opened, resolved = values(outputs, "alerts")
    assert resolved["incident_id"] == opened["incident_id"]
    assert (resolved["state"], resolved["resolved_ms"]) == ("resolved", FORGET_AFTER_MS)
    assert resolved["window_id"] == ""
    assert "30 days" in resolved["summary"]
