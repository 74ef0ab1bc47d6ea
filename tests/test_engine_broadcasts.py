"""Broadcast topics through the engine: made anew, and news that an agent could not take in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from stream.adapters.kafka.broadcast import BroadcastReader
from stream.adapters.kafka.clients import Connection
from stream.core.errors import BrokerError
from stream.core.records import Output
from stream.engine.agent import Broadcast
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, until
from tests.kafka_io import Record, create_topic, make_anew, produce_all


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


@pytest.fixture
def place(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique, partitions=1).create()


def _tell(place: Deployment, *values: bytes) -> None:
    records = [Record(value, b"k") for value in values]
    produce_all(place.bootstrap, f"{place.prefix}monitors", records)


def test_a_broadcast_topic_made_anew_is_read_from_its_beginning(place: Deployment) -> None:
    create_topic(place.bootstrap, f"{place.prefix}monitors")
    _tell(place, b"1", b"2", b"3")
    agent = _Listening()
    with Running(agent, place.settings()) as running:
        until(lambda: running.noted.is_ready and len(agent.heard) == 3)
        make_anew(place.bootstrap, f"{place.prefix}monitors")
        _tell(place, b"new")
        until(lambda: agent.values()[3:] == [b"new"])


@pytest.mark.parametrize("count", [1, 3, 5])
def test_so_is_one_that_holds_as_much_as_before_by_the_next_look(
    place: Deployment, count: int
) -> None:
    topic = f"{place.prefix}monitors"
    create_topic(place.bootstrap, topic)
    _tell(place, b"1", b"2", b"3")
    connection = Connection(place.bootstrap, "broadcasts")
    reader = BroadcastReader(connection, connection.admin(), {topic: 1})
    found: list[bytes | None] = []

    def look() -> int:
        with suppress(BrokerError):  # a new topic's leader isn't known at once
            found.extend(record.value() for record in reader.news())
            reader.take()
        return len(found)

    until(lambda: look() == 3 and reader._identity._ids)
    make_anew(place.bootstrap, topic)
    news = [b"new %d" % number for number in range(count)]
    _tell(place, *news)
    until(lambda: look() > 3 and found[-count:] == news)
    reader.close()


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
