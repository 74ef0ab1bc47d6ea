"""Labels that are read behind predictions: what waits, for what, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Message,
    TopicPartition,
)

from stream.core.records import Source
from stream.engine import followers
from stream.engine.intake import Intake
from stream.engine.observer import SilentObserver
from stream.engine.pauses import Pauses
from tests.engine_agents import Counting
from tests.intake_world import FOLLOWER, LEADER, World, end, record, stepped


def _labels(*times: int, first: int = 0, partition: int = 0) -> list[Message]:
    numbered = enumerate(times, first)
    return [record(FOLLOWER, offset, time, partition=partition) for offset, time in numbered]


def _predictions(*times: int, first: int = 0, partition: int = 0) -> list[Message]:
    numbered = enumerate(times, first)
    return [record(LEADER, offset, time, partition=partition) for offset, time in numbered]


def _of(topic: str, *offsets: int) -> list[tuple[str, int]]:
    return [(topic, offset) for offset in offsets]


def test_a_follower_waits_until_its_leader_was_read_as_far() -> None:
    world = World()
    assert stepped(world.read(_labels(10, 20, 30))) == []
    assert stepped(world.read(_predictions(5, 19))) == _of(LEADER, 0, 1) + _of(FOLLOWER, 0)
    assert stepped(world.read(_predictions(20, first=2))) == _of(LEADER, 2) + _of(FOLLOWER, 1)
    assert stepped(world.read(_predictions(31, first=3))) == _of(LEADER, 3) + _of(FOLLOWER, 2)
    assert not world.intake.waiting


def test_what_its_leader_has_passed_is_not_touched() -> None:
    world = World()
    mixed = [*_labels(1, 2), *_predictions(5), *_labels(3, first=2)]
    assert stepped(world.read(mixed)) == [*_of(FOLLOWER, 0, 1), *_of(LEADER, 0), (FOLLOWER, 2)]


def test_nothing_overtakes_within_a_source_whatever_its_timestamps() -> None:
    world = World()
    assert stepped(world.read([*_predictions(10), *_labels(5, 30, 7)])) == [
        (LEADER, 0),
        (FOLLOWER, 0),
    ]
    assert stepped(world.read(_labels(8, first=3))) == []
    assert stepped(world.read(_predictions(30, first=1))) == [(LEADER, 1), *_of(FOLLOWER, 1, 2, 3)]


def test_partitions_wait_for_their_own_leader() -> None:
    world = World(partitions=2)
    world.read([*_labels(10), *_labels(10, partition=1)])
    slice_ = world.read(_predictions(10, partition=1))
    assert slice_.sources == (Source(LEADER, 1), Source(FOLLOWER, 1))
    assert (world.position(FOLLOWER, 0), world.position(FOLLOWER, 1)) == (0, 1)


def test_a_leader_at_its_end_is_not_waited_for_until_it_speaks() -> None:
    world = World()
    world.read(_labels(10))
    assert stepped(world.read([end(LEADER, 0)])) == _of(FOLLOWER, 0)
    assert stepped(world.read(_labels(20, first=1))) == _of(FOLLOWER, 1)
    world.read(_predictions(15))
    assert stepped(world.read(_labels(30, first=2))) == []
    assert stepped(world.read([end(LEADER, 1)])) == _of(FOLLOWER, 2)


@pytest.mark.parametrize("clock", [TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE])
def test_a_follower_whose_producer_sets_the_clock_does_not_wait(clock: int) -> None:
    world = World()
    world.read(_predictions(10))
    ahead = record(FOLLOWER, 0, 1 << 42, clock=clock)
    assert stepped(world.read([ahead, *_labels(9, first=1)])) == _of(FOLLOWER, 0, 1)
    world.read(_labels(20, first=2))
    assert stepped(world.read([record(FOLLOWER, 3, 5, clock=clock)])) == []  # nothing overtakes
    assert stepped(world.read(_predictions(20, first=1))) == [(LEADER, 1), *_of(FOLLOWER, 2, 3)]


@pytest.mark.parametrize("clock", [TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE])
def test_a_leader_whose_producer_sets_the_clock_is_not_waited_for(clock: int) -> None:
    world = World()
    behind = [record(LEADER, offset, 5, clock=clock) for offset in range(2)]
    world.read(_labels(1 << 41))
    assert stepped(world.read(behind[:1])) == [(LEADER, 0), (FOLLOWER, 0)]
    world.read(behind[1:])
    assert stepped(world.read(_labels((1 << 41) + 1, first=1))) == _of(FOLLOWER, 1)


def test_an_end_before_records_of_the_same_fetch_is_none() -> None:
    world = World()
    assert stepped(world.read([end(LEADER, 0), *_predictions(5), *_labels(10)])) == _of(LEADER, 0)


def test_a_silent_leader_is_waited_for_some_seconds_of_fetching() -> None:
    world = World()
    world.read(_labels(10))
    assert stepped(world.read(seconds=1.5)) == []
    world.seconds += 60  # of stepping
    assert stepped(world.read(seconds=1.25)) == []
    world.read(seconds=0.25)
    assert world.position(FOLLOWER) == 1
    world.read(_predictions(5))
    assert stepped(world.read(_labels(20, first=1))) == []


def test_the_end_is_told_when_what_waits_was_stepped() -> None:
    world = World()
    world.read(_predictions(5))
    waiting = world.read([*_labels(10, 20), end(FOLLOWER, 3)])
    assert waiting.ends == () and world.position(FOLLOWER) == 0
    half = world.read(_predictions(10, first=1))
    assert half.ends == () and world.position(FOLLOWER) == 1
    last = world.read([end(LEADER, 2)])
    assert dict(last.ends) == {Source(LEADER, 0): 2, Source(FOLLOWER, 0): 3}
    assert world.position(FOLLOWER) == 3


def test_an_end_that_was_none_after_all_is_not_told() -> None:
    world = World()
    world.read([*_labels(10), end(FOLLOWER, 1)])
    world.read(_labels(20, first=1))
    told = world.read(_predictions(30))
    assert told.ends == () and world.position(FOLLOWER) == 2


def test_what_waits_is_unread() -> None:
    world = World()
    world.read(_labels(10, 20))
    assert world.intake.moved([0]) == []
    assert world.intake.uncommitted() == "nothing"
    assert [each.offset for each in world.intake.offsets([0])] == [0, 0]


def test_a_record_that_waits_is_not_taken_twice() -> None:
    world = World()
    world.read(_labels(10, 20))
    world.read(_labels(10, 20, 30))
    assert stepped(world.read(_predictions(40))) == [(LEADER, 0), *_of(FOLLOWER, 0, 1, 2)]


@pytest.mark.parametrize("lost", [True, False])
def test_after_a_rewind_what_waited_comes_anew(lost: bool) -> None:
    world = World()
    world.read([*_predictions(1), *_labels(10, 20), end(FOLLOWER, 2)])
    if lost:
        world.intake.end([0])
        assert stepped(world.read([*_labels(30, first=2), end(LEADER, 1)])) == []
    world.intake.begin({Source(LEADER, 0): 0, Source(FOLLOWER, 0): 0}, {})
    assert not world.intake.waiting
    assert stepped(world.read([*_labels(10), *_predictions(1)])) == _of(LEADER, 0)
    told = world.read([*_labels(20, first=1), end(LEADER, 1)])
    assert stepped(told) == _of(FOLLOWER, 0, 1) and told.ends == ((Source(LEADER, 0), 1),)


def test_a_slice_is_bounded_and_as_many_fewer_are_asked_for() -> None:
    world = World()
    world.read(_labels(*range(10)))
    assert len(world.read([*_predictions(50), *_predictions(60, 70, first=1)], most=4)) == 4
    assert world.asked[-1] == (4, 0.1)
    assert len(world.read(most=4)) == 4
    assert world.asked[-1] == (1, 0.0)
    world.read(most=4)
    assert world.position(FOLLOWER) == 9
    world.read(most=4)
    assert world.asked[-1] == (3, 0.0)
    world.read(most=4)
    assert world.asked[-1] == (4, 0.1) and world.position(FOLLOWER) == 10


def test_without_followers_everything_goes_as_it_comes() -> None:
    world = World(follows=False)
    assert stepped(world.read([*_labels(10), *_predictions(1)])) == [(FOLLOWER, 0), (LEADER, 0)]
    assert not world.intake.crowding()


def test_who_is_followed_follows_nobody() -> None:
    with pytest.raises(ValueError, match="'b'"):
        Intake(("a", "b", "c"), "", 1, {}, {"a": "b", "b": "c"})


class _Taps:
    """The consumer's part that pauses."""

    def __init__(self) -> None:
        self.shut: set[str] = set()

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.shut.update(each.topic.removeprefix("test.") for each in partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.shut.difference_update(each.topic.removeprefix("test.") for each in partitions)


class _Holding(Counting):
    held: frozenset[Source] = frozenset()

    def paused(self, now_ms: int) -> frozenset[Source]:
        return self.held


@pytest.fixture
def taps() -> _Taps:
    return _Taps()


@pytest.fixture
def agent() -> _Holding:
    return _Holding((LEADER, FOLLOWER))


def _settled(world: World, agent: Counting, taps: _Taps) -> Callable[[], set[str]]:
    """Says what is paused now."""
    pauses = Pauses(agent, world.intake, taps, SilentObserver())  # type: ignore[arg-type]  # all it needs of a Consumer

    def settled() -> set[str]:
        pauses.settle(0, [0])
        return taps.shut

    return settled


def test_too_much_that_waits_pauses_its_source_until_half_is_left(
    taps: _Taps, agent: _Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_MOST_BYTES", 10 * (100 + followers._MESSAGE_BYTES))
    world = World()
    settled = _settled(world, agent, taps)
    labels = [record(FOLLOWER, offset, offset, value=b"x" * 100) for offset in range(11)]
    world.read(_predictions(-1))
    world.read(labels[:10])
    assert settled() == set()
    world.read(labels[10:])
    assert settled() == {FOLLOWER}
    world.read(_predictions(4, first=1))
    assert settled() == {FOLLOWER}
    agent.held = frozenset({Source(FOLLOWER, 0)})
    assert settled() == {FOLLOWER}
    world.read(_predictions(9, first=2))
    agent.held = frozenset()
    assert settled() == {FOLLOWER}
    world.read(_predictions(10, first=3))
    assert settled() == set()
    assert world.position(FOLLOWER) == 11


def test_what_waits_of_a_source_that_the_agent_pauses_stays(taps: _Taps, agent: _Holding) -> None:
    world = World()
    settled = _settled(world, agent, taps)
    world.read([*_labels(10), end(FOLLOWER, 1)])
    agent.held = frozenset({Source(FOLLOWER, 0)})
    assert settled() == {FOLLOWER}
    still = world.read([*_predictions(30), end(LEADER, 1)])
    assert stepped(still) == _of(LEADER, 0) and still.ends == ((Source(LEADER, 0), 1),)
    assert stepped(world.read(seconds=5)) == []
    agent.held = frozenset()
    assert settled() == set()
    told = world.read()
    assert stepped(told) == _of(FOLLOWER, 0) and told.ends == ((Source(FOLLOWER, 0), 1),)


def test_a_leader_that_the_agent_pauses_is_not_waited_for(taps: _Taps, agent: _Holding) -> None:
    world = World()
    settled = _settled(world, agent, taps)
    world.read([*_predictions(5), *_labels(10)])
    agent.held = frozenset({Source(LEADER, 0)})
    assert settled() == {LEADER}
    assert stepped(world.read()) == _of(FOLLOWER, 0)
    agent.held = frozenset()
    assert settled() == set()
    assert stepped(world.read(_labels(20, first=1), seconds=0.5)) == []
