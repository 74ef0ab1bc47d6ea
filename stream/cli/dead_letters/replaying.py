"""Sending records again once: each transaction holds records and the marks of their letters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from confluent_kafka import KafkaException

from stream.adapters.kafka.asking import metadata
from stream.adapters.kafka.codes import said
from stream.cli.dead_letters.letter import REPLAYED
from stream.cli.dead_letters.original import Original
from stream.cli.reading import connection, patience
from stream.core.errors import BrokerError, FatalBrokerError, TopicError
from stream.engine.rights import Rights
from stream.engine.transaction import Transaction
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["Replaying"]

_RECORDS, _BYTES = 500, 4 << 20  # that a transaction holds, about
_SILENT_SECONDS = 30.0


class Replaying:
    """One replay of a deployment's letters; only one goes on at a time.

    Entered, it ends the one before, whose open transaction is given up: what marks there are from
    then on is all that was ever sent. Left without an exception, everything has been committed.
    Raises BrokerError, FatalBrokerError where another one has begun meanwhile.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._letters = real_name(settings.topic_prefix, "dead-letters")
        ours = connection(settings, "replay")
        admin = ours.admin()
        self._counts = {
            name: len(topic.partitions)
            for name, topic in metadata(ours, admin, patience(None)).topics.items()
        }
        group = self._letters
        self._answered = time.monotonic()
        self._transaction = Transaction(
            lambda errors: ours.producer(
                f"{group}-replay", settings.transaction_timeout, errors, alone=True
            ),
            lambda: time.monotonic() - self._answered > _SILENT_SECONDS,
            lambda: None,
            Rights(ours.login, admin, group, ()),
        )
        self._held: list[Original] = []
        self._bytes = 0

    def __enter__(self) -> Replaying:
        self._transaction.begin_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit()
        elif not issubclass(kind, FatalBrokerError):
            self._transaction.abort()

    def send(self, records: Sequence[Original]) -> None:
        """Takes the records of one letter; they are sent, and the letter is marked, together."""
        self._held += records
        self._bytes += sum(len(record.value or b"") for record in records)
        if len(self._held) >= _RECORDS or self._bytes >= _BYTES:
            self._commit()

    def _commit(self) -> None:
        if not self._held:
            return
        self._answered = time.monotonic()
        try:
            for record in self._held:
                self._produce(record)
            for letter in {record.letter.place: record.letter for record in self._held}.values():
                mark = [(REPLAYED, b"%d" % letter.place.offset)]
                self._transaction.produce(
                    self._letters, letter.key, None, letter.place.partition, mark
                )
            self._transaction.commit([], None)
        except FatalBrokerError as error:
            raise FatalBrokerError(
                "the replay ends: another one has begun, or Kafka refuses the producer. What this "
                f"one had committed is not sent again by the other. ({error})"
            ) from error
        except KafkaException as error:
            raise BrokerError(f"records could not be sent again: {said(error)}") from error
        self._held.clear()
        self._bytes = 0

    def _produce(self, record: Original) -> None:
        topic = real_name(self._settings.topic_prefix, record.topic)
        count = self._counts.get(topic, 0)
        if not count:
            raise TopicError(f"there is no topic {topic}: `driftstream topics create` makes it")
        own = record.letter.partition
        partition = own if record.key is None and own < count else -1
        self._transaction.produce(topic, record.key, record.value, partition, record.marked())
