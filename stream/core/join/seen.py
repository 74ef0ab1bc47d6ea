"""Sets of slots, mostly as bits, one a row of an arena: exact, and without sorting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.join.layout import EXTENT_SHIFT, Slots
from stream.core.records import Int64s

__all__ = ["among", "firsts", "known"]

_Bits = npt.NDArray[np.uint8]


def firsts(slots: Slots, rows: int) -> Int64s:
    """Where each of the slots stands for the first time; `rows` is what slots are below."""
    places = np.empty(len(slots), dtype=np.int64)
    return places[: _firsts(slots, _none(rows), places)]


def among(slots: Slots, others: Slots, rows: int) -> Int64s:
    """Where slots stand that are among the others; `rows` is what both are below."""
    places = np.empty(len(slots), dtype=np.int64)
    return places[: _among(slots, others, _none(rows), places)]


def known(slots: Slots, told: _Bits) -> Slots:
    """Those of the slots that are among the first `told` (E,) rows of their extents."""
    found = np.empty(len(slots), dtype=np.int64)
    return found[: _known(slots, told, found)].copy()


def _none(rows: int) -> _Bits:
    return np.zeros((rows >> 3) + 1, dtype=np.uint8)


@compiled
def _firsts(slots: Slots, seen: _Bits, places: Int64s) -> int:
    count = 0
    for i in range(len(slots)):
        byte, bit = slots[i] >> 3, np.uint8(1 << (slots[i] & 7))
        if not seen[byte] & bit:
            seen[byte] |= bit
            places[count] = i
            count += 1
    return count


@compiled
def _among(slots: Slots, others: Slots, seen: _Bits, places: Int64s) -> int:
    for slot in others:
        seen[slot >> 3] |= np.uint8(1 << (slot & 7))
    count = 0
    for i in range(len(slots)):
        if seen[slots[i] >> 3] & np.uint8(1 << (slots[i] & 7)):
            places[count] = i
            count += 1
    return count


@compiled
def _known(slots: Slots, told: _Bits, found: Slots) -> int:
    count = 0
    for slot in slots:
        if (slot & ((1 << EXTENT_SHIFT) - 1)) < told[slot >> EXTENT_SHIFT]:
            found[count] = slot
            count += 1
    return count
