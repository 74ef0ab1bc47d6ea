"""The topic of dead letters, read whole up to its end as it was when the reading began."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import IsolationLevel, Message, TopicPartition

from stream.adapters.kafka.asking import metadata
from stream.adapters.kafka.broadcast import read_on
from stream.adapters.kafka.offsets import ends
from stream.cli.dead_letters.letter import Letter, Place, read, replayed
from stream.cli.output import say
from stream.cli.reading import connection
from stream.core.errors import BrokerError, SchemaError, TopicError
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["LetterLog"]

_ASK_SECONDS = 10.0
_WAIT_SECONDS = 0.2
_STILL_SECONDS = 60.0  # without a step forward: far beyond what an open transaction lives


class LetterLog:
    """The letters that were committed before it was made, and which of them were replayed.

    Transactions that were open then are waited for: what they hold is either there or given up
    when `letters` ends. Raises TopicError, BrokerError.
    """

    def __init__(self, settings: Settings) -> None:
        self.topic = real_name(settings.topic_prefix, "dead-letters")
        self._connection = connection(settings, "dead-letters")
        admin = self._connection.admin()
        known = metadata(self._connection, admin, _ASK_SECONDS, self.topic).topics[self.topic]
        if known.error is not None or not known.partitions:
            raise TopicError(f"there is no topic {self.topic} that this user may read")
        places = [(self.topic, number) for number in known.partitions]
        self._ends = ends(admin, places, IsolationLevel.READ_UNCOMMITTED)

    def replayed(self) -> set[Place]:
        """The letters that bear the mark of a replay."""
        marks = map(replayed, self._messages())
        return {place for place in marks if place is not None}

    def letters(self) -> Iterator[Letter]:
        """All letters, those of a partition in their order; what is none is told on stderr."""
        for message in self._messages():
            if message.value() is None and replayed(message) is not None:
                continue
            try:
                yield read(message)
            except SchemaError as error:
                say(f"{message.partition()}/{message.offset()}: no dead letter: {error}")

    def _messages(self) -> Iterator[Message]:
        positions = dict.fromkeys(self._ends, 0)
        waiting = {one for one, end in self._ends.items() if end > 0}
        consumer = self._connection.reader()
        moved = time.monotonic()
        try:
            consumer.assign([TopicPartition(*one, 0) for one in waiting])
            while waiting:
                before = dict(positions)
                for message in read_on(consumer, positions, _WAIT_SECONDS, self._connection.login):
                    one = (message.topic() or "", message.partition() or 0)
                    if (message.offset() or 0) < self._ends[one]:
                        yield message
                waiting = {one for one in waiting if positions[one] < self._ends[one]}
                if positions != before:
                    moved = time.monotonic()
                elif time.monotonic() - moved > _STILL_SECONDS:
                    raise BrokerError(
                        f"{self.topic}: the end of partitions {sorted(n for _, n in waiting)} was "
                        f"not reached: nothing came for {_STILL_SECONDS:.0f} s. Is a transaction "
                        "open there?"
                    )
        finally:
            consumer.close()
