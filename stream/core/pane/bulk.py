"""Counts of many rows of one profile, a variable at a time: no codes of rows are kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from stream.core.pane.binning import Table
from stream.core.pane.tally import add_regions
from stream.core.records import Batch, Int64s
from stream.core.specs import Profile

__all__ = ["counted"]


def counted(profile: Profile, tables: Sequence[Table], batches: Sequence[Batch]) -> Int64s:
    """How often each internal code occurs in rows that carry everything, (width + 1,) int64.

    `tables` are those of the profile's numeric variables, in its order.
    """
    counts = np.zeros(profile.width + 1, dtype=np.int64)
    for number, (start, stop) in enumerate(pairwise(profile.starts.tolist())):
        own, place = counts[start:stop], number - len(tables)
        for batch in batches:
            if place < 0:
                add_regions(batch.numeric[number], tables[number], own)
            else:
                own += np.bincount(batch.codes[place], minlength=len(own))
    return counts
