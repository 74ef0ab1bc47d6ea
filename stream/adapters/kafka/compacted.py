"""Topics that keep the last record of each key: read whole, written with acknowledgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import said
from stream.adapters.kafka.log import kafka_logger
from stream.core.errors import BrokerError, ConfigError, DriftstreamError
from stream.delivery import DELIVERY

__all__ = ["latest", "publish"]

_SECONDS = 30.0


def latest(messages: Iterable[Message]) -> dict[bytes, bytes]:
    """The value that each key has in the end, in the order of their offsets; removed ones not.

    The messages are a topic's from its beginning; those without a key are passed over.
    """
    values: dict[bytes, bytes] = {}
    for message in messages:
        key, value = _bytes(message.key()), _bytes(message.value())
        if key is None:
            continue
        values.pop(key, None)
        if value is not None:
            values[key] = value
    return values


def publish(connection: Connection, topic: str, records: Mapping[bytes, bytes]) -> None:
    """Writes records of JSON by key and returns once every in-sync replica has them.

    Raises BrokerError, naming the first key that failed, where Kafka refuses one or doesn't
    acknowledge it in 30 s; others may then have been written. Writing them again is harmless.
    """
    failures: list[str] = []

    def reported(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            key = (_bytes(message.key()) or b"").decode(errors="replace")
            failures.append(f"{key}: {said(error)}")

    producer = _producer(connection)
    for key, value in records.items():
        try:
            producer.produce(
                topic,
                value=value,
                key=key,
                headers=[("content-type", b"application/json")],
                on_delivery=reported,
            )
        except KafkaException as error:
            raise _refused(topic, f"{key.decode(errors='replace')}: {said(error)}") from error
    waiting = producer.flush(_SECONDS)
    if failures:
        raise _refused(topic, failures[0])
    if waiting:
        raise BrokerError(f"Kafka did not acknowledge {waiting} records of {topic} in 30 s")


def _producer(connection: Connection) -> Producer:
    own = {
        "bootstrap.servers": connection.bootstrap_servers,
        "client.id": connection.client_id,
        **DELIVERY,
        "message.timeout.ms": int(_SECONDS * 1000) - 1000,
        "compression.type": "lz4",
    }
    try:
        return Producer(
            {**connection.properties, **own},
            logger=kafka_logger(),
            error_cb=connection.errors,
        )
    except KafkaException as error:
        raise ConfigError(f"librdkafka refuses a kafka setting: {said(error)}") from error


def _refused(topic: str, problem: str) -> DriftstreamError:
    return BrokerError(f"Kafka refused a record of {topic}: {problem}")


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
