"""Fills the benchmark's topics once, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.labelled import arrow_labelled, json_labelled
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

__all__ = ["WORKLOADS", "Feed", "Workload", "load"]

_ARROW = [("content-type", b"application/vnd.apache.arrow.stream")]
_AVRO = [("content-type", b"application/avro"), ("schema", b"prediction")]


class Feed:
    """A producer that is kept busy but never over its queue.

    Records of one topic are delivered before those of another that follow: small labels would
    overtake the predictions that they are of.
    """

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._topic = ""
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

    def rows(self, rows: Iterable[tuple[str, bytes, bytes]], headers: object = None) -> None:
        """Produces keyed rows: (topic, key, value)."""
        for topic, key, value in rows:
            self._send(topic, value, key=key, headers=headers)

    def batches(self, records: Iterable[tuple[str, int, bytes]]) -> None:
        """Produces Arrow records to their partitions: (topic, partition, value)."""
        for topic, partition, value in records:
            self._send(topic, value, partition=partition, headers=_ARROW)

    def profiles(self, pool: Pool, models: list[ModelKey], *, labelled: bool) -> None:
        """Publishes the pool's profile for each model."""
        for profile in pool.profiles(models, labelled=labelled):
            record = schemas.encode_json("reference_profile", profile_to_record(profile))
            self._send("profiles", record, key=profile_key(profile))

    def finish(self) -> None:
        """Waits until everything is delivered."""
        while self._producer.flush(5):
            pass

    def _send(self, topic: str, value: bytes, **where: object) -> None:
        if topic != self._topic:
            self.finish()
            self._topic = topic
        while True:
            try:
                self._producer.produce(self._prefix + topic, value, **where)  # type: ignore[arg-type]  # one of two keywords
            except BufferError:
                self._producer.poll(0.05)
            else:
                return


_Fill = Callable[[Feed, Pool, int, int], None]  # (feed, pool, rows, first event time)


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows to read, and the topics they are in.

    `rows` are predictions; a steady rate needs several seconds of them. Where there are
    `labels`, each prediction has one, and a row of either topic is an event.
    """

    rows: int
    fill: _Fill
    labels: bool = False
    models: int = 1
    partitions: int = 12

    @property
    def sources(self) -> tuple[str, ...]:
        """The topics that a worker reads."""
        return ("predictions", "labels") if self.labels else ("predictions",)


def _json(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    feed.rows(("predictions", *row) for row in json_rows(pool, rows, [MODEL], begin_ms))


def _json_models(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    models = model_keys(_MODELS)
    feed.rows(("predictions", *row) for row in json_rows(pool, rows, models, begin_ms))


def _avro(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    feed.rows((("predictions", *row) for row in avro_rows(pool, rows, begin_ms)), _AVRO)


def _arrow(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    records = arrow_records(pool, rows // ARROW_ROWS, _PARTITIONS, begin_ms)
    feed.batches(("predictions", *record) for record in records)


def _json_labels(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    feed.rows(json_labelled(pool, rows, begin_ms))


def _arrow_labels(feed: Feed, pool: Pool, rows: int, begin_ms: int) -> None:
    feed.batches(arrow_labelled(pool, rows // ARROW_ROWS, _PARTITIONS, begin_ms))


_MODELS, _PARTITIONS = 1_000, 12
WORKLOADS = {
    "json": Workload(5_000_000, _json),
    "avro": Workload(400_000, _avro),
    "arrow": Workload(16_000_000, _arrow),
    "json_models": Workload(2_000_000, _json_models, models=_MODELS, partitions=24),
    "json_labels": Workload(2_500_000, _json_labels, labels=True),
    "arrow_labels": Workload(8_000_000, _arrow_labels, labels=True),
    "restore": Workload(1_000_000, _arrow_labels, labels=True),
}


def load(bootstrap: str, name: str, prefix: str, share: float) -> int:
    """Fills one workload's topics under its prefix; `share` scales it. Returns its events."""
    workload = WORKLOADS[name]
    pool, feed = Pool(), Feed(bootstrap, prefix)
    rows = max(1, round(workload.rows * share) // ARROW_ROWS) * ARROW_ROWS
    workload.fill(feed, pool, rows, start_ms())
    models = [MODEL] if workload.models == 1 else model_keys(workload.models)
    feed.profiles(pool, models, labelled=workload.labels)
    feed.finish()
    return 2 * rows if workload.labels else rows
