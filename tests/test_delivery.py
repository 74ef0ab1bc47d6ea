"""Producers on topics that were made a moment ago: what is acknowledged is there, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.local import KafkaUnavailableError, LocalKafka
from stream.client.options import Options
from tests.conftest import unavailable
from tests.kafka_io import read_all

_PARTITIONS = 12
_AT_ONCE = 8
_SECONDS = 8.0  # with more requests at a time a dozen partitions lost records in this
_TINY: dict[str, str | int | float | bool] = {"batch.num.messages": 2, "log_level": 2}
_WANTED = [b"%d" % number for number in range(8)]


@pytest.fixture(scope="module")
def busy_kafka() -> Iterator[str]:
    """A broker of its own: it is kept busy making topics."""
    try:
        with LocalKafka(quick=True) as kafka:
            yield kafka.bootstrap_servers
    except KafkaUnavailableError as error:
        unavailable(error)


def _transactional(servers: str, name: str) -> Producer:
    producer = Connection(servers, name, _TINY).producer(name, 10_000)
    producer.init_transactions()
    producer.begin_transaction()
    return producer


def _logging(servers: str, name: str) -> Producer:
    own = {**_TINY, "bootstrap.servers": servers, "client.id": name}
    return Producer(Options("predictions", own).producer_properties())


@pytest.mark.parametrize("make", [_transactional, _logging])
def test_a_new_topic_holds_all_that_was_acknowledged(
    busy_kafka: str, unique: str, make: Callable[[str, str], Producer]
) -> None:
    admin = AdminClient({"bootstrap.servers": busy_kafka})
    until = time.monotonic() + _SECONDS

    def fill(worker: int) -> list[str]:
        lost = []
        for turn in range(1_000):
            if time.monotonic() > until:
                break
            topic = f"{unique}{worker}-{turn}"
            producer = make(busy_kafka, topic)
            admin.create_topics([NewTopic(topic, _PARTITIONS)])[topic].result(30.0)
            for value in _WANTED:
                for partition in range(_PARTITIONS):
                    producer.produce(topic, value, partition=partition)
            if make is _transactional:
                producer.commit_transaction(30.0)
            assert producer.flush(30.0) == 0
            found: dict[int, list[bytes | None]] = {}
            # As it stands on the log: a transaction's markers may come after its commit.
            for read in read_all(busy_kafka, topic, isolation="read_uncommitted"):
                found.setdefault(read.partition, []).append(read.value)
            lost += [
                f"{topic}/{partition}: {found.get(partition)}"
                for partition in range(_PARTITIONS)
                if found.get(partition) != _WANTED
            ]
            admin.delete_topics([topic])[topic].result(30.0)
        return lost

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert [lost for each in pool.map(fill, range(_AT_ONCE)) for lost in each] == []
