"""However observe's commits are cut, interleaved and restarted over, detect says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from random import Random

import orjson
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.core.records import Group, Output, Partial, Source
from stream.core.specs import MonitorSpec
from stream.engine.agent import Broadcast
from tests.detect_world import (
    CREDIT,
    FRAUD,
    PANE,
    TIMES,
    Worker,
    binned_group,
    partial,
    profile_broadcast,
    profile_of,
    raw_group,
    slice_of,
    sources,
)

PROFILE = profile_of(CREDIT)
HALF = len(PROFILE.numeric[0].edges) // 2
ALL = sources(3)
LENGTH = 40 * PANE
MONITORS = {
    "tumbling": MonitorSpec(window_ms=4 * PANE, hop_ms=4 * PANE, min_rows=20, warmup_rows=60),
    "hopping": MonitorSpec(window_ms=6 * PANE, hop_ms=2 * PANE, min_rows=40, warmup_rows=30),
    "slow": MonitorSpec(window_ms=2 * PANE, hop_ms=2 * PANE, min_rows=150, warmup_rows=500),
}

Row = tuple[Source, int, Group]


def rows_of(random: Random, count: int) -> list[Row]:
    """Rows of two models, one without a profile, in almost any order of time."""
    rows: list[Row] = []
    time_ms = 0
    for number in range(count):
        time_ms = min(time_ms + random.randrange(2 * LENGTH // count), LENGTH)
        event_ms = max(0, time_ms - random.choice([0, 0, 0, 400, 5_000]))
        if random.random() < 0.6:
            shift = HALF if LENGTH // 3 < time_ms < LENGTH // 2 else 0
            group = binned_group(PROFILE, 0, random.randrange(1, 30), shift)
        else:
            group = raw_group(FRAUD, 0, random.randrange(1, 12), number)
        rows.append((random.choice(ALL), event_ms, group))
    return rows


def told(random: Random, rows: Sequence[Row], owners: int) -> list[Partial]:
    """Observe's commits: `owners` workers, each with its sources, commits cut anywhere."""
    workers = [Worker(ALL[number::owners]) for number in range(owners)]
    queues = []
    for worker in workers:
        mine = [row for row in rows if row[0] in worker.owned]
        closing = [(source, LENGTH * 2, binned_group(PROFILE, 0, 1)) for source in worker.owned]
        queue = []
        for part in (mine, closing):
            while part:
                size = random.randrange(1, 8)
                queue.append(worker.commit(part[:size]))
                part = part[size:]
        queues.append(queue)
    merged = []
    while left := [queue for queue in queues if queue]:
        merged.append(random.choice(left).pop(0))
    return merged


def new_agent(monitor: MonitorSpec, closing_seconds: float = inf) -> DetectAgent:
    settings = DetectSettings(("predictions",), len(ALL), TIMES, "test", monitor, closing_seconds)
    agent = DetectAgent(settings)
    agent.hear([profile_broadcast(PROFILE)])
    return agent


def run(
    random: Random,
    partials: Sequence[Partial],
    monitor: MonitorSpec,
    *,
    restarts: bool,
    longest: int = 5,
    closing_seconds: float = inf,
) -> list[Output]:
    """All outputs, over slices cut anywhere; restarts lose nothing but what wasn't committed."""
    agent = new_agent(monitor, closing_seconds)
    agent.assign(0, {}, {})
    state: dict[bytes, bytes] = {}
    outputs: list[Output] = []
    committed = place = 0
    pending: list[Output] = []
    quiet = False
    while place < len(partials) or pending or not quiet or committed < place:
        if place < len(partials):
            size = random.randrange(1, longest + 1)
            slice_ = slice_of(partials[place : place + size], place)
            agent.wants_broadcasts(slice_)
            pending += agent.step(slice_, 0)
            place += size
        worked = agent.work(0)
        pending += worked
        quiet = not worked
        if random.random() < 0.4 or place >= len(partials):
            commit = agent.commit({}, 0)
            for change in commit.changes:
                assert change.task == 0
                if change.value is None:
                    state.pop(change.key, None)
                else:
                    state[change.key] = change.value
            outputs += [*pending, *commit.outputs]
            quiet = quiet and not commit.outputs
            pending, committed = [], place
        if restarts and random.random() < 0.3:
            agent = new_agent(monitor, closing_seconds)
            published = [output for output in outputs if output.topic == "profiles"]
            agent.hear([Broadcast("profiles", 1, 0, o.key, o.value) for o in published])
            agent.assign(0, {}, dict(state))
            pending, place, quiet = [], committed, False
    return outputs


