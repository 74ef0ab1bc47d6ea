"""Predictions with one label each: labels come a little later and in another order.

Labels of a block of predictions are shuffled and follow it (`load.Feed` delivers the block
before them), so that a worker that reads both topics at the same pace finds up to a second of
event time between a prediction and its label.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benchmarks.workload import (
    ARROW_ROWS,
    MODEL,
    POOL_ROWS,
    Pool,
    arrow_ids,
    arrow_moment_ms,
    arrow_rows,
    arrow_stream,
    arrow_value,
    json_rows,
    moment_ms,
)

__all__ = ["arrow_labelled", "json_labelled"]

_BLOCK = 100_000  # JSON rows whose labels are shuffled together
_TURNS = 4  # Arrow batches of each partition whose labels are shuffled together


def json_labelled(pool: Pool, count: int, begin_ms: int) -> Iterator[tuple[str, bytes, bytes]]:
    """(topic, key, value) of `count` predictions and as many labels."""
    rng = np.random.default_rng(11)
    block: list[tuple[bytes, int]] = []
    for row, (key, value) in enumerate(json_rows(pool, count, [MODEL], begin_ms)):
        yield "predictions", key, value
        block.append((key, int(pool.label[row % POOL_ROWS])))
        if len(block) == _BLOCK or row + 1 == count:
            for place in rng.permutation(len(block)).tolist():
                known, label = block[place]
                moment = moment_ms(row, begin_ms)
                yield (
                    "labels",
                    known,
                    b'{"prediction_id":"%s","label":%d,"event_time_ms":%d}'
                    % (known, label, moment),
                )
            block = []


def arrow_labelled(
    pool: Pool, records: int, partitions: int, begin_ms: int
) -> Iterator[tuple[str, int, bytes]]:
    """(topic, partition, value) of so many batches of predictions, and as many of labels."""
    rng = np.random.default_rng(13)
    block = _TURNS * partitions
    for first in range(0, records, block):
        known: list[list[tuple[bytes, int]]] = [[] for _ in range(partitions)]
        moment = begin_ms
        for record in range(first, min(first + block, records)):
            partition, turn = record % partitions, record // partitions
            row_ids = rng.bytes(16 * ARROW_ROWS)
            moment = arrow_moment_ms(turn, begin_ms)
            yield "predictions", partition, arrow_value(pool, record, moment, row_ids)
            known[partition].append((row_ids, record))
        for partition, batches in enumerate(known):
            for value in _label_batches(pool, batches, moment, rng):
                yield "labels", partition, value


def _label_batches(
    pool: Pool, batches: list[tuple[bytes, int]], moment: int, rng: np.random.Generator
) -> Iterator[bytes]:
    """As many batches of labels as there were of predictions, their rows shuffled."""
    if not batches:
        return
    row_ids = np.frombuffer(b"".join(found for found, _ in batches), dtype="V16")
    label = np.concatenate([pool.label[arrow_rows(record)] for _, record in batches])
    order = rng.permutation(len(row_ids))
    for start in range(0, len(order), ARROW_ROWS):
        pick = order[start : start + ARROW_ROWS]
        columns = {
            "prediction_id": arrow_ids(row_ids[pick].tobytes()),
            "label": pa.array(label[pick]),
            "event_time_ms": pa.array(np.full(len(pick), moment, dtype=np.int64)),
        }
        yield arrow_stream(columns, {})
