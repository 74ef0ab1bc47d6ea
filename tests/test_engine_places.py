"""Where reading goes on: deleted records, topics made anew, faults before anything is committed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.core.errors import StateError
from stream.core.records import Output, Slice
from stream.engine.agent import Broadcast
from stream.engine.reset import reset_state
from stream.settings import load_settings
from stream.worker import Worker, engine_settings, topics_of
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.kafka_io import Record, create_topic, produce_all

pytestmark = pytest.mark.timeout(120)


class _Listening(Counting):
    """Hears of monitors, every time it looks; fails at the first record that says `fault`."""

    broadcasts = ("monitors",)
    broadcast_every_ms = 100
    faults = 0

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        if not self.faults and any(record.value == b"fault" for record in records):
            self.faults += 1
            raise RuntimeError("a passing fault")
        return super().hear(records)

    def values(self) -> list[bytes | None]:
        return [record.value for record in self.heard]


class _FailingFirst(Counting):
    faults = 0

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        if not self.faults:
            self.faults += 1
            raise RuntimeError("a passing fault")
        return super().step(slice_, now_ms)


@pytest.fixture
def place(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique, partitions=1).create()


def _delete(place: Deployment, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    where = TopicPartition(f"{place.prefix}numbers", 0, before)
    for deleted in admin.delete_records([where]).values():
        deleted.result(10.0)


def _make_anew(place: Deployment, topic: str) -> None:
    name = place.prefix + topic
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    admin.delete_topics([name])[name].result(10.0)

    def created() -> bool:
        try:
            create_topic(place.bootstrap, name)
        except KafkaException:
            return False
        return True

    until(created)


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


def _tell(place: Deployment, value: bytes) -> None:
    produce_all(place.bootstrap, f"{place.prefix}monitors", [Record(value, b"k")])


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
        held = False

        def paused(self, now_ms: int) -> frozenset[object]:
            return frozenset(self.sources if self.held else ())

        def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
            self.sources = slice_.sources
            return super().step(slice_, now_ms)

    agent = Paused()
    slow = {"fetch.queue.backoff.ms": "10", "queued.min.messages": "1"}
    with Running(agent, place.settings(start_from="latest", kafka=slow)) as running:
        until(lambda: running.noted.is_ready)
        place.produce(10)
        until(lambda: place.counted()[0] == 10)
        agent.held = True
        until(lambda: running.noted.lags.get("paused") == 1)
        place.produce(20)
        _delete(place, 15)
        agent.held = False
        until(lambda: place.counted()[0] >= 25)
        place.produce(1)
        until(lambda: place.counted()[0] >= 26)
    assert place.counted()[0] in {26, 31}  # what was fetched before it was deleted counts too


def test_a_topic_made_anew_ends_the_worker_with_what_to_do(place: Deployment) -> None:
    with Running(Counting(), place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(100)
        until(lambda: place.counted()[0] == 100)
        _make_anew(place, "numbers")
        place.produce(50)
        _ended_by_state(running)


def test_a_position_beyond_the_logs_end_is_told(place: Deployment) -> None:
    with Running(Counting(), place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(100)
        until(lambda: place.counted()[0] == 100)
    _make_anew(place, "numbers")
    place.produce(50)
    _commit(place, 100)  # as where a log was cut: Kafka forgets offsets of deleted topics
    with Running(Counting(), place.settings()) as running:
        said = _ended_by_state(running)
    assert "ends at 50, and count has read it up to 100" in said


def test_a_broadcast_topic_made_anew_is_read_from_its_beginning(place: Deployment) -> None:
    create_topic(place.bootstrap, f"{place.prefix}monitors")
    for value in (b"1", b"2", b"3"):
        _tell(place, value)
    agent = _Listening()
    with Running(agent, place.settings()) as running:
        until(lambda: running.noted.is_ready and len(agent.heard) == 3)
        place.produce(1)
        _make_anew(place, "monitors")
        _tell(place, b"new")
        until(lambda: agent.values()[3:] == [b"new"])


def test_news_that_could_not_be_taken_in_comes_again(place: Deployment) -> None:
    create_topic(place.bootstrap, f"{place.prefix}monitors")
    agent = _Listening()
    with Running(agent, place.settings()) as running:
        until(lambda: running.noted.is_ready)
        place.produce(1)
        _tell(place, b"1")
        until(lambda: agent.values() == [b"1"])
        _tell(place, b"fault")
        until(lambda: agent.values() == [b"1", b"fault"])
        _tell(place, b"3")
        until(lambda: agent.values() == [b"1", b"fault", b"3"])
    assert agent.faults == 1


def test_latest_is_where_the_worker_began_also_after_a_fault(place: Deployment) -> None:
    place.produce(5)
    agent = _FailingFirst()
    settings = place.settings(start_from="latest", commit_interval_ms=1_500)
    with Running(agent, settings) as running:
        until(lambda: running.noted.is_ready)
        place.produce(10)
        until(lambda: agent.faults)
        place.produce(3)
        until(lambda: place.counted()[0] >= 13)
    assert place.counted()[0] == 13


def test_start_from_speaks_of_the_sources_alone() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DRIFTSTREAM_START_FROM": "latest"}
    settings = load_settings({}, environ=environ)
    assert engine_settings(settings).start_from == "latest"
    worker = Worker(settings)
    partitions = {topic.name: 1 for topic in topics_of(settings)}
    runners = {name: worker._runner(name, partitions) for name in ("observe", "detect")}
    told = {name: runner._settings.start_from for name, runner in runners.items()}
    assert told == {"observe": "latest", "detect": "earliest"}
