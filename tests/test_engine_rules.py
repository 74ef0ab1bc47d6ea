"""The rules of exactly-once processing on a real broker, each shown to be needed.

A rule is switched off by a subclass that lives here only; the same story then ends badly.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import ClassVar

import pytest
from confluent_kafka import Consumer, IsolationLevel, TopicPartition

from stream.adapters.kafka.offsets import Partition, committed
from stream.core.errors import BrokerError, StateError
from stream.core.records import Output, Source
from stream.engine import Commit, Runner
from stream.engine import recovery as engine_recovery
from stream.engine.positions import POSITIONS, read_positions
from stream.engine.recovery import Recovery
from stream.engine.session import Session
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import COMPACT, Deployment, Running, counting, until
from tests.engine_zombies import Zombie
from tests.kafka_io import read_all


@pytest.fixture
def deployment(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique, partitions=1)


class StableEnds(Recovery):
    """Rule 1 broken: takes the end of what is committed for the changelog's end."""

    def _ends(self, _: IsolationLevel) -> dict[Partition, int]:
        return super()._ends(IsolationLevel.READ_COMMITTED)


class StableEndsSession(Session):
    recovery = StableEnds


class StableEndsRunner(Runner):
    session = StableEndsSession


def _died_before_others_committed(deployment: Deployment) -> Counting:
    """A worker dies in an open transaction, and behind it in the changelog stands a commit."""
    deployment.create()
    deployment.produce(10)
    dead = Zombie(deployment, transaction_timeout_ms=4_000)
    dead.producer.begin_transaction()
    dead.write(0, 3, 3)  # never ended: nothing behind it can be read for four seconds
    late = Zombie(deployment)
    late.join()
    late.producer.begin_transaction()
    late.write(0, 10, 10)
    late.send_offsets(10)
    late.producer.commit_transaction(10)
    late.consumer.close()
    dead.consumer.close()
    return Counting()


def test_a_successor_waits_for_a_dead_workers_open_transaction(
    deployment: Deployment, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_recovery, "_COMPLAIN_SECONDS", 0.5)
    agent = _died_before_others_committed(deployment)
    with Running(agent, deployment.settings()) as running:
        until(lambda: 0 in agent.totals)
        deployment.produce(5)
        until(lambda: counting(agent) >= 15)
    assert f"hides records of its changelog ({deployment.prefix}count" in caplog.text
    assert running.noted.restores == [(1, 2)]  # the committed records, none of the dead worker's
    assert deployment.counted() == {0: 15}


def test_without_that_rule_the_successor_restores_nothing(deployment: Deployment) -> None:
    agent = _died_before_others_committed(deployment)
    with (
        pytest.raises(StateError, match="is at nothing, but the group"),
        Running(agent, deployment.settings(), StableEndsRunner) as running,
    ):
        running.wait()


class Watched(Recovery):
    """Tells when the committed offsets weren't to be had, because a transaction is pending."""

    waiting: ClassVar[threading.Event]

    def _ask_committed(self, consumer):  # type: ignore[no-untyped-def]  # as Recovery's
        try:
            return super()._ask_committed(consumer)
        except BrokerError:
            self.waiting.set()
            raise


class Unstable(Watched):
    """Rule 1 broken: takes the committed offsets as they are, pending transaction or not."""

    def _ask_committed(self, consumer):  # type: ignore[no-untyped-def]  # as Recovery's
        asking = Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "group.id": self._settings.group(self._agent),
                "isolation.level": "read_uncommitted",
            }
        )
        found: dict[int, dict[Source, int]] = {task: {} for task in self.tasks}
        for (_, task), offset in committed(asking, self._inputs(), 10.0).items():
            found[task] = {Source("numbers", task): offset}
        asking.close()
        self.waiting.set()
        return found


def _runner(recovery: type[Watched], waiting: threading.Event) -> type[Runner]:
    own = type("OwnRecovery", (recovery,), {"waiting": waiting})
    session = type("OwnSession", (Session,), {"recovery": own})
    return type("OwnRunner", (Runner,), {"session": session})


def _zombie_with_offsets_sent(deployment: Deployment) -> Zombie:
    """A worker has sent its offsets, stalls before the commit, and loses its task."""
    deployment.create()
    deployment.produce(10)
    zombie = Zombie(deployment)
    zombie.join()
    zombie.producer.begin_transaction()
    zombie.write(0, 10, 10)
    zombie.send_offsets(10)
    zombie.consumer.close()  # the group gives its task away
    return zombie


