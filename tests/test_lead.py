"""A topic that is far ahead of its partner is held, and let go in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.lead import Lead
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.records import Source
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec, TimeSpec
from tests.slices import Record, row_json, slice_of

LIMIT_MS = 600
HOUR_MS = 3_600_000
BOTH = [("predictions", "labels"), ("labels", "predictions")]
topics = st.sampled_from(["predictions", "labels"])


@dataclass
class _World:
    """Watermarks that a test moves by hand; whatever is in `quiet` is at its end or stuck."""

    marks: dict[Source, int] = field(default_factory=dict)
    quiet: set[Source] = field(default_factory=set)

    def held(self, lead: Lead, *tasks: int) -> set[tuple[str, int]]:
        """What is held now."""
        found = lead.held(tasks or (0,), self.marks.__getitem__, lambda s: s not in self.quiet)
        return {(source.topic, source.partition) for source in found}

    def at(self, ahead: Mapping[str, int], task: int = 0) -> None:
        """Moves the task's watermarks to these times."""
        self.marks.update({Source(topic, task): time_ms for topic, time_ms in ahead.items()})


@pytest.mark.parametrize(("topic", "partner"), BOTH)
def test_a_topic_is_held_beyond_the_limit_and_until_half_of_it(topic: str, partner: str) -> None:
    lead, world = Lead(LIMIT_MS), _World()
    for ahead_ms, held in [
        (LIMIT_MS, False),
        (LIMIT_MS + 1, True),
        (LIMIT_MS, True),
        (LIMIT_MS // 2 + 1, True),
        (LIMIT_MS // 2, False),
        (LIMIT_MS // 2 + 1, False),
        (LIMIT_MS, False),
        (LIMIT_MS + 1, True),
        (-LIMIT_MS, False),
    ]:
        world.at({topic: 10_000 + ahead_ms, partner: 10_000})
        assert world.held(lead) == ({(topic, 0)} if held else set()), ahead_ms


@pytest.mark.parametrize(("topic", "partner"), BOTH)
def test_nothing_waits_for_a_partner_that_has_nothing_to_give(topic: str, partner: str) -> None:
    lead, world = Lead(LIMIT_MS), _World()
    world.at({topic: 10_000, partner: 0})
    assert world.held(lead) == {(topic, 0)}
    world.quiet.add(Source(partner, 0))
    assert world.held(lead) == set()
    world.quiet.clear()
    assert world.held(lead) == {(topic, 0)}
    world.quiet.add(Source(topic, 0))
    assert world.held(lead) == {(topic, 0)}, "that the leader is quiet is no reason"


def test_a_topic_let_go_for_a_quiet_partner_is_held_again_only_beyond_the_limit() -> None:
    lead, world = Lead(LIMIT_MS), _World()
    world.at({"predictions": LIMIT_MS + 1, "labels": 0})
    assert world.held(lead)
    world.quiet.add(Source("labels", 0))
    assert not world.held(lead)
    world.quiet.clear()
    world.at({"predictions": LIMIT_MS, "labels": 0})
    assert not world.held(lead)


def test_partitions_are_held_each_for_itself() -> None:
    lead, world = Lead(LIMIT_MS), _World()
    world.at({"predictions": 10_000, "labels": 0}, task=0)
    world.at({"predictions": 0, "labels": 10_000}, task=1)
    world.at({"predictions": 10_000, "labels": 10_000}, task=2)
    assert world.held(lead, 0, 1, 2) == {("predictions", 0), ("labels", 1)}
    assert world.held(lead, 1, 2) == {("labels", 1)}


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(topics, st.integers(0, 4_000), st.booleans()), max_size=40),
)
def test_one_of_the_two_can_always_be_read(
    limit_ms: int, steps: list[tuple[str, int, bool]]
) -> None:
    """Never both are held, and one that is held waits for rows that are expected."""
    lead, world = Lead(limit_ms), _World()
    world.at({"predictions": 0, "labels": 0})
    for topic, time_ms, quiet in steps:
        source = Source(topic, 0)
        world.marks[source] = max(world.marks[source], time_ms)
        (world.quiet.add if quiet else world.quiet.discard)(source)
        held = world.held(lead)
        assert len(held) <= 1
        ahead_ms = world.marks[Source("predictions", 0)] - world.marks[Source("labels", 0)]
        for name, _ in held:
            partner = "labels" if name == "predictions" else "predictions"
            assert Source(partner, 0) not in world.quiet
            assert (ahead_ms if name == "predictions" else -ahead_ms) > limit_ms // 2
        if abs(ahead_ms) > limit_ms and not held:
            behind = "labels" if ahead_ms > 0 else "predictions"
            assert Source(behind, 0) in world.quiet


class _Tally(SilentObserveObserver):
    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def joined(self, event: str, count: int) -> None:
        self.events[event] += count


def _labelled_days(agent: ObserveAgent, hours: int) -> None:
    """Twenty predictions an hour and their labels, an hour a slice, and no commit."""
    for hour in range(hours):
        rows, labels = [], []
        for number in range(20):
            name, time_ms = f"{hour}-{number}", HOUR_MS * hour + number * 60_000
            rows.append((time_ms, row_json(name, time_ms)))
            label = {"prediction_id": name, "label": 1, "event_time_ms": time_ms + 1_000}
            labels.append((time_ms + 1_000, orjson.dumps(label)))
        for topic, values in (("predictions", rows), ("labels", labels)):
            records = [
                Record(Source(topic, 0), hour * 20 + number, time_ms, value)
                for number, (time_ms, value) in enumerate(values)
            ]
            agent.step(slice_of(records), hours * HOUR_MS)


def test_what_is_past_makes_room_for_what_comes_between_two_commits() -> None:
    tally = _Tally()
    monitor = MonitorSpec(labels=LabelRule(kind="binary", classes=("0", "1"), horizon_ms=HOUR_MS))
    settings = ObserveSettings(
        ("predictions", "labels"),
        partitions=1,
        partials_partitions=1,
        times=TimeSpec(early_label_horizon_ms=60_000),
        limits=DecodeLimits(),
        max_pending=100,
        max_waiting=100,
        monitor=monitor,
    )
    agent = ObserveAgent(settings, observer=tally)
    agent.assign(0, {Source(topic, 0): 0 for topic in settings.sources}, {})
    _labelled_days(agent, 50)
    assert tally.events == {"joined": 1_000}
