"""Slices made by hand, for tests of what runs without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import orjson

from stream.core.records import Header, Slice, Source
from tests.kafka_io import read_all

__all__ = ["Record", "row_json", "slice_of", "topic_slice"]


class Record(NamedTuple):
    """One record as a broker holds it."""

    source: Source
    offset: int
    timestamp_ms: int
    value: bytes | None
    key: bytes | None = None
    headers: list[Header] | None = None


def slice_of(records: Sequence[Record], ends: tuple[tuple[Source, int], ...] = ()) -> Slice:
    """The records as the engine would hand them to an agent."""
    sources = tuple(dict.fromkeys(record.source for record in records))
    headers = [record.headers for record in records]
    keys = [record.key for record in records]
    return Slice(
        sources,
        np.array([sources.index(record.source) for record in records], dtype=np.int32),
        np.array([record.offset for record in records], dtype=np.int64),
        np.array([record.timestamp_ms for record in records], dtype=np.int64),
        [record.value for record in records],
        headers if any(headers) else None,
        keys.__getitem__,
        ends,
    )


def topic_slice(bootstrap_servers: str, topic: str, name: str) -> Slice:
    """All records of a topic, as records of the source topic `name`."""
    return slice_of(
        [
            Record(
                Source(name, read.partition),
                read.offset,
                read.timestamp_ms,
                read.value,
                read.key,
                list(read.headers),
            )
            for read in read_all(bootstrap_servers, topic)
        ]
    )


def row_json(prediction_id: str, event_time_ms: int, **extra: object) -> bytes:
    """A prediction row of the model `credit`."""
    row: dict[str, object] = {
        "prediction_id": prediction_id,
        "model": "credit",
        "version": "1",
        "event_time_ms": event_time_ms,
        "features": {"age": 41.0},
        "prediction": 1,
    }
    row.update(extra)
    return orjson.dumps(row)
