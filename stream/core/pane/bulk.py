"""Counts of many rows of one profile, a variable at a time: no codes of rows are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.core.pane.binning import Table
from stream.core.records import Batch, Int64s
from stream.core.specs import Profile

__all__ = ["counted"]

_Item = TypeVar("_Item", bound=np.generic)


def counted(profile: Profile, tables: Sequence[Table], batches: Sequence[Batch]) -> Int64s:
    """How often each internal code occurs in rows that carry everything, (width + 1,) int64.

    `tables` are those of the profile's numeric variables, in its order.
    """
    counts = np.zeros(profile.width + 1, dtype=np.int64)
    own: Int64s
    for number, start in enumerate(profile.starts[:-1].tolist()):
        place = number - len(tables)
        if place < 0:
            own = tables[number].counts(_joined([batch.numeric[number] for batch in batches]))
        else:
            own = np.bincount(_joined([batch.codes[place] for batch in batches]))
        counts[start : start + len(own)] = own
    return counts


def _joined(parts: Sequence[npt.NDArray[_Item]]) -> npt.NDArray[_Item]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
