"""The floor: consume with confluent-kafka, and `orjson.loads` of each value. Nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.meter import Meter, Reading

__all__ = ["run_floor"]

_FETCH = {  # the settings that the worker reads with
    "fetch.queue.backoff.ms": 1,
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 4_194_304,
}
_SLICE = 2_000


def run_floor(bootstrap: str, topics: Sequence[str], partitions: int, rows: int) -> Reading:
    """The steady rate over the topics' rows, read from their beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "benchmark-floor",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            **_FETCH,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for topic in topics for p in range(partitions)])
    meter = Meter(rows)
    while not meter.full:
        messages = consumer.consume(_SLICE, 0.1)
        values = list(map(Message.value, messages))
        for value in values:
            orjson.loads(value)  # type: ignore[arg-type]  # the benchmark's rows have values
        meter.add(perf_counter(), len(values))
    consumer.close()
    return meter.reading()
