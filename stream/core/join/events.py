"""What the join counts, a task: for metrics, not for windows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from stream.core.outcomes import JoinEvent

__all__ = ["JoinEvent", "Tally", "count"]


Tally = Counter[tuple[int, JoinEvent]]


def count(tally: Tally, event: JoinEvent, tasks: npt.NDArray[np.int32]) -> None:
    """Counts an event for each of these tasks."""
    if len(tasks):
        found = np.bincount(tasks)
        for task in np.flatnonzero(found).tolist():
            tally[task, event] += int(found[task])
