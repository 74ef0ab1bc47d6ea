"""Topics that every worker reads whole: from the beginning, and on to their end when asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from stream.access import Login
from stream.adapters.kafka.asking import is_passing, read_error
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import END
from stream.adapters.kafka.identity import Identity
from stream.adapters.kafka.offsets import Partition, ends
from stream.core.errors import BrokerError

__all__ = ["BroadcastReader", "read_on"]

_log = logging.getLogger("stream.kafka")

_AT_ONCE = 2_000
_WAIT_SECONDS = 0.02
_PATIENCE_SECONDS = 15.0


class BroadcastReader:
    """Reads topics whole; `topics` maps a topic's name to its number of partitions.

    It has a consumer of its own, from `connection`.
    """

    def __init__(
        self, connection: Connection, admin: AdminClient, topics: Mapping[str, int]
    ) -> None:
        self._consumer = connection.reader()
        self._login = connection.login
        self._admin = admin
        self._identity = Identity(admin, topics)
        self._positions: dict[Partition, int] = {
            (topic, number): 0 for topic, count in topics.items() for number in range(count)
        }
        self._reached = dict(self._positions)
        _go_back(self._consumer, self._positions)

    def news(self) -> list[Message]:
        """The committed records since those that were taken, up to the topics' ends as of now.

        Records of a partition come in offset order. BrokerError where a topic can't be read, or
        the end isn't reached in 15 s; what was read until then is read again by the next call.
        So is a partition that ends before what was read of it, or whose topic was made anew:
        that is seen by this call or the next.
        """
        self._identity.ask()
        targets = ends(self._admin, list(self._positions), IsolationLevel.READ_COMMITTED)
        others = self._identity.anew()
        anew = [o for o, end in targets.items() if end < self._positions[o] or o[0] in others]
        for one in anew:
            _log.warning("%s %d was made anew, or cut: it is read again from its beginning", *one)
            self._positions[one] = 0
        if anew or self._reached != self._positions:
            _go_back(self._consumer, self._positions)
        reached = dict(self._positions)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        news: list[Message] = []
        try:
            while any(reached[one] < target for one, target in targets.items()):
                if time.monotonic() > deadline:
                    raise BrokerError("the ends of the broadcast topics were not reached in 15 s")
                news += read_on(self._consumer, reached, _WAIT_SECONDS, self._login)
        except (BrokerError, KafkaException):
            _go_back(self._consumer, self._positions)
            raise
        self._reached = reached
        if not news:  # but markers of transactions
            self.take()
        return news

    def take(self) -> None:
        """What `news` gave is dealt with: it isn't given again."""
        self._positions = dict(self._reached)

    def close(self) -> None:
        """Leaves the topics."""
        self._consumer.close()


def read_on(
    consumer: Consumer, positions: dict[Partition, int], seconds: float, login: Login
) -> list[Message]:
    """What an assigned consumer has now; moves `positions`, past transaction markers too.

    A record's error other than a passing one is a BrokerError, AccessError where it is a right.
    The consumer then stands at `positions` again: what came with the error comes once more.
    """
    records: list[Message] = []
    reached = dict(positions)
    for message in consumer.consume(_AT_ONCE, seconds):
        error = message.error()
        one = (message.topic() or "", message.partition() or 0)
        offset = message.offset() or 0
        if error is None:
            records.append(message)
            reached[one] = offset + 1
        elif error.code() == END:
            reached[one] = max(reached[one], offset)
        elif not is_passing(error):
            _go_back(consumer, positions)
            raise read_error(login, one[0], error) from KafkaException(error)
    positions.update(reached)
    return records


def _go_back(consumer: Consumer, positions: Mapping[Partition, int]) -> None:
    consumer.assign([TopicPartition(*one, position) for one, position in positions.items()])