def in_order(outputs: Sequence[Output]) -> list[tuple[str, bytes | None, bytes | None]]:
    """Outputs by topic and key, each key's in its order."""
    found = [(output.topic, output.key, output.value) for output in outputs]
    return sorted(found, key=lambda item: (item[0], item[1] or b""))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(MONITORS)), st.integers(10, 80))
def test_restored_it_goes_on_as_if_never_stopped(seed: int, kind: str, count: int) -> None:
    partials = told(Random(seed), rows_of(Random(seed), count), 2)
    straight = run(Random(1), partials, MONITORS[kind], restarts=False)
    restarted = run(Random(seed), partials, MONITORS[kind], restarts=True)
    assert in_order(restarted) == in_order(straight)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(MONITORS)), st.integers(10, 80))
def test_closed_window_by_window_over_restarts_it_says_the_same(
    seed: int, kind: str, count: int
) -> None:
    partials = told(Random(seed), rows_of(Random(seed), count), 2)
    straight = run(Random(1), partials, MONITORS[kind], restarts=False)
    slow = run(Random(seed), partials, MONITORS[kind], restarts=True, closing_seconds=0.0)
    assert in_order(slow) == in_order(straight)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(MONITORS)), st.integers(10, 80))
def test_restored_it_knows_what_was_excused_and_moved(seed: int, kind: str, count: int) -> None:
    """Claims come at any time, so rows are moved; only then do slices matter: one partial each."""
    random = Random(seed)
    partials = []
    for item in told(random, rows_of(random, count), 3):
        partials.append(item)
        if random.random() < 0.5:
            claims = [(source, after, 10 * LENGTH) for source, _, after in item.progress]
            partials.append(partial(claims=claims))
    straight = run(Random(1), partials, MONITORS[kind], restarts=False, longest=1)
    restarted = run(random, partials, MONITORS[kind], restarts=True, longest=1)
    assert in_order(restarted) == in_order(straight)
    windows = [orjson.loads(o.value or b"") for o in straight if o.topic == "windows"]
    event(f"moved: {any(window['moves'] for window in windows)}")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(MONITORS)), st.integers(10, 80))
def test_cut_and_interleaved_in_any_way_it_says_the_same(seed: int, kind: str, count: int) -> None:
    rows = rows_of(Random(seed), count)
    first = run(Random(1), told(Random(2), rows, 1), MONITORS[kind], restarts=False)
    other = run(Random(3), told(Random(seed), rows, 3), MONITORS[kind], restarts=False)
    assert in_order(other) == in_order(first)


def test_no_rows_are_lost() -> None:
    rows = rows_of(Random(7), 80)
    outputs = run(Random(7), told(Random(7), rows, 2), MONITORS["tumbling"], restarts=True)
    windows = [orjson.loads(o.value or b"") for o in outputs if o.topic == "windows"]
    for model in (CREDIT, FRAUD):
        counted = sum(window["rows"] for window in windows if window["model"] == model.model)
        assert counted == sum(group.rows for _, _, group in rows if group.model == model)


def test_the_changelog_stays_small() -> None:
    """Buckets that nobody needs are removed, crowded ones rewritten."""
    agent = new_agent(replace(MONITORS["tumbling"], window_ms=200 * PANE, hop_ms=200 * PANE))
    agent.assign(0, {}, {})
    state: dict[bytes, bytes] = {}
    most = 0
    for pane in range(500):
        group = binned_group(PROFILE, pane * PANE, 3)
        agent.step(slice_of([partial(group, told=[(s, pane * PANE, 0) for s in ALL])]), 0)
        for change in agent.commit({}, 0).changes:
            if change.value is None:
                del state[change.key]
            else:
                state[change.key] = change.value
        most = max(most, len(state))
    assert most < 80
    assert sum(key.startswith(b"span/data/0/") for key in state) == 0
