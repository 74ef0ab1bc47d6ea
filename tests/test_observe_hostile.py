"""The observe agent against what a topic may hold: rubbish, nonsense, rows without end."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.adapters.metrics import Metrics
from stream.agents.observe.agent import ObserveAgent
from stream.agents.observe.state import KEY, read_state
from stream.core.errors import StateError
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey, Source
from stream.engine.agent import Broadcast
from tests.decode_strategies import texts, topic_names
from tests.hostile.mixture import KINDS, mixture
from tests.observe_agents import (
    NOW,
    PANE_MS,
    SETTINGS,
    assign_tasks,
    commit_at,
    new_agent,
    partials_of,
)
from tests.slices import Record, row_json, slice_of


def test_rows_with_names_of_their_own_and_endless_texts_stay_within_a_record() -> None:
    agent = new_agent(profile=False)
    assign_tasks(agent)
    source = Source("predictions", 0)
    wild = [
        row_json(f"id-{i}", NOW, features={f"f{i}-{n}": n for n in range(700)}) for i in range(30)
    ]
    wild.append(row_json("long", NOW, features={"text": "x" * 2_000_000}))
    wild.append(row_json("wide", NOW, features={f"{n}" * 80: "y" * 900 for n in range(999)}))
    agent.step(slice_of([Record(source, i, NOW, v, b"k") for i, v in enumerate(wild)]), NOW)
    outputs = list(commit_at(agent, len(wild), NOW).outputs)
    assert max(len(output.value or b"") for output in outputs) < 950_000
    assert sum(g.rows for told in partials_of(outputs) for g in told.groups) == len(wild)


def test_a_source_of_rubbish_is_paused_then_tried_and_recovers() -> None:
    metrics = Metrics()
    agent = ObserveAgent(SETTINGS, observer=metrics.observe)
    assign_tasks(agent)
    invalid = partial(metrics.registry.get_sample_value, "driftstream_sources_invalid")
    source = Source("predictions", 0)
    bad = [Record(source, i, NOW, b"rubbish", b"k") for i in range(100)]
    agent.step(slice_of(bad), NOW)
    assert agent.paused(NOW) == {source} and agent.stopped == {source}
    assert invalid() == 1
    assert agent.paused(NOW + 30_000) == frozenset() and agent.stopped == {source}
    agent.step(slice_of(bad[:1]), NOW + 30_000)
    assert agent.paused(NOW + 30_001) == {source}
    good = Record(source, 101, NOW, row_json("a", NOW), b"a")
    agent.step(slice_of([good]), NOW + 60_001)
    assert agent.stopped == frozenset()
    assert agent.paused(NOW + 60_001) == frozenset() and invalid() == 0


def test_a_source_of_rubbish_that_holds_nothing_more_recovers() -> None:
    agent = new_agent()
    assign_tasks(agent)
    source = Source("predictions", 0)
    ends = ((source, 100),)
    bad = [Record(source, i, NOW, b"rubbish", b"k") for i in range(100)]
    agent.step(slice_of(bad, ends), NOW)
    assert agent.stopped == {source}, "the end behind the rubbish forgives nothing"
    agent.step(slice_of([], ends), NOW + 29_999)
    assert agent.stopped == {source}
    agent.step(slice_of(bad[:1], ends), NOW + 30_000)
    assert agent.paused(NOW + 30_001) == {source}
    agent.step(slice_of([], ends), NOW + 60_000)
    assert agent.stopped == frozenset() and agent.paused(NOW + 60_000) == frozenset()


def test_a_suspended_task_is_no_longer_held_against_the_worker() -> None:
    agent = new_agent()
    assign_tasks(agent)
    bad = [Record(Source("predictions", 0), i, NOW, b"rubbish", b"k") for i in range(100)]
    agent.step(slice_of(bad), NOW)
    agent.commit({}, NOW)
    agent.suspend(0)
    assert agent.stopped == frozenset() and agent.paused(NOW) == frozenset()


def test_nonsense_on_the_profiles_topic_is_survived() -> None:
    agent = new_agent(profile=False)
    for value in (b"", b"{}", b"[1", b'{"model": 3}', None):
        assert agent.hear([Broadcast("profiles", 0, NOW, b"k", value)]) == ()


def test_a_profile_that_starts_within_a_pane_is_refused() -> None:
    agent = new_agent(profile=False)
    columns = {"features.age": [1.0, 2.0]}
    for start_ms, known_after in ((PANE_MS // 2, 0), (PANE_MS, 1)):
        known = build_profile(ModelKey("credit", "1"), columns, effective_from_ms=start_ms)
        value = schemas.encode_json("reference_profile", profile_to_record(known))
        agent.hear([Broadcast("profiles", 0, NOW, profile_key(known), value)])
        assert len(agent._profiles.entries) == known_after


def test_every_kind_of_hostile_record_has_letters_that_can_be_read() -> None:
    cases = [case for case in mixture(5, len(KINDS), NOW, large=1) if case.topic != "labels"]
    agent = new_agent()
    assign_tasks(agent)
    records = [
        Record(
            Source(case.topic, 0),
            i,
            NOW,
            case.record.value,
            case.record.key,
            list(case.record.headers),
        )
        for i, case in enumerate(cases)
    ]
    outputs = agent.step(slice_of(records), NOW)
    assert all(len(output.value or b"") < SETTINGS.record_bytes + 75_000 for output in outputs)
    letters = [schemas.decode_avro("dead_letter", output.value or b"") for output in outputs]
    found = Counter((letter["offset"], letter["reason"]) for letter in letters)
    wanted = {(i, reason.value): 1 for i, case in enumerate(cases) for reason in case.refused}
    assert found == wanted
    for letter in letters:
        whole = cases[letter["offset"]].record
        headers = sum(len(name) + len(value) for name, value in whole.headers)
        large = len(whole.value or b"") > SETTINGS.record_bytes or len(whole.key or b"") > 4_096
        assert letter["truncated"] == (large or headers > 65_536)
        assert letter["truncated"] or (letter["key"], letter["value"]) == (whole.key, whole.value)


@settings(deadline=None)
@given(st.lists(st.tuples(texts(), topic_names), max_size=8))
def test_no_text_makes_the_agent_raise(texts_: list[tuple[bytes, str]]) -> None:
    agent = new_agent()
    assign_tasks(agent)
    records = [
        Record(Source(topic, 0), i, NOW, value, b"k") for i, (value, topic) in enumerate(texts_)
    ]
    for output in agent.step(slice_of(records), NOW):
        schemas.decode_avro("dead_letter", output.value or b"")
    commit_at(agent, len(records), NOW)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"version": 99, "sources": []}', b"[]"])
def test_a_state_that_is_not_ours_is_refused_with_what_to_do(value: bytes) -> None:
    with pytest.raises(StateError, match="state reset"):
        read_state(value)
    with pytest.raises(StateError):
        new_agent().assign(0, {}, {KEY: value})
