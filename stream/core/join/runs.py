"""Columns as bytes: of one with few runs of equal values, the values and the runs' lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.records import Int64s

__all__ = ["read_column", "write_columns"]

_LENGTH = np.dtype("<u4")
_SHORTEST = 4  # mean length of the runs of a column that is written as runs
_LOOK = 64  # the first values, which say whether it is worth while to go on


def write_columns(
    columns: Sequence[npt.NDArray[Any]],
) -> tuple[list[int], list[bytes | memoryview]]:
    """The number of runs of each column, 0 of one that is written as it is; all columns' bytes.

    Columns (n,) have at least one value. Equal are values with the same bits: 0.0 and -0.0
    differ, NaN may be the same.
    """
    counts: list[int] = []
    parts: list[bytes | memoryview] = []
    for column in map(np.ascontiguousarray, columns):
        starts = _starts(column.view(f"u{column.itemsize}"))
        counts.append(0 if starts is None else len(starts))
        if starts is None:
            parts.append(column.data)
        else:
            lengths = np.diff(starts, append=len(column)).astype(_LENGTH)
            parts += [column.take(starts).data, lengths.data]
    return counts, parts


def read_column(
    value: bytes, at: int, dtype: np.dtype[Any], rows: int, runs: int
) -> tuple[npt.NDArray[Any], int]:
    """The column (rows,) whose bytes start at a byte; where they end."""
    column = np.frombuffer(value, dtype, runs or rows, at)
    at += column.nbytes
    if not runs:
        return column, at
    return np.repeat(column, np.frombuffer(value, _LENGTH, runs, at)), at + runs * _LENGTH.itemsize


def _starts(bits: npt.NDArray[Any]) -> Int64s | None:
    """Where the runs start; None where there are too many."""
    starts = np.empty(max(1, len(bits) // _SHORTEST), dtype=np.int64)
    count = _find(bits, starts)
    return starts[:count] if count else None


@compiled
def _find(bits: npt.NDArray[Any], starts: Int64s) -> int:
    """Writes where runs start, and how many do; 0 where there is no room for them."""
    starts[0], count = 0, 1
    for i in range(1, len(bits)):
        if bits[i] != bits[i - 1]:
            if count == len(starts) or (i < _LOOK and count * _SHORTEST > _LOOK):
                return 0
            starts[count] = i
            count += 1
    return count
