"""Predictions that arrive: which are new, and the keeping of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.join.chains import keep
from stream.core.join.cohorts import CohortColumns
from stream.core.join.columns import PredictionColumns, Spare
from stream.core.join.layout import Slots
from stream.core.join.table import Table
from stream.core.outcomes import PredictionRows
from stream.core.records import Int64s

__all__ = ["Keeper", "Kept"]

_Mask = npt.NDArray[np.bool_]
_KEPT, _DUPLICATE, _UNKEPT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of n predictions.

    numbers     (k,) of those that are kept, ascending, and their slots
    duplicate   (n,) bool
    unkept      (n,) bool   there was no room
    challenged  tasks that got a second prediction of an id
    """

    numbers: Int64s
    slots: Slots
    duplicate: _Mask
    unkept: _Mask
    challenged: Sequence[int]


class Keeper:
    """Puts new predictions into a table of pending ones, at most `limit` of a task."""

    def __init__(self, pending: Table, cohorts: CohortColumns, limit: int) -> None:
        self._pending = pending
        self._cohorts = cohorts
        self._limit = limit

    def keep(self, rows: PredictionRows) -> Kept:
        """Keeps the rows that are new.

        A row is a duplicate of a kept one, or of one before it, with its task, model@version and
        id if it came at most the horizon after it.
        """
        arena, index = self._pending.arena, self._pending.index
        columns = PredictionColumns.of(rows)
        room = self._limit - arena.counts(int(rows.task.max(initial=0)) + 1)
        joined = np.zeros(len(room), dtype=np.uint8)
        until_ms = columns.time_ms + self._cohorts.horizon_ms.take(columns.cohort)
        places = arena.reserve(columns.task, until_ms)
        index.make_room()
        fate, kept = np.zeros(len(rows), dtype=np.uint8), np.empty(len(rows), dtype=np.int64)
        spare = Spare(places.group, places.next, places.slots)
        keep(index.chains, columns, self._cohorts.table, spare, room, fate, kept, joined)
        arena.confirm(places)
        numbers = np.flatnonzero(fate == _KEPT)
        slots = kept.take(numbers)
        if rows.extras is not None:
            self._pending.keep_extras(slots, [rows.extras[i] for i in numbers.tolist()])
        challenged = np.flatnonzero(joined).tolist()
        return Kept(numbers, slots, fate == _DUPLICATE, fate == _UNKEPT, challenged)
