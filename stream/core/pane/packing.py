"""Whole numbers as bytes: columns as distances from their least, counts by the bytes they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.pane.payload import NONE, Payload, spread, starts_of
from stream.core.records import Int64s

__all__ = [
    "COUNTS",
    "PLACES",
    "Steps",
    "item_sizes",
    "pack_column",
    "pack_items",
    "unpack_column",
    "unpack_items",
]

Steps = tuple[tuple[int, str], ...]  # bytes an item, and the column that holds such items
PLACES: Steps = ((2, "places2"), (4, "places4"))  # unsigned
COUNTS: Steps = ((1, "counts1"), (2, "counts2"), (4, "counts4"), (8, "counts8"))  # signed


def pack_column(column: Int64s) -> dict[str, Any]:
    """The column as its least value and what is added to it, of as few bytes as suffice."""
    base = int(column.min()) if len(column) else 0
    most = int(column.max()) - base if len(column) else 0
    size = next(size for size in (0, 1, 2, 4, 8) if most < 1 << (8 * size))
    values = (column - base).astype(f"<u{size}").tobytes() if size else b""
    return {"base": base, "size": size, "length": len(column), "values": values}


def unpack_column(packed: Mapping[str, Any], most: int) -> Int64s:
    """The column again, of at most so many values; raises ValueError or TypeError for others."""
    base, size, length = packed["base"], packed["size"], packed["length"]
    if not 0 <= length <= most:
        raise ValueError(f"a partial's column says that it has {length} values")
    if not size:
        return np.full(length, base, dtype=np.int64)
    values = np.frombuffer(packed["values"], dtype=f"<u{size}")
    if len(values) != length:
        raise ValueError(f"a partial's column has {len(values)} values, not {length}")
    column: Int64s = values.astype(np.int64) + base
    return column


def item_sizes(payload: Payload) -> npt.NDArray[np.int64]:
    """How many bytes each group's places and counts take an item, (2, n); 0 where it has none."""
    sizes = np.zeros((2, len(payload.length)), dtype=np.int64)
    for row, values, start, steps, signed in (
        (0, payload.places, payload.place_start, PLACES, 0),
        (1, payload.counts, payload.count_start, COUNTS, 1),
    ):
        having = np.flatnonzero(start != NONE)
        most = _largest(values, start[having], payload.length[having])
        limits = np.array([1 << (8 * size - signed) for size, _ in steps[:-1]])
        item_bytes = np.array([size for size, _ in steps])
        sizes[row, having] = item_bytes[np.searchsorted(limits, most, side="right")]
    return sizes


def _largest(values: npt.NDArray[np.integer[Any]], start: Int64s, length: Int64s) -> Int64s:
    """The largest magnitude in each stretch, as x or -x - 1; 0 of an empty one."""
    most = np.zeros(len(start), dtype=np.int64)
    full = length > 0
    if bool(full.any()):
        # Stretches stand one after another (Payload), so one's end is the next one's start.
        at = start[full]
        high = np.maximum.reduceat(values, at)
        most[full] = high
        if values.dtype.kind == "i":
            low = np.minimum.reduceat(values, at).astype(np.int64)
            most[full] = np.maximum(most[full], ~low)
    return most


def pack_items(
    values: npt.NDArray[np.integer[Any]],
    length: Int64s,
    size: Int64s,
    steps: Steps,
) -> dict[str, bytes]:
    """The values by the bytes that their groups' items take."""
    having = size > 0
    length, size = length[having], size[having]
    mixed = bool((size != size[:1]).any())
    size_of = np.repeat(size, length) if mixed else None
    kind = "u" if steps is PLACES else "i"
    found = {}
    for item_bytes, name in steps:
        if size_of is None:
            mine = values if len(size) and size[0] == item_bytes else values[:0]
        else:
            mine = values[size_of == item_bytes]
        found[name] = mine.astype(f"<{kind}{item_bytes}").tobytes()
    return found


def unpack_items(
    record: Mapping[str, Any],
    length: Int64s,
    size: Int64s,
    steps: Steps,
) -> npt.NDArray[Any]:
    """The values of all groups that have some, one after another, in the smallest type."""
    start = starts_of(length, size > 0)
    kind = "u" if steps is PLACES else "i"
    sections = {
        item_bytes: np.frombuffer(record[name], dtype=f"<{kind}{item_bytes}")
        for item_bytes, name in steps
    }
    for item_bytes, values in sections.items():
        if len(values) != int(length[size == item_bytes].sum()):
            raise ValueError(
                f"a partial has {len(values)} items of {item_bytes} bytes, not as said"
            )
    if int(length[size > 0].sum()) != sum(map(len, sections.values())):
        raise ValueError("a partial has items of an unknown size")
    full = [values for values in sections.values() if len(values)]
    if len(full) <= 1:
        return full[0] if full else sections[steps[0][0]]
    values = np.empty(sum(map(len, full)), dtype=np.result_type(*full))
    for item_bytes, part in sections.items():
        mine = size == item_bytes
        values[spread(start[mine], length[mine])] = part
    return values
