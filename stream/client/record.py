"""What librdkafka is given, and what makes it of buffered rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Producer

from stream.client.buffer import Entry

__all__ = ["Packer", "Record"]


class Record(NamedTuple):
    """One record for librdkafka: `partition` −1 leaves the choice to the key.

    `size` is the bytes of key and value.
    """

    key: bytes | None
    value: bytes
    rows: int
    size: int
    partition: int = -1


class Packer(Protocol):
    """Makes records of entries, in the feeder's thread."""

    headers: list[tuple[str, bytes]] | None
    """The headers of every record."""

    fewest: int
    """How many rows are worth sending before the oldest has waited for the linger."""

    def prepare(self, producer: Producer, topic: str) -> str | None:
        """Learns what packing needs (from the broker, a registry); returns why it can't yet."""

    def pack(self, entries: Sequence[Entry[Any]]) -> list[Record]:
        """The entries' records. Rows that cannot be sent are left out."""
