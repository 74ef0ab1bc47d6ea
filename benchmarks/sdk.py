"""What logging costs a model server: `python -m benchmarks.sdk`.

Rows of 20 features (16 numbers, 4 texts) on KAFKA_BOOTSTRAP_SERVERS, else on a local Kafka. It
counts rows until the last is acknowledged, logged by one thread, and the processor time that the
calls take of that thread. `benchmarks.sdk_latency` measures how long one call takes.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from benchmarks.sdk_ground import FEATURES, broker, topics
from stream.client import PredictionLogger
from stream.client.options import Format

ROWS = {"json": 100_000, "avro": 20_000, "arrow": 100_000}
COLUMN_ROWS = {"json": 200_000, "avro": 20_000, "arrow": 1_000_000}
CHUNK = 10_000
SECONDS = 120.0


def columns(rows: int) -> dict[str, object]:
    random = np.random.default_rng(7)
    numbers = {f"number_{i}": random.normal(size=rows).astype(np.float32) for i in range(16)}
    choices = np.array(["alpha", "beta", "gamma", "delta"])
    return {**numbers, **{f"text_{i}": random.choice(choices, rows) for i in range(4)}}


def logger(servers: str, wire: Format) -> PredictionLogger:
    return PredictionLogger(
        model="bench",
        version="1",
        bootstrap_servers=servers,
        topic_prefix=topics(servers),
        format=wire,
        on_full="block",
        block_seconds=SECONDS,
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


def main() -> None:
    with broker() as servers:
        print(f"{'rows/s acknowledged':22}{'log()':>12}{'µs':>8}{'log_columns()':>20}{'µs':>8}")
        for wire in ("json", "avro", "arrow"):
            one, many = cost_of_log(servers, wire), cost_of_log_columns(servers, wire)
            print(f"{wire:22}{one}{'':8}{many}")


if __name__ == "__main__":
    main()
