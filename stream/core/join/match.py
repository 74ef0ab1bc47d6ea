"""Which predictions a label speaks of."""

from __future__ import annotations

import numpy as np

from stream.core.join.cohorts import CohortColumns
from stream.core.join.layout import Rows, Slots
from stream.core.join.settle import time_of
from stream.core.join.table import Table
from stream.core.outcomes import LabelRows
from stream.core.records import Int64s

__all__ = ["match"]

_Pairs = tuple[Int64s, Slots, Rows]


def match(
    pending: Table,
    cohorts: CohortColumns,
    early_ms: int,
    labels: LabelRows,
) -> _Pairs:
    """The pairs of labels and kept predictions: the label's number, the slot, the row.

    A label matches a prediction of its id and task if it came at most the horizon after it and
    at most `early_ms` before it, and names its model or none; of several predictions of one
    model@version, the earliest such.
    """
    who, slots, rows = pending.index.find(labels.ids, labels.task)
    if not len(who):
        return who, slots, rows
    predicted_ms, labelled_ms = time_of(rows), labels.time_ms.take(who)
    cohort, named = rows["cohort"], labels.model.take(who)
    good = labelled_ms <= predicted_ms + cohorts.horizon_ms.take(cohort)
    good &= predicted_ms <= labelled_ms + early_ms
    good &= (named < 0) | (cohorts.name.take(cohort) == named)
    if not good.all():
        chosen = np.flatnonzero(good)
        who, slots, rows = who.take(chosen), slots.take(chosen), rows.take(chosen)
    return _earliest(who, slots, rows, cohorts)


def _earliest(who: Int64s, slots: Slots, rows: Rows, cohorts: CohortColumns) -> _Pairs:
    if not (who[1:] == who[:-1]).any():
        return who, slots, rows
    key = cohorts.key.take(rows["cohort"])
    order = np.lexsort((time_of(rows), key, who))
    again = (np.diff(who.take(order)) == 0) & (np.diff(key.take(order)) == 0)
    chosen = order[np.r_[True, ~again]]
    return who.take(chosen), slots.take(chosen), rows.take(chosen)
