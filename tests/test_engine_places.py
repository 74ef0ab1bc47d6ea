"""Where reading goes on: deleted records, topics made anew, faults before anything is committed."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import pytest
from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from stream.adapters.kafka.offsets import Partition, ends
from stream.core.errors import BrokerError, StateError
from stream.core.records import Output, Slice, Source
from stream.engine import recovery as engine_recovery
from stream.engine import session as engine_session
from stream.engine.reset import reset_state
from stream.settings import load_settings
from stream.worker import Worker, engine_settings, topics_of
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.kafka_io import await_topic, make_anew

pytestmark = pytest.mark.timeout(120)


class _FailingFirst(Counting):
    """Fails at the first records; until then and after that it holds back what it is told to."""

    faults = 0
    held: AbstractSet[Source] = frozenset()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        if len(slice_) and not self.faults:
            self.faults += 1
            self.held = frozenset()
            raise RuntimeError("a passing fault")
        return super().step(slice_, now_ms)

    def paused(self, now_ms: int) -> AbstractSet[Source]:
        return self.held


@pytest.fixture
def place(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique, partitions=1).create()


def _delete(place: Deployment, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    where = TopicPartition(f"{place.prefix}numbers", 0, before)
    for deleted in admin.delete_records([where]).values():
        deleted.result(10.0)


def _commit(place: Deployment, position: int) -> None:
    group = place.settings().group("count")
    consumer = Consumer({"bootstrap.servers": place.bootstrap, "group.id": group})
    where = TopicPartition(f"{place.prefix}numbers", 0, position)
    consumer.commit(offsets=[where], asynchronous=False)
    consumer.close()


def _ended_by_state(running: Running) -> str:
    """What it said when it ended for a StateError that tells what to do."""
    until(lambda: running.error, 60.0)
    error, running.error = running.error, None
    assert isinstance(error, StateError)
    assert "driftstream state reset count" in str(error)
    return str(error)


def test_state_made_by_other_rules_is_not_gone_on_with(place: Deployment) -> None:
    place.produce(10)
    with Running(Counting(), place.settings()):
        until(lambda: place.counted()[0] == 10)
    other = Counting()
    other.rules = {"unit": "pairs"}
    with Running(other, place.settings()) as running:
        said = _ended_by_state(running)
    assert "made with unit = records, and this worker has unit = pairs" in said
    place.produce(5)
    with Running(Counting(), place.settings()):
        until(lambda: place.counted()[0] == 15)
    reset_state(other, place.settings())
    with Running(other, place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(1)
        until(lambda: place.counted()[0] == 16)


@pytest.mark.parametrize("start_from", ["earliest", "latest"])
def test_what_is_left_behind_deleted_records_is_read(place: Deployment, start_from: str) -> None:
    settings = place.settings(start_from=start_from)
    first = Counting()
    with Running(first, settings) as running:
        until(lambda: running.noted.is_ready)
        place.produce(10)
        until(lambda: place.counted()[0] == 10)
    place.produce(20)
    _delete(place, 15)
    second = Counting()
    with Running(second, settings) as running:
        until(lambda: running.noted.is_ready)
        place.produce(1)
        until(lambda: place.counted()[0] == 26)
    assert counting(second) == 26


def test_records_deleted_while_they_wait_to_be_read(place: Deployment) -> None:
    class Paused(Counting):
        held: AbstractSet[Source] = frozenset()

        def paused(self, now_ms: int) -> AbstractSet[Source]:
            return self.held

    agent = Paused()
    slow = {"fetch.queue.backoff.ms": "10", "queued.min.messages": "1"}
    with Running(agent, place.settings(start_from="latest", kafka=slow)) as running:
        until(lambda: running.noted.is_ready)
        place.produce(10)
        until(lambda: place.counted()[0] == 10)
        agent.held = frozenset({Source("numbers", 0)})
        until(lambda: running.noted.lags.get("paused") == 1)
        place.produce(20)
        _delete(place, 15)
        agent.held = frozenset()
        until(lambda: place.counted()[0] >= 25)
        place.produce(1)
        until(lambda: place.counted()[0] >= 26)
    assert place.counted()[0] in {26, 31}  # what was fetched before it was deleted counts too


@pytest.mark.parametrize("more", [50, 150])
def test_a_topic_made_anew_ends_the_worker_with_what_to_do(
    place: Deployment, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    monkeypatch.setattr(engine_session, "_LAG_SECONDS", 0.2)
    with Running(Counting(), place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(100)
        until(lambda: place.counted()[0] == 100)
        make_anew(place.bootstrap, f"{place.prefix}numbers")
        place.produce(more)
        _ended_by_state(running)


def test_a_position_beyond_the_logs_end_is_told(place: Deployment) -> None:
    with Running(Counting(), place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(100)
        until(lambda: place.counted()[0] == 100)
    make_anew(place.bootstrap, f"{place.prefix}numbers")
    place.produce(50)
    _commit(place, 100)  # as where a log was cut: Kafka forgets offsets of deleted topics
    with Running(Counting(), place.settings()) as running:
        said = _ended_by_state(running)
    assert "ends at 50, and count has read it up to 100" in said


def test_latest_is_where_the_worker_began_also_after_a_fault(place: Deployment) -> None:
    place.produce(5)
    agent = _FailingFirst()
    late = {"commit_interval_ms": 30_000, "transaction_timeout_ms": 60_000}
    with Running(agent, place.settings(start_from="latest", **late)) as running:
        until(lambda: running.noted.is_ready)
        place.produce(10)
        until(lambda: agent.faults)
        place.produce(3)
        until(lambda: counting(agent) >= 13)
        assert not running.noted.commits
    assert place.counted()[0] == 13


def test_an_unanswered_question_for_the_latest_is_asked_again(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running(Counting(), place.settings()):
        place.produce(10)
        until(lambda: place.counted()[0] == 10)
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    for name in ("numbers", "count-changelog"):
        topic = f"{place.prefix}{name}"
        admin.create_partitions([NewPartitions(topic, 2)])[topic].result(10.0)
        await_topic(place.bootstrap, topic, 2)
    place.partitions = 2
    silent: list[Sequence[Partition]] = []

    def unanswered(
        asked: AdminClient, partitions: Sequence[Partition], isolation: IsolationLevel
    ) -> dict[Partition, int]:
        if isolation is IsolationLevel.READ_COMMITTED and not silent:
            silent.append(partitions)
            raise BrokerError("no answer")
        return ends(asked, partitions, isolation)

    monkeypatch.setattr(engine_recovery, "ends", unanswered)
    agent = Counting()
    with Running(agent, place.settings(start_from="latest")) as running:
        until(lambda: running.noted.is_ready or running.error)
        place.produce(2)
        until(lambda: counting(agent) == 12)
    assert silent == [[(f"{place.prefix}numbers", 1)]]


def test_what_is_no_longer_held_back_after_a_fault_is_not_told_as_paused(
    place: Deployment,
) -> None:
    agent = _FailingFirst()
    agent.held = frozenset({Source("numbers", 1)})  # another worker's: nothing of ours waits
    with Running(agent, place.settings()) as running:
        until(lambda: running.noted.lags.get("paused") == 1)
        place.produce(10)
        until(lambda: place.counted()[0] == 10)
        assert agent.faults
        until(lambda: running.noted.lags.get("paused") == 0)


def test_start_from_speaks_of_the_sources_alone() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DRIFTSTREAM_START_FROM": "latest"}
    settings = load_settings({}, environ=environ)
    assert engine_settings(settings).start_from == "latest"
    worker = Worker(settings)
    partitions = {topic.name: 1 for topic in topics_of(settings)}
    runners = {name: worker._runner(name, partitions) for name in ("observe", "detect")}
    told = {name: runner._settings.start_from for name, runner in runners.items()}
    assert told == {"observe": "latest", "detect": "earliest"}
