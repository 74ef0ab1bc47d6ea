"""How long one call holds a model server up: `python -m benchmarks.sdk_latency`.

Microseconds of `log` with the broker up, without a broker, without one and with the buffer full,
and from 16 threads at once; beside them, in the same run and in turns, a bare `Producer.produce`
of `orjson.dumps` of the same row.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import orjson
from confluent_kafka import Producer

from benchmarks.sdk_ground import FEATURES, broker, topics
from stream.client import LabelLogger, PredictionLogger
from stream.client.options import Format

NOWHERE = "127.0.0.1:1"
CALLS = 8_000  # a round
ROUNDS = 3
BUFFER_ROWS = 100_000
Call = Callable[[], object]


@contextmanager
def bare(servers: str, prefix: str, _: int) -> Iterator[Call]:
    """What it costs to hand the row over oneself, unchecked and unbounded in time to come."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "log_level": 0,
        }
    )
    topic = f"{prefix}predictions"
    row = {"model": "bench", "version": "1", "features": FEATURES, "prediction": 1, "score": 0.5}

    def call() -> None:
        text = str(uuid.uuid4())
        named = {"prediction_id": text, "event_time_ms": time.time_ns() // 1_000_000, **row}
        producer.produce(topic, orjson.dumps(named), text)
        producer.poll(0)

    yield call
    if servers != NOWHERE:
        producer.flush(60)
    producer.purge()
    producer.flush(1)


def predictions(wire: Format) -> Callable[[str, str, int], object]:
    @contextmanager
    def opened(servers: str, prefix: str, rows: int) -> Iterator[Call]:
        logger = PredictionLogger(
            model="bench",
            version="1",
            bootstrap_servers=servers,
            topic_prefix=prefix,
            format=wire,
            buffer_rows=rows,
            exit_seconds=0.0,
        )
        yield lambda: logger.log(features=FEATURES, prediction=1, score=0.5)
        logger.close(60.0 if servers != NOWHERE else 0.0)

    return opened


@contextmanager
def labels(servers: str, prefix: str, rows: int) -> Iterator[Call]:
    logger = LabelLogger(
        bootstrap_servers=servers,
        topic_prefix=prefix,
        on_full="drop_oldest",
        buffer_rows=rows,
        exit_seconds=0.0,
    )
    yield lambda: logger.log(str(uuid.uuid4()), 1)
    logger.close(60.0 if servers != NOWHERE else 0.0)


SUBJECTS = {
    "bare produce": bare,
    "json": predictions("json"),
    "arrow": predictions("arrow"),
    "labels, json": labels,
}


def taken(call: Call, calls: int, threads: int) -> np.ndarray:
    """Microseconds of each call, in all threads together."""
    each = np.zeros((threads, calls // threads))
    start = threading.Barrier(threads)

    def work(mine: np.ndarray) -> None:
        start.wait()
        for i in range(len(mine)):
            begun = time.perf_counter()
            call()
            mine[i] = time.perf_counter() - begun

    workers = [threading.Thread(target=work, args=(mine,)) for mine in each]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return each.ravel() * 1e6


def situations(servers: str) -> dict[str, tuple[str, int, int]]:
    """By name: the broker's address, the rows that the buffer holds, and how many threads log."""
    return {
        "broker up": (servers, BUFFER_ROWS, 1),
        "no broker": (NOWHERE, BUFFER_ROWS, 1),
        "buffer full": (NOWHERE, 100, 1),
        "16 threads": (servers, BUFFER_ROWS, 16),
    }


def main(calls: int = CALLS) -> None:
    """Prints the table; the ratio is that of the medians, to the bare call's."""
    with broker() as servers:
        prefix = topics(servers)
        print(f"{'µs a call':28}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>10}{'ratio':>8}")
        for situation, (address, rows, threads) in situations(servers).items():
            found: dict[str, list[np.ndarray]] = {}
            for _ in range(ROUNDS):
                for name, opened in SUBJECTS.items():
                    if situation == "buffer full" and opened is bare:
                        continue  # it raises BufferError
                    with opened(address, prefix, rows) as call:  # type: ignore[attr-defined]  # a context manager each
                        taken(call, max(200, calls // 20), 1)
                        found.setdefault(name, []).append(taken(call, calls, threads))
            floor = np.median(np.concatenate(found.get("bare produce", found["json"])))
            for name, parts in found.items():
                values = np.concatenate(parts)
                p50, p99, p999 = np.percentile(values, [50, 99, 99.9])
                ratio = f"{p50 / floor:.2f}" if "bare produce" in found else "-"
                print(
                    f"{situation + ', ' + name:28}{p50:>9,.0f}{p99:>9,.0f}{p999:>9,.0f}"
                    f"{values.max():>10,.0f}{ratio:>8}",
                    flush=True,
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
