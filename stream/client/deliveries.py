"""What became of the rows that were packed: delivered, failed, or in librdkafka's hands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, Message

from stream.access import Login
from stream.client.notices import Notices
from stream.client.options import Options
from stream.client.record import Record

__all__ = ["Deliveries"]

Settle = Callable[[KafkaError | None, Message], None]


class Deliveries:
    """Counts rows in the feeder's thread, and says in the log why some were not delivered."""

    def __init__(self, options: Options, notices: Notices) -> None:
        self._topic = options.topic
        self._login = Login.of(options.kafka, str(options.kafka["bootstrap.servers"]))
        self._notices = notices
        self.delivered = 0
        self.failed = 0
        self.outstanding = 0
        self.outstanding_size = 0

    def settler(self, record: Record) -> Settle:
        """What librdkafka is to call when it knows what became of the record."""
        if record.rows == 1:
            return self._settle_one  # made for every row: a partial takes 8 times as long to make
        return partial(self._settle, record.rows, record.size)

    def lose(self, rows: int, error: KafkaError) -> None:
        """Counts rows as failed that librdkafka does not hold, or no longer."""
        self.failed += rows
        self._notices.warn(
            error.name(),
            f"{self._topic}: {rows} rows were not delivered: {self.explained(error)}",
        )

    def write_off(self) -> None:
        """Counts as failed what librdkafka holds and will not deliver."""
        self.failed += self.outstanding
        self.outstanding = self.outstanding_size = 0

    def explained(self, error: KafkaError) -> str:
        """What the error means, in words."""
        return self._login.explained(error.code(), error.str(), self._topic, "Write")

    def _settle_one(self, error: KafkaError | None, message: Message) -> None:
        size = len(message) + len(message.key() or b"")
        self.outstanding -= 1
        self.outstanding_size -= size
        if error is None:
            self.delivered += 1
        else:
            self.lose(1, error)

    def _settle(self, rows: int, size: int, error: KafkaError | None, _: Message) -> None:
        self.outstanding -= rows
        self.outstanding_size -= size
        if error is None:
            self.delivered += rows
        else:
            self.lose(rows, error)
