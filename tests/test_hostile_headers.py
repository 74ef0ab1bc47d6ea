"""Headers whose names are no text, on a real topic: read as if there were none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from stream import schemas
from stream.adapters.kafka.headers import headers_of
from stream.client import AlertSubscriber
from stream.core.records import Source
from stream.engine.intake import Intake
from tests.conftest import Command, Kafka
from tests.kafka_io import Record, create_topic, produce_all

HOT = 200  # calls, after which Python takes a shorter way to a method


def _put_odd(kafka: Kafka, topic: str) -> None:
    """A record with a header of an odd name, behind, between and before plain ones."""
    command = [sys.executable, "-m", "tests.hostile.odd_header", kafka.bootstrap_servers, topic]
    subprocess.run([*command, "0", "0"], check=True, timeout=60)
    produce_all(kafka.bootstrap_servers, topic, [Record(b"1", headers=(("a", b"x"),))])
    subprocess.run([*command, "0", "2"], check=True, timeout=60)
    produce_all(kafka.bootstrap_servers, topic, [Record(b"3", headers=(("b", b""),)), Record(b"4")])


def _fail(_message: Message, error: KafkaError) -> None:
    pytest.fail(str(error))


def test_a_record_with_unreadable_headers_is_read_without_any(kafka: Kafka, unique: str) -> None:
    topic = f"{unique}predictions"
    create_topic(kafka.bootstrap_servers, topic)
    _put_odd(kafka, topic)
    intake = Intake(["predictions"], unique, 1, {})
    intake.begin({Source("predictions", 0): 0}, {})
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{unique}group"}
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = consumer.consume(5, 30)
        slice_ = intake.slice(messages, _fail, 5)
    finally:
        consumer.close()
    assert slice_.sources == (Source("predictions", 0),)
    assert list(slice_.values) == [b"0", b"1", b"2", b"3", b"4"]
    assert slice_.headers == [None, [("a", b"x")], None, [("b", b"")], None]


def test_unreadable_headers_are_seen_however_often_headers_were_read(
    kafka: Kafka, unique: str
) -> None:
    topic = f"{unique}predictions"
    create_topic(kafka.bootstrap_servers, topic)
    _put_odd(kafka, topic)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{unique}g"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        odd, plain, *_ = consumer.consume(5, 30)
    finally:
        consumer.close()
    for _ in range(HOT):
        assert headers_of(plain) == [("a", b"x")]
    assert headers_of(odd) == []


def test_commands_and_subscribers_pass_such_a_record_over(
    kafka: Kafka, unique: str, command: Command
) -> None:
    for name in ("alerts", "dead-letters"):
        create_topic(kafka.bootstrap_servers, unique + name)
    plain = [Record(b"0", headers=(("a", b"x"),))] * HOT
    produce_all(kafka.bootstrap_servers, f"{unique}alerts", plain)
    _put_odd(kafka, f"{unique}alerts")
    _put_odd(kafka, f"{unique}dead-letters")
    letter = {"topic": "labels", "partition": 0, "offset": 0, "timestamp_ms": 0, "reason": "empty"}
    value = schemas.encode_avro("dead_letter", {**letter, "rejected_at_ms": 1})
    produce_all(kafka.bootstrap_servers, f"{unique}dead-letters", [Record(value)])
    assert [each["reason"] for each in command("dead-letters", "list")] == ["empty"]
    with AlertSubscriber(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, from_beginning=True
    ) as subscriber:
        assert subscriber.poll(5) is None
        assert subscriber.counters.skipped == HOT + 5
