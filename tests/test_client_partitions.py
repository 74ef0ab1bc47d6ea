"""AlertSubscriber and partitions that are added while it reads, or while nobody does."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from stream.client import AlertSubscriber
from stream.client import feed as feeds
from stream.client.feed import Feed
from tests.alert_records import record, taken
from tests.conftest import Kafka
from tests.kafka_io import Record, await_topic, create_topic, produce_all

SECONDS = 30.0


def alert(number: int, partition: int) -> Record:
    made = record(number)
    return Record(made.value, made.key, made.headers, partition)


def add_partition(kafka: Kafka, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(SECONDS)
    await_topic(kafka.bootstrap_servers, topic, partitions)


@pytest.fixture
def topic(kafka: Kafka, unique: str) -> str:
    create_topic(kafka.bootstrap_servers, f"{unique}alerts")
    return f"{unique}alerts"


@pytest.fixture
def settings(kafka: Kafka, unique: str) -> dict[str, Any]:
    return {"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": unique}


def read(subscriber: AlertSubscriber, count: int) -> list[str]:
    return sorted(alert.id for alert in taken(subscriber, count))


def test_a_group_reads_a_new_partition_from_its_beginning(
    kafka: Kafka, unique: str, topic: str, settings: dict[str, Any]
) -> None:
    produce_all(kafka.bootstrap_servers, topic, [alert(1, 0)])
    quick = {"topic.metadata.refresh.interval.ms": 1_000}
    with AlertSubscriber(**settings, group=f"{unique}g", kafka=quick) as subscriber:
        assert subscriber.connect(SECONDS)
        produce_all(kafka.bootstrap_servers, topic, [alert(2, 0)])
        assert read(subscriber, 1) == ["event-2"]
        add_partition(kafka, topic, 2)
        produce_all(kafka.bootstrap_servers, topic, [alert(3, 1), alert(4, 1), alert(5, 0)])
        assert read(subscriber, 3) == ["event-3", "event-4", "event-5"]


def test_a_group_reads_a_partition_that_was_added_while_it_was_away(
    kafka: Kafka, unique: str, topic: str, settings: dict[str, Any]
) -> None:
    produce_all(kafka.bootstrap_servers, topic, [alert(1, 0)])
    with AlertSubscriber(**settings, group=f"{unique}g") as before:
        assert before.connect(SECONDS)
    add_partition(kafka, topic, 2)
    produce_all(kafka.bootstrap_servers, topic, [alert(2, 1)])
    with AlertSubscriber(**settings, group=f"{unique}g") as after:
        assert read(after, 1) == ["event-2"]


def test_all_members_of_a_new_group_begin_at_the_end(kafka: Kafka, unique: str) -> None:
    topic = f"{unique}alerts"
    create_topic(kafka.bootstrap_servers, topic, 2)
    produce_all(kafka.bootstrap_servers, topic, [alert(1, 0), alert(2, 1), alert(3, 1)])
    properties = {"bootstrap.servers": kafka.bootstrap_servers}
    members = [Feed(topic, properties, f"{unique}g", from_beginning=False) for _ in range(2)]
    for partition, member in enumerate(members):  # one of them is first, as it happens
        member._commit_starts(member._consumer, [TopicPartition(topic, partition)])
    places = [TopicPartition(topic, partition) for partition in range(2)]
    found = members[0]._consumer.committed(places, timeout=SECONDS)
    assert [place.offset for place in found] == [1, 2]
    for member in members:
        member.close()


def test_a_tail_reads_a_new_partition_from_its_beginning(
    kafka: Kafka, topic: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_LOOK_EVERY_SECONDS", 0.2)
    produce_all(kafka.bootstrap_servers, topic, [alert(1, 0)])
    with AlertSubscriber(**settings) as subscriber:
        assert subscriber.connect(SECONDS)
        add_partition(kafka, topic, 2)
        produce_all(kafka.bootstrap_servers, topic, [alert(2, 1), alert(3, 0)])
        assert read(subscriber, 2) == ["event-2", "event-3"]
        add_partition(kafka, topic, 3)
        produce_all(kafka.bootstrap_servers, topic, [alert(4, 2), alert(5, 1), alert(6, 0)])
        assert read(subscriber, 3) == ["event-4", "event-5", "event-6"]


def test_a_tail_looks_for_partitions_once_in_a_while(
    topic: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    look = Feed._partitions

    def counted(feed: Feed, seconds: float) -> list[TopicPartition]:
        nonlocal looked
        looked += 1
        return look(feed, seconds)

    monkeypatch.setattr(Feed, "_partitions", counted)
    with AlertSubscriber(**settings) as subscriber:
        assert subscriber.connect(SECONDS)
        for _ in range(50):
            assert subscriber.poll(0.001) is None
    assert looked == 1
