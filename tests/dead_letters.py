"""Letters as observe would write them, put on a topic of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream import schemas
from stream.core.partitioner import partitions_of
from tests.conftest import Kafka
from tests.kafka_io import Read, Record, create_topic, produce_all, read_all

__all__ = ["Letters"]


class Letters:
    """The topic of dead letters and the input topics under a prefix."""

    def __init__(self, kafka: Kafka, prefix: str, partitions: int = 3) -> None:
        self._servers = kafka.bootstrap_servers
        self._prefix = prefix
        self.partitions = partitions
        for name in ("dead-letters", "features", "predictions", "labels"):
            create_topic(self._servers, prefix + name, partitions)

    def put(self, letters: Sequence[dict[str, Any]]) -> None:
        """Writes letters, each by its key to a partition; fields not given are the usual ones."""
        records = []
        for number, given in enumerate(letters):
            letter = {
                "topic": "predictions",
                "partition": 1,
                "offset": number,
                "timestamp_ms": 5,
                "key": b"k%d" % number,
                "value": b"v%d" % number,
                "truncated": False,
                "headers": [],
                "reason": "malformed",
                "detail": "d",
                "rows": [],
                "agent": "observe",
                "rejected_at_ms": 1_000 + number,
                **given,
            }
            records.append(Record(schemas.encode_avro("dead_letter", letter), letter["key"]))
        produce_all(self._servers, f"{self._prefix}dead-letters", records)

    def read(self, topic: str) -> list[Read]:
        """All committed records of a topic."""
        return read_all(self._servers, self._prefix + topic)

    def home(self, key: bytes) -> int:
        """The partition that a record of this key belongs to."""
        return int(partitions_of([key], self.partitions)[0])
