"""Two topics and a consumer by hand: what an intake makes of the order in which they come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message

from stream.core.records import Slice, Source
from stream.engine.intake import Intake

__all__ = ["FOLLOWER", "LEADER", "World", "end", "record", "stepped"]

LEADER, FOLLOWER = "predictions", "labels"
_PREFIX = "test."
_ENDED = KafkaError._PARTITION_EOF


def record(
    topic: str,
    offset: int,
    time_ms: int,
    *,
    partition: int = 0,
    value: bytes = b"x",
    clock: int = TIMESTAMP_LOG_APPEND_TIME,
) -> Message:
    """A message of a topic's partition."""
    return Message(
        topic=_PREFIX + topic,
        partition=partition,
        offset=offset,
        key=b"%d" % offset,
        value=value,
        headers=None,
        timestamp=(clock, time_ms),
    )


def end(topic: str, offset: int, *, partition: int = 0) -> Message:
    """The event that a partition was read to its end."""
    return Message(
        topic=_PREFIX + topic, partition=partition, offset=offset, error=KafkaError(_ENDED)
    )


def _fail(_: Message, error: KafkaError) -> NoReturn:
    raise AssertionError(error)


class World:
    """An intake of two topics, the consumer that it reads, and the clock that both go by.

    `asked` are the counts and seconds that the consumer was asked for, `given` is what it gave
    for the last slice, `coming` what nobody has asked for yet.
    """

    def __init__(self, partitions: int = 1, *, follows: bool = True) -> None:
        self.seconds = 100.0
        self.asked: list[tuple[int, float]] = []
        self.given: list[Message] = []
        self.coming: list[Message] = []
        self._taking = 0.0
        follow = {FOLLOWER: LEADER} if follows else {}
        topics = (LEADER, FOLLOWER)
        self.intake = Intake(topics, _PREFIX, partitions, {}, follow, lambda: self.seconds)
        start = {Source(topic, task): 0 for topic in topics for task in range(partitions)}
        self.intake.begin(start, start)

    def consume(self, count: int, seconds: float) -> list[Message]:
        """As a Consumer's: what comes next, as much as is asked for."""
        self.asked.append((count, seconds))
        self.seconds += self._taking
        self.given, self.coming = self.coming[:count], self.coming[count:]
        return self.given

    def read(
        self, messages: Iterable[Message] = (), *, seconds: float = 0.0, most: int = 100
    ) -> Slice:
        """The slice that is made when these come next, after so many seconds of waiting."""
        self.coming += messages
        self._taking = seconds
        fetched = self.intake.fetch(self, most, 0.1)  # type: ignore[arg-type]  # all it needs of a Consumer
        return self.intake.slice(fetched, _fail, most)

    def position(self, topic: str, partition: int = 0) -> int:
        """The next offset to step."""
        return self.intake.of([partition])[Source(topic, partition)]


def stepped(slice_: Slice) -> list[tuple[str, int]]:
    """Topics and offsets of a slice's records."""
    topics = [slice_.sources[index].topic for index in slice_.source.tolist()]
    return list(zip(topics, slice_.offset.tolist(), strict=True))
