"""A dead letter as it was read, which ones a command is asked for, and the mark of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Message

from stream import schemas
from stream.adapters.kafka.headers import headers_of
from stream.core.errors import Reason
from stream.core.records import Header

__all__ = ["ATTEMPT", "REPLAYED", "Letter", "Place", "Selection", "read", "replayed"]

ATTEMPT = "driftstream-attempt"  # of a record that was sent again: 2 the first time
REPLAYED = "driftstream-replayed"  # of a record without value: this offset was replayed


class Place(NamedTuple):
    """Where a letter stands in `dead-letters`; people write 3/17 for partition 3, offset 17."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"

    @classmethod
    def of(cls, text: str) -> Place:
        """The place that the text names. Raises ValueError."""
        partition, slash, offset = text.partition("/")
        if not (slash and partition.isdecimal() and offset.isdecimal()):
            raise ValueError(f"{text!r} is no partition/offset such as 3/17")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A rejected record; `place` is the letter's own, topic, partition and offset its record's."""

    place: Place
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    truncated: bool
    headers: tuple[Header, ...]
    reason: str
    detail: str
    rows: tuple[int, ...]
    agent: str
    rejected_at_ms: int

    @property
    def source(self) -> str:
        """Where the record stood, such as predictions/3@17."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    @property
    def attempt(self) -> int:
        """How often the record had been sent: 1, or more where it is one that was replayed."""
        told = next((value for name, value in self.headers if name == ATTEMPT), b"")
        return max(2, int(told)) if told.isdigit() and len(told) < 10 else 1


@dataclass(frozen=True, slots=True)
class Selection:
    """What letters are asked for; of nothing given, all."""

    reasons: frozenset[Reason] = frozenset()
    topics: frozenset[str] = frozenset()
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def wants(self, letter: Letter) -> bool:
        """Whether the letter is one of them; times are those of the refusal."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.topics or letter.topic in self.topics)
            and (self.from_ms is None or letter.rejected_at_ms >= self.from_ms)
            and (self.to_ms is None or letter.rejected_at_ms < self.to_ms)
        )


def read(message: Message) -> Letter:
    """The letter of a record. Raises SchemaError where it is none."""
    told = schemas.decode_avro("dead_letter", message.value() or b"")
    headers = tuple((each["name"], each["value"] or b"") for each in told.pop("headers"))
    rows = tuple(told.pop("rows"))
    place = Place(message.partition() or 0, message.offset() or 0)
    return Letter(place=place, headers=headers, rows=rows, **told)


def replayed(message: Message) -> Place | None:
    """The letter that this record marks as replayed; None where it is no such mark."""
    if message.value() is not None:
        return None
    told = next((value for name, value in headers_of(message) if name == REPLAYED), b"")
    if not (told.isdigit() and len(told) < 20):
        return None
    return Place(message.partition() or 0, int(told))
