"""Reading a topic for people: from its beginning or from now, to its end or on and on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Literal

import typer
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from stream.access import is_denied
from stream.adapters.kafka.asking import denied, is_passing, metadata, read_error
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import END
from stream.core.errors import AccessError, TopicError
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["FromBeginning", "Max", "Timeout", "check_topic", "connection", "patience", "read_topic"]

FromBeginning = Annotated[
    bool, typer.Option("--from-beginning", help="Start with the oldest record, not from now.")
]
Max = Annotated[int | None, typer.Option("--max", min=1, help="Stop after so many.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop after so long; else Ctrl-C."),
]

_ASK_SECONDS = 10.0
_LEAST_SECONDS = 1.0
_SLICE_SECONDS = 0.2


def connection(settings: Settings, name: str) -> Connection:
    """How a command reaches Kafka; ConfigError where no broker is named."""
    config = settings.client_config()
    servers = config.pop("bootstrap.servers")
    return Connection(servers, f"driftstream-{name}", config)


def read_topic(
    settings: Settings,
    topic: str,
    *,
    from_beginning: bool,
    follow: bool,
    timeout: float | None = None,
) -> Iterator[Message]:
    """The committed records of a topic (logical name) as they come.

    Without `follow` it ends where the topic ended when all partitions had been read. Raises
    TopicError where the topic is missing, BrokerError where Kafka doesn't answer or refuses us.
    """
    name = real_name(settings.topic_prefix, topic)
    ours = connection(settings, "reader")
    consumer = ours.reader()
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        seconds = patience(timeout)
        waiting = _partitions(ours, consumer, name, seconds)
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(name, number, start) for number in waiting])
        while follow or waiting:
            for message in consumer.consume(500, _wait(deadline)):
                if not _ended(ours, message, waiting):
                    yield message
            if deadline is not None and time.monotonic() >= deadline:
                return
    finally:
        consumer.close()


def patience(timeout: float | None) -> float:
    """How long a broker may take to answer, in seconds, where a command is to end after some."""
    return _ASK_SECONDS if timeout is None else min(_ASK_SECONDS, max(_LEAST_SECONDS, timeout))


def check_topic(
    settings: Settings, topic: str, seconds: float, right: Literal["READ", "WRITE"]
) -> None:
    """Raises what `read_topic` would, where the topic is out of reach, of a reader or a writer."""
    ours = connection(settings, "check")
    admin = ours.admin()
    name = real_name(settings.topic_prefix, topic)
    _partitions(ours, admin, name, seconds)
    if denied(admin, right, [name]):
        raise AccessError(ours.login.denial(right.capitalize(), f"topic {name}"))


def _partitions(
    ours: Connection, client: Consumer | AdminClient, name: str, seconds: float
) -> set[int]:
    known = metadata(ours, client, seconds, name).topics[name]
    if known.error is not None and is_denied(known.error.code()):
        raise AccessError(ours.login.denial("Describe", f"topic {name}"))
    if known.error is not None or not known.partitions:
        raise TopicError(f"there is no topic {name}: `driftstream topics create` makes it")
    return set(known.partitions)


def _wait(deadline: float | None) -> float:
    if deadline is None:
        return _SLICE_SECONDS
    return max(0.0, min(_SLICE_SECONDS, deadline - time.monotonic()))


def _ended(ours: Connection, message: Message, waiting: set[int]) -> bool:
    """True for a message that is no record; a partition's end is taken off `waiting`."""
    error = message.error()
    if error is None:
        return False
    if error.code() == END:
        waiting.discard(message.partition() or 0)
    elif not is_passing(error):
        raise read_error(ours.login, message.topic() or "", error) from KafkaException(error)
    return True
