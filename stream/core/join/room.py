"""Bounds: a task keeps so many rows and no more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s

__all__ = ["beyond"]


def beyond(count: Callable[[int], int], limit: int, task: npt.NDArray[np.int32]) -> Int64s:
    """The numbers of those rows for which their tasks have no room, were all to be kept.

    `count` tells how many rows a task keeps already.
    """
    if not len(task):
        return np.zeros(0, dtype=np.int64)
    refused = []
    wanted = np.bincount(task)
    for number in np.flatnonzero(wanted).tolist():
        room = max(0, limit - count(number))
        if wanted[number] > room:
            refused.append(np.flatnonzero(task == number)[room:])
    return np.concatenate([np.zeros(0, dtype=np.int64), *refused])
