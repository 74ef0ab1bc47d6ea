"""How a kept row lies in memory: fixed little-endian fields, one behind the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EXTENT_SHIFT", "LINK", "LONGEST_MS", "PENDING", "WAITING", "Ids", "Rows", "Slots"]

Ids = npt.NDArray[np.uint64]  # (n, 2), `ids.ids_of`
Rows = npt.NDArray[np.void]
Slots = npt.NDArray[np.int64]

EXTENT_SHIFT = 7  # an extent is so many bits' rows; a bucket leaves half of one unused
LONGEST_MS = (1 << 40) - 1  # of a delay, and so of a horizon: 34 years

# A prediction. Times have 48 bits and delays 40. `state` is 0 before the first outcome, else 1 +
# the Form in force (1: retracted); `delay` is the first outcome's, so that its time is
# `time + delay`. Nothing is padded: millions of them are kept.
PENDING: np.dtype[Any] = np.dtype(
    [
        ("first", "<u8"),
        ("second", "<u8"),
        ("cohort", "<i4"),
        ("time_low", "<u4"),
        ("time_high", "<u2"),
        ("delay_high", "u1"),
        ("state", "u1"),
        ("delay_low", "<u4"),
        ("code", "<i2"),
        ("value", "<f8"),
        ("bits", "<u8"),
    ]
)

# A label that waits for predictions still to come. `order` is its place among its task's.
WAITING: np.dtype[Any] = np.dtype(
    [
        ("first", "<u8"),
        ("second", "<u8"),
        ("model", "<i4"),
        ("time", "<i8"),
        ("watermark", "<i8"),
        ("bits", "<u8"),
        ("offset", "<i8"),
        ("order", "<i8"),
        ("form", "u1"),
        ("late", "u1"),
        ("matched", "u1"),
    ]
)

# A row's place in its chain: the slot of the next row, and the hash of its own id.
LINK: np.dtype[Any] = np.dtype([("next", "<u4"), ("hash", "<u4")])