def test_a_zombie_that_commits_after_its_successor_was_assigned(deployment: Deployment) -> None:
    """The end of a transaction isn't fenced: its offsets were sent while it was a member."""
    zombie = _zombie_with_offsets_sent(deployment)
    waiting = threading.Event()
    agent = Counting()
    with Running(agent, deployment.settings(), _runner(Watched, waiting)):
        until(waiting.is_set)
        zombie.producer.commit_transaction(10)
        deployment.produce(5)
        until(lambda: counting(agent) >= 15)
    assert deployment.counted() == {0: 15}


def test_without_that_rule_the_successor_takes_old_offsets(deployment: Deployment) -> None:
    zombie = _zombie_with_offsets_sent(deployment)
    waiting = threading.Event()
    runner = _runner(Unstable, waiting)
    with Running(Counting(), deployment.settings(), runner) as running:
        until(waiting.is_set)
        zombie.producer.commit_transaction(10)
        running.wait()
        error, running.error = running.error, None
    assert isinstance(error, StateError)
    assert "committed nothing" in str(error)


class Chatty(Counting):
    """Says something at each commit, input or not, and stalls when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.says = b"0"
        self.stalls = threading.Event()
        self.stalled = threading.Event()
        self.goes_on = threading.Event()

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        if self.stalls.is_set():
            self.stalled.set()
            assert self.goes_on.wait(30)
            self.stalls.clear()
        told = super().commit(positions, now_ms)
        return Commit([*told.outputs, Output("grown", b"0", self.says, partition=0)], told.changes)


class MovedOnly(Session):
    """Rule 2 broken: a transaction takes only positions that moved."""

    def _offsets(self) -> list[TopicPartition]:
        return self._intake.offsets(self._intake.moved(self._assignment.tasks))


class MovedOnlyRunner(Runner):
    session = MovedOnly


def test_a_zombies_transaction_without_new_input_is_fenced(kafka: Kafka, unique: str) -> None:
    """Both stories at once, because each waits for a member to be thrown out of its group."""
    kept = Deployment(kafka.bootstrap_servers, f"{unique}kept.", partitions=1).create()
    broken = Deployment(kafka.bootstrap_servers, f"{unique}broken.", partitions=1).create()
    zombies, successors = (Chatty(), Chatty()), (Counting(), Counting())
    short = {"kafka": {"max.poll.interval.ms": 6_000}}
    with (
        Running(zombies[0], kept.settings(**short)) as first,
        Running(zombies[1], broken.settings(**short), MovedOnlyRunner) as second,
    ):
        until(lambda: first.noted.commits and second.noted.commits)
        for zombie in zombies:
            zombie.stalls.set()
            until(zombie.stalled.is_set)
            zombie.says = b"666"
        with (
            Running(successors[0], kept.settings()),
            Running(successors[1], broken.settings()),
        ):
            until(lambda: all(0 in agent.totals for agent in successors))
            for zombie in zombies:
                zombie.goes_on.set()
            until(lambda: first.noted.aborts)
            until(lambda: broken.counted()[0] >= 666)
            assert kept.counted()[0] == 0


def test_a_compacted_changelog_restores_everything(deployment: Deployment) -> None:
    deployment.create(COMPACT)
    changelog = f"{deployment.prefix}count-changelog"

    def records() -> int:
        return len(read_all(deployment.bootstrap, changelog))

    agent = Counting()
    with Running(agent, deployment.settings(commit_interval_ms=20)) as running:

        def counted() -> bool:
            return counting(agent) == deployment.sent.total()

        for _ in range(20):
            deployment.produce(20)
            until(counted)

        def compacted() -> bool:
            """Half of what was written is gone; what comes after closes the segment before."""
            before = 2 * running.noted.commits
            deployment.produce(20)
            return records() < before // 2

        until(compacted, what="the broker to compact the changelog")
        until(counted)
    written = 2 * running.noted.commits
    assert records() < written
    again = Counting()
    with Running(again, deployment.settings()) as running:
        until(lambda: 0 in again.totals)
        assert again.totals[0] == deployment.sent.total()
        deployment.produce(20)
        until(lambda: counting(again) == deployment.sent.total())
    assert running.noted.restores[0][1] < written
    assert deployment.counted() == deployment.sent


def test_every_commit_says_the_positions_it_commits(deployment: Deployment) -> None:
    deployment.create()
    agent = Counting()
    with Running(agent, deployment.settings()):
        for _ in range(3):
            deployment.produce(7)
            until(lambda: counting(agent) == deployment.sent.total())
    changes = read_all(deployment.bootstrap, f"{deployment.prefix}count-changelog")
    told = [read_positions(r.value or b"") for r in changes if r.key == POSITIONS]
    said = [at["numbers"] for at, _ in told]
    assert all(rules == agent.rules for _, rules in told)
    assert said[0] == 0 or said[0] % 7 == 0
    assert said[-1] == 21
    assert said == sorted(set(said))
