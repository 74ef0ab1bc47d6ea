"""Decoded rows that joins, segments and serving metrics look at."""

from __future__ import annotations

import numpy as np

from stream.core.records import Batch, Int64s, ModelKey, RawBatch, Served

__all__ = ["PANE", "batch", "panes", "raw", "served"]

PANE = 60_000


def served(count: int, seed: int = 0) -> Served:
    rng = np.random.default_rng(seed)
    return Served(
        rng.integers(0, 2**64, (count, 2), dtype=np.uint64),
        np.zeros(count, dtype=np.uint8),
        np.zeros(count, dtype=np.uint64),
        np.zeros(count),
    )


def batch(entries: list[int]) -> Batch:
    count = len(entries)
    index = np.arange(count, dtype=np.int32)
    return Batch(
        index,
        np.zeros(count, dtype=np.int32),
        np.array(entries, dtype=np.int32),
        np.zeros(count, dtype=np.int64),
        np.full(count, 3, dtype=np.uint8),
        np.zeros((0, count)),
        np.zeros((0, count), dtype=np.int64),
        served=served(count),
    )


def raw(model: ModelKey, count: int) -> RawBatch:
    rows = batch([0] * count)
    return RawBatch(model, rows.record, rows.row, rows.event_time_ms, rows.carries, {}, rows.served)


def panes(*numbers: int) -> Int64s:
    return np.array(numbers, dtype=np.int64) * PANE
