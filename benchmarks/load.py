"""Fills the benchmark's topics once, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from benchmarks.workload import (
    ARROW_ROWS,
    MODEL,
    Pool,
    arrow_records,
    avro_rows,
    json_rows,
    model_keys,
    start_ms,
)
from stream import schemas
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.records import ModelKey

__all__ = ["Sizes", "load"]

_ARROW = [("content-type", b"application/vnd.apache.arrow.stream")]
_AVRO = [("content-type", b"application/avro"), ("schema", b"prediction")]


class Sizes:
    """Rows of each workload; a steady rate needs several seconds of them."""

    json = 5_000_000
    models = 2_000_000
    avro = 400_000
    arrow = 16_000_000
    many = 1_000  # models in the many-models workload
    partitions = 12
    many_partitions = 24


class _Feed:
    """A producer that is kept busy but never over its queue."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 512_000,
                "compression.type": "lz4",
            }
        )

    def rows(self, topic: str, rows: Iterable[tuple[bytes, bytes]], headers: object) -> None:
        """Produces keyed rows."""
        for key, value in rows:
            self._send(topic, value, key=key, headers=headers)

    def batches(self, topic: str, records: Iterable[tuple[int, bytes]]) -> None:
        """Produces Arrow records to their partitions."""
        for partition, value in records:
            self._send(topic, value, partition=partition, headers=_ARROW)

    def _send(self, topic: str, value: bytes, **where: object) -> None:
        while True:
            try:
                self._producer.produce(topic, value, **where)  # type: ignore[arg-type]
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def profiles(self, topic: str, pool: Pool, models: list[ModelKey]) -> None:
        """Publishes the pool's profile for each model."""
        for model in models:
            profile = pool.profile(model)
            record = schemas.encode_json("reference_profile", profile_to_record(profile))
            self._send(topic, record, key=profile_key(profile))

    def finish(self) -> None:
        """Waits until everything is delivered."""
        while self._producer.flush(5):
            pass


def load(bootstrap: str, name: str, prefix: str, share: float) -> int:
    """Fills one workload's topics under its prefix; `share` scales it. Returns its rows."""
    pool, feed, begin = Pool(), _Feed(bootstrap), start_ms()
    topic, models = f"{prefix}predictions", [MODEL]
    if name == "json":
        rows = round(Sizes.json * share)
        feed.rows(topic, json_rows(pool, rows, models, begin), None)
    elif name == "json_models":
        rows, models = round(Sizes.models * share), model_keys(Sizes.many)
        feed.rows(topic, json_rows(pool, rows, models, begin), None)
    elif name == "avro":
        rows = round(Sizes.avro * share)
        feed.rows(topic, avro_rows(pool, rows, begin), _AVRO)
    else:
        records = round(Sizes.arrow * share) // ARROW_ROWS
        rows = records * ARROW_ROWS
        feed.batches(topic, arrow_records(pool, records, Sizes.partitions, begin))
    feed.profiles(f"{prefix}profiles", pool, models)
    feed.finish()
    return rows
