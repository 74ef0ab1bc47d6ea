"""What tests do with a topic besides the code under test: make it, fill it, read it whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

__all__ = [
    "Read",
    "Record",
    "await_topic",
    "create_topic",
    "make_anew",
    "produce_all",
    "read_all",
]

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record to produce; `partition` -1 leaves it to murmur2 of the key."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """One record as it was read."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def create_topic(
    bootstrap_servers: str,
    topic: str,
    partitions: int = 1,
    *,
    replicas: int = -1,
    config: Mapping[str, str] | None = None,
) -> None:
    """Makes a topic; returns when each broker named knows it. `replicas` -1: the default."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = NewTopic(topic, partitions, replicas, config=dict(config or {}))
    admin.create_topics([wanted])[topic].result(_SECONDS)
    await_topic(bootstrap_servers, topic, partitions)


def await_topic(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Returns when each broker named knows the topic, with so many partitions."""
    deadline = time.monotonic() + _SECONDS
    for server in bootstrap_servers.split(","):
        while not _knows(server, topic, partitions):
            assert time.monotonic() < deadline, f"{server} doesn't know {topic} in {_SECONDS} s"


def make_anew(bootstrap_servers: str, topic: str) -> None:
    """Deletes a topic and makes it again, with one partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.delete_topics([topic])[topic].result(_SECONDS)
    deadline = time.monotonic() + _SECONDS
    # A broker that hasn't heard of it yet takes records for the old topic.
    while _knows(bootstrap_servers, topic, 1):
        assert time.monotonic() < deadline, f"{topic} is not gone in {_SECONDS} s"
    while True:  # its name is free only after some moments
        try:
            return create_topic(bootstrap_servers, topic)
        except KafkaException:
            assert time.monotonic() < deadline, f"{topic} is not made in {_SECONDS} s"


def _knows(server: str, topic: str, partitions: int) -> bool:
    admin = AdminClient({"bootstrap.servers": server})
    known = admin.list_topics(topic, timeout=_SECONDS).topics[topic]
    return known.error is None and len(known.partitions) == partitions


def produce_all(
    bootstrap_servers: str, topic: str, records: Iterable[Record], *, largest: int = 1_000_000
) -> None:
    """Produces the records in order and returns when all are acknowledged.

    In order by one request at a time: an idempotent producer waits half a second for its id,
    and no broker is killed under this one. `largest` is what a record may have of bytes; more
    than the default, the topic must allow.
    """
    failed: list[KafkaError] = []

    def acknowledged(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    settings = {
        "bootstrap.servers": bootstrap_servers,
        "partitioner": "murmur2_random",
        "max.in.flight.requests.per.connection": 1,
        "linger.ms": 5,
        "message.max.bytes": largest,
        "log_level": 3,  # a fresh broker's "coordinator load in progress" is not news
    }
    producer = Producer(settings)
    for record in records:
        while True:
            try:
                producer.produce(
                    topic,
                    record.value,
                    record.key,
                    record.partition,
                    on_delivery=acknowledged,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                )
                break
            except BufferError:
                producer.poll(1.0)
        producer.poll(0)
    left = producer.flush(_SECONDS)
    assert not left, f"{left} records of {topic} were not delivered in {_SECONDS} s"
    assert not failed, f"{len(failed)} records of {topic} failed, the first: {failed[0]}"


def read_all(
    bootstrap_servers: str,
    topic: str,
    *,
    isolation: str = "read_committed",
    seconds: float = _SECONDS,
) -> list[Read]:
    """Every record of a topic from its beginning to its end, by partition and offset.

    Under read_committed the end is the last stable offset: what stands behind an open
    transaction is not read. Internal: no group, nothing is committed.
    """
    settings = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": "tests-read-all",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation,
        "fetch.wait.max.ms": 50,
    }
    consumer = Consumer(settings)
    try:
        partitions = consumer.list_topics(topic, timeout=seconds).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        return _drain(consumer, set(partitions), topic, seconds)
    finally:
        consumer.close()


def _drain(consumer: Consumer, unfinished: set[int], topic: str, seconds: float) -> list[Read]:
    rows: list[Read] = []
    deadline = time.monotonic() + seconds
    while unfinished:
        if time.monotonic() > deadline:
            raise AssertionError(f"{topic}: no end of partitions {unfinished} after {seconds} s")
        for message in consumer.consume(5000, 0.02):
            error = message.error()
            if error is None:
                rows.append(_read(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
    return sorted(rows, key=lambda row: (row.partition, row.offset))


def _read(message: Message) -> Read:
    headers: Sequence[tuple[str, bytes]] = message.headers() or ()  # type: ignore[assignment]  # None values are not used here
    return Read(
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(headers),
    )
