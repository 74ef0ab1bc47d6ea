"""What the join counts, a task: for metrics, not for windows."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import numpy as np
import numpy.typing as npt

__all__ = ["JoinEvent", "Tally", "count"]


class JoinEvent(StrEnum):
    """What became of a row, or of a label and one of its predictions. Metrics carry the names."""

    DUPLICATE = "duplicate"  # a prediction that was there before
    UNKEPT = "unkept"  # a prediction beyond `max_pending`
    JOINED = "joined"  # a prediction's first label
    NULL_FIRST = "null_first"  # a retraction of what was never labelled
    DUPLICATE_LABEL = "duplicate_label"  # the value that is in force already
    CORRECTION = "correction"  # another value, in time
    CORRECTION_LATE = "correction_late"  # another value, after the outcome's pane
    UNMATCHED = "unmatched"  # a label that waited in vain
    REFUSED = "refused"  # a label beyond `max_waiting`: it doesn't wait


Tally = Counter[tuple[int, JoinEvent]]


def count(tally: Tally, event: JoinEvent, tasks: npt.NDArray[np.int32]) -> None:
    """Counts an event for each of these tasks."""
    if len(tasks):
        found = np.bincount(tasks)
        for task in np.flatnonzero(found).tolist():
            tally[task, event] += int(found[task])
