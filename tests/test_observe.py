"""The observe agent without Kafka: what it says does not depend on slices, commits or restarts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.agents.observe.agent import ObserveAgent
from stream.agents.observe.observer import SilentObserveObserver
from stream.agents.observe.silence import Silence
from stream.core.partitioner import partitions_of
from stream.core.records import Claim, Output, Partial, Source
from tests.observe_agents import (
    NOW,
    PANE_MS,
    SETTINGS,
    assign_tasks,
    commit_at,
    new_agent,
    partials_of,
    profile_of_credit,
)
from tests.slices import Record, row_json, slice_of


def _totals(partials: list[Partial]) -> dict[tuple[str, int], Counter[str]]:
    """Sums over the partials of one partition of `partials`, by profile and pane."""
    found: dict[tuple[str, int], Counter[str]] = {}
    for partial in partials:
        for group in partial.groups:
            total = found.setdefault((group.profile, group.pane_ms), Counter())
            total["rows"] += group.rows
            total["feature_rows"] += group.feature_rows
            total["late"] += group.late_rows
            if not group.raw:
                total.update({f"{i}": int(c) for i, c in enumerate(group.count_vector()) if c})
    return found


rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-20_000, 1_500), st.integers(0, 300), st.booleans()),
    min_size=1,
    max_size=40,
)


def _records(drawn: list[tuple[int, int, int, bool]]) -> list[Record]:
    records = []
    offsets: Counter[Source] = Counter()
    clock = NOW
    for number, (partition, lead, wait, is_features) in enumerate(drawn):
        clock += wait
        source = Source("features" if is_features else "predictions", partition)
        value = row_json(f"id-{number}", clock + lead, features={"age": 20.0 + number % 41})
        records.append(Record(source, offsets[source], clock, value, f"id-{number}".encode()))
        offsets[source] += 1
    return records


def _run(records: list[Record], cuts: list[int], *, restarts: bool = False) -> list[Output]:
    """Steps the records in slices cut at `cuts`, committing after each, maybe restarting."""
    agent = new_agent()
    outputs: list[Output] = []
    assign_tasks(agent)
    positions = {Source(t, p): 0 for t in SETTINGS.sources for p in range(3)}
    state: dict[int, dict[bytes, bytes]] = {0: {}, 1: {}, 2: {}}
    places = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    for start, stop in pairwise(places):
        part = records[start:stop]
        outputs += agent.step(slice_of(part), NOW)
        for record in part:
            positions[record.source] = record.offset + 1
        commit = agent.commit(positions, NOW)
        outputs += commit.outputs
        for change in commit.changes:
            state[change.task][change.key] = change.value or b""
        if restarts:
            agent = new_agent()
            for task, known in state.items():
                own = {s: at for s, at in positions.items() if s.partition == task}
                agent.assign(task, own, known)
    return outputs


@settings(deadline=None, max_examples=60)
@given(drawn=rows, cuts=st.lists(st.integers(1, 40), max_size=5), restarts=st.booleans())
def test_slices_commits_and_restarts_change_nothing(
    drawn: list[tuple[int, int, int, bool]], cuts: list[int], restarts: bool
) -> None:
    records = _records(drawn)
    whole = _run(records, [])
    cut = _run(records, cuts, restarts=restarts)
    assert _totals(partials_of(cut)) == _totals(partials_of(whole))
    told = [_last_told(partials_of(outputs)) for outputs in (whole, cut)]
    assert told[0] == told[1]
    letters = [sum(o.topic == "dead-letters" for o in outputs) for outputs in (whole, cut)]
    assert letters == [0, 0]
    rows_in = sum(source.topic == "predictions" for source, *_ in records)
    assert sum(t["rows"] for t in _totals(partials_of(cut)).values()) == rows_in


def _last_told(partials: list[Partial]) -> dict[Source, int]:
    return {
        told.source: told.watermark_ms // PANE_MS for partial in partials for told in partial.told
    }


def test_silence_is_claimed_after_idle_after_and_again_and_again_until_a_row_comes() -> None:
    agent = new_agent()
    assign_tasks(agent, range(1))
    ends = ((Source("predictions", 0), 0), (Source("features", 0), 0))
    agent.step(slice_of([], ends), NOW)
    assert commit_at(agent, 0, NOW).outputs == ()
    assert commit_at(agent, 0, NOW + 3_000).outputs == ()
    assert commit_at(agent, 0, NOW + 5_999).outputs == ()
    first = partials_of(list(commit_at(agent, 0, NOW + 6_000).outputs))
    assert len(first) == SETTINGS.partials_partitions
    assert {c.source for c in first[0].claims} == {source for source, _ in ends}
    assert {c.at_ms for c in first[0].claims} == {NOW + 6_000}
    assert commit_at(agent, 0, NOW + 6_500).outputs == ()
    assert partials_of(list(commit_at(agent, 0, NOW + 7_000).outputs))[0].claims
    row = Record(Source("predictions", 0), 0, NOW, row_json("a", NOW), b"a")
    agent.step(slice_of([row]), NOW + 8_000)
    after = partials_of(list(commit_at(agent, 1, NOW + 8_000).outputs))[0]
    assert [c.source.topic for c in after.claims] == ["features"]


def test_a_worker_that_stalled_does_not_take_its_own_deafness_for_silence() -> None:
    agent = new_agent()
    assign_tasks(agent, range(1))
    ends = ((Source("predictions", 0), 0), (Source("features", 0), 0))
    agent.step(slice_of([], ends), NOW)
    assert commit_at(agent, 0, NOW).outputs == ()
    assert commit_at(agent, 0, NOW + 60_000).outputs == ()
    assert commit_at(agent, 0, NOW + 62_000).outputs == ()
    assert partials_of(list(commit_at(agent, 0, NOW + 63_000).outputs))[0].claims


@pytest.mark.parametrize("idle_after_ms", [500, 1_000, 1_500])
def test_silence_is_claimed_where_commits_are_as_rare_as_idle_after(idle_after_ms: int) -> None:
    silence = Silence(idle_after_ms, 900_000)
    source = Source("predictions", 0)
    silence.watch([source])
    silence.claims({source: 7}, NOW)
    silence.ended([source], NOW)
    found = [silence.claims({source: 7}, NOW + 1_000 * second) for second in (1, 2, 3)]
    assert found[0] == () and found[-1][0].position == 7


def test_an_end_that_is_told_after_an_outage_begins_a_silence() -> None:
    silence, source = Silence(5_000, 900_000), Source("predictions", 0)
    silence.watch([source])
    silence.heard([source], NOW)
    outage = [silence.claims({source: 7}, NOW + 1_000 * second) for second in range(60)]
    silence.ended([source], NOW + 60_000)
    after = [silence.claims({source: 7}, NOW + 60_000 + 1_000 * second) for second in range(7)]
    assert not any(outage) and [bool(claims) for claims in after] == 5 * [False] + 2 * [True]


def test_a_source_that_is_held_again_and_again_stays_silent() -> None:
    silence, source = Silence(5_000, 900_000), Source("predictions", 0)
    silence.watch([source])
    silence.heard([source], NOW)
    claimed: list[Claim] = []
    for second in range(60):
        silence.held([source])
        silence.ended([source], NOW + 1_000 * second)
        claimed += silence.claims({source: 7}, NOW + 1_000 * second)
    assert claimed[0].at_ms == NOW + 5_000 and len(claimed) > 40
    silence.heard([source], NOW + 60_000)
    silence.ended([source], NOW + 61_000)
    after = [silence.claims({source: 7}, NOW + 61_000 + 1_000 * second) for second in range(7)]
    assert [bool(claims) for claims in after] == 5 * [False] + 2 * [True]


def test_a_source_that_never_ends_is_claimed_after_max_hold() -> None:
    agent = new_agent()
    assign_tasks(agent, range(1))
    for second in range(60):
        assert commit_at(agent, 0, NOW + 1_000 * second).outputs == ()
    assert partials_of(list(commit_at(agent, 0, NOW + 60_000).outputs))[0].claims


def test_a_refused_record_becomes_a_dead_letter_with_everything_it_had() -> None:
    agent = new_agent()
    assign_tasks(agent)
    source = Source("predictions", 1)
    bad = Record(source, 7, NOW, b'{"prediction_id": 4', b"k", [("h", b"v"), ("none", b"")])
    letters = agent.step(slice_of([bad, Record(source, 8, NOW, row_json("b", NOW), b"b")]), NOW)
    (letter,) = letters
    record = schemas.decode_avro("dead_letter", letter.value or b"")
    assert letter.topic == "dead-letters" and letter.key == b"k"
    assert record["value"] == bad.value and record["reason"] == "malformed"
    assert (record["topic"], record["partition"], record["offset"]) == ("predictions", 1, 7)
    assert record["headers"] == [{"name": "h", "value": b"v"}, {"name": "none", "value": b""}]
    assert record["detail"] and not record["truncated"]


def test_a_new_model_s_first_row_has_the_profile_that_was_published_before_it() -> None:
    agent = new_agent(profile=False)
    assign_tasks(agent)
    source = Source("predictions", 0)
    first, second = (
        slice_of([Record(source, n, NOW, row_json(f"a{n}", NOW), b"a")]) for n in range(2)
    )
    assert agent.wants_broadcasts(first)
    agent.hear([profile_of_credit()])
    agent.step(first, NOW)
    assert not agent.wants_broadcasts(second)
    agent.step(second, NOW)
    (group,) = (g for p in partials_of(list(commit_at(agent, 2, NOW).outputs)) for g in p.groups)
    assert (group.rows, group.profile != "") == (2, True)


def test_a_refused_record_does_not_move_the_watermark() -> None:
    agent = new_agent()
    assign_tasks(agent)
    source = Source("predictions", 0)
    future = row_json("f", NOW + 10_000)
    agent.step(slice_of([Record(source, 0, NOW, future, b"f")]), NOW)
    agent.step(slice_of([Record(source, 1, NOW, row_json("a", 5), b"a")]), NOW)
    partials = partials_of(list(commit_at(agent, 2, NOW).outputs))
    assert [g.late_rows for partial in partials for g in partial.groups] == [0]
    assert not any(partial.told for partial in partials)


def test_rows_of_a_model_without_profile_travel_raw() -> None:
    agent = new_agent(profile=False)
    assign_tasks(agent)
    row = Record(Source("predictions", 0), 0, NOW, row_json("a", NOW), b"a")
    agent.step(slice_of([row]), NOW)
    groups = [g for p in partials_of(list(commit_at(agent, 1, NOW).outputs)) for g in p.groups]
    assert [(g.profile, g.rows) for g in groups] == [("", 1)]
    assert (groups[0].raw or {})["features.age"] == [41.0]


class _Astray(SilentObserveObserver):
    def __init__(self) -> None:
        self.count = 0

    def astray(self, topic: str, count: int) -> None:
        assert topic == "predictions"
        self.count += count


def test_rows_in_the_wrong_partition_are_counted_and_warned_of_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    observer = _Astray()
    agent = ObserveAgent(SETTINGS, observer=observer)
    assign_tasks(agent)
    (home,) = partitions_of([b"a"], 3).tolist()
    for second in (0, 1, 61):
        for partition in range(3):
            row = Record(Source("predictions", partition), second, NOW, row_json("a", NOW), b"a")
            agent.step(slice_of([row]), NOW + 1_000 * second)
    assert observer.count == 3 * 2
    warnings = [message for message in caplog.messages if "murmur2_random" in message]
    assert len(warnings) == 2 and f"belongs to {home}" in warnings[0]


def test_an_aborted_slice_leaves_nothing_behind() -> None:
    agent = new_agent()
    assign_tasks(agent)
    row = Record(Source("predictions", 0), 0, NOW, row_json("a", NOW), b"a")
    agent.step(slice_of([row]), NOW)
    for task in range(3):
        agent.drop(task)
    assign_tasks(agent)
    agent.step(slice_of([row]), NOW)
    groups = [g for p in partials_of(list(commit_at(agent, 1, NOW).outputs)) for g in p.groups]
    assert [g.rows for g in groups] == [1]
