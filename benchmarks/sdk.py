"""What logging costs a model server: `python -m benchmarks.sdk`.

Rows of 20 features (16 numbers, 4 texts) on KAFKA_BOOTSTRAP_SERVERS, else on a local Kafka. The
first table counts rows until the last is acknowledged, logged by one thread, and the processor time
that the calls take of that thread; the second is how long one `log` takes where there is no
broker at all, by what a full buffer does.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream.adapters.kafka.local import LocalKafka
from stream.client import PredictionLogger
from stream.client.options import Format, OnFull

ROWS = {"json": 100_000, "avro": 20_000, "arrow": 100_000}
COLUMN_ROWS = {"json": 200_000, "avro": 20_000, "arrow": 1_000_000}
CHUNK = 10_000
PARTITIONS = 4
OFFLINE_ROWS = 50_000
SECONDS = 120.0

FEATURES = {
    **{f"number_{i}": 1.37 * i for i in range(16)},
    **{f"text_{i}": f"category {i}" for i in range(4)},
}


def columns(rows: int) -> dict[str, object]:
    random = np.random.default_rng(7)
    numbers = {f"number_{i}": random.normal(size=rows).astype(np.float32) for i in range(16)}
    choices = np.array(["alpha", "beta", "gamma", "delta"])
    return {**numbers, **{f"text_{i}": random.choice(choices, rows) for i in range(4)}}


@contextmanager
def broker() -> Iterator[str]:
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
        return
    with LocalKafka() as local:
        yield local.bootstrap_servers


def logger(servers: str, wire: Format, on_full: OnFull = "block") -> PredictionLogger:
    prefix = f"bench-sdk-{uuid.uuid4().hex[:8]}."
    if servers:
        admin = AdminClient({"bootstrap.servers": servers})
        topic = f"{prefix}predictions"
        admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(30)
    return PredictionLogger(
        model="bench",
        version="1",
        bootstrap_servers=servers or "127.0.0.1:1",
        topic_prefix=prefix,
        format=wire,
        on_full=on_full,
        block_seconds=SECONDS if servers else 0.01,
        buffer_rows=100_000 if servers else 10_000,
        exit_seconds=0.0,
    )


class Cost(NamedTuple):
    """Rows a second until all are acknowledged, and µs of the caller's own time a row."""

    rate: float
    caller_us: float

    def __str__(self) -> str:
        return f"{self.rate:>12,.0f}{self.caller_us:>8.1f}"


def cost_of_log(servers: str, wire: Format) -> Cost:
    each = logger(servers, wire)
    each.log(features=FEATURES)
    assert each.flush(SECONDS)
    begun, own = time.perf_counter(), time.thread_time()
    for _ in range(ROWS[wire]):
        each.log(features=FEATURES, prediction=1, score=0.5)
    return finished(each, ROWS[wire], begun, time.thread_time() - own)


def cost_of_log_columns(servers: str, wire: Format) -> Cost:
    each = logger(servers, wire)
    each.log(features=FEATURES)
    assert each.flush(SECONDS)
    features, ones = columns(CHUNK), np.ones(CHUNK, dtype=np.int8)
    begun, own = time.perf_counter(), time.thread_time()
    for _ in range(0, COLUMN_ROWS[wire], CHUNK):
        each.log_columns(features=features, prediction=ones)
    return finished(each, COLUMN_ROWS[wire], begun, time.thread_time() - own)


def finished(each: PredictionLogger, rows: int, begun: float, own: float) -> Cost:
    assert each.flush(SECONDS), each.counters
    seconds = time.perf_counter() - begun
    assert each.counters == (rows + 1, 0, 0, 0, 0), each.counters
    each.close()
    return Cost(rows / seconds, own / rows * 1e6)


def offline_latency(on_full: OnFull) -> np.ndarray:
    """Microseconds of each call."""
    each = logger("", "json", on_full)
    taken = np.empty(OFFLINE_ROWS if on_full == "drop_oldest" else 10_000)
    for i in range(len(taken)):
        begun = time.perf_counter()
        each.log(features=FEATURES, prediction=1, score=0.5)
        taken[i] = time.perf_counter() - begun
        if on_full == "block" and each.counters.dropped >= 20:
            taken = taken[: i + 1]
            break
    each.close(0.0)
    return taken * 1e6


def main() -> None:
    with broker() as servers:
        print(f"{'rows/s acknowledged':22}{'log()':>12}{'µs':>8}{'log_columns()':>20}{'µs':>8}")
        for wire in ("json", "avro", "arrow"):
            one, many = cost_of_log(servers, wire), cost_of_log_columns(servers, wire)
            print(f"{wire:22}{one}{'':8}{many}")
    print(f"\n{'no broker, µs a log()':22}{'p50':>12}{'p99':>8}{'max':>12}")
    for on_full in ("drop_oldest", "block"):
        taken = offline_latency(on_full)
        p50, p99 = np.percentile(taken, [50, 99])
        note = "  (block_seconds 0.01)" if on_full == "block" else ""
        print(f"{on_full:22}{p50:>12,.0f}{p99:>8,.0f}{taken.max():>12,.0f}{note}")


if __name__ == "__main__":
    main()
