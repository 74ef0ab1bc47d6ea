"""Where the fold's codes belong in the count vectors of all profiles, in one table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.pane.binning import region_slots
from stream.core.records import Int64s
from stream.core.specs import Profile

__all__ = ["ABSENT", "Slots"]

ABSENT = np.uint32(0xFFFFFFFF)  # the slot of a variable that a row doesn't carry


class Slots:
    """The slots of each catalog entry's codes; entries are added in the catalog's order.

    A profile's codes are the fold's internal ones, 0 to width - 1 (`binning.region_slots`), and
    width for a variable that a row doesn't carry. `width` and `base` are (entries,) int64: the
    entry's slot of code c is `flat[base + c]`, a uint32, ABSENT for code width.
    """

    def __init__(self) -> None:
        self._tables: list[npt.NDArray[np.uint32]] = []
        self._codes: list[Int64s] = []
        self.flat = np.zeros(0, dtype=np.uint32)
        self.base: Int64s = np.zeros(0, dtype=np.int64)
        self.width: Int64s = np.zeros(0, dtype=np.int64)

    def extend(self, profiles: list[Profile]) -> None:
        """Adds the next entries."""
        if not profiles:
            return
        for profile in profiles:
            slots = region_slots(profile)
            self._tables.append(np.append(slots, int(ABSENT)).astype(np.uint32))
            self._codes.append(np.argsort(slots))
        self.flat = np.concatenate(self._tables)
        places = np.array([len(table) for table in self._tables], dtype=np.int64)
        self.base = np.cumsum(places) - places
        self.width = places - 1

    def codes(self, entry: int) -> Int64s:
        """The code of each of an entry's slots, (width,)."""
        return self._codes[entry]
