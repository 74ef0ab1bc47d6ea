"""Predictions that arrive: which are new, and the keeping of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.join.cohorts import CohortColumns
from stream.core.join.index import hash_ids
from stream.core.join.layout import PENDING, Slots
from stream.core.join.room import beyond
from stream.core.join.settle import time_of
from stream.core.join.table import Table
from stream.core.outcomes import PredictionRows
from stream.core.records import Int64s

__all__ = ["Keeper"]

_Mask = npt.NDArray[np.bool_]
_CELLS = 1 << 18


class Keeper:
    """Puts new predictions into a table of pending ones, at most `limit` of a task."""

    def __init__(self, pending: Table, cohorts: CohortColumns, limit: int) -> None:
        self._pending = pending
        self._cohorts = cohorts
        self._limit = limit
        self._cells = np.zeros(_CELLS, dtype=np.int32)

    def keep(self, rows: PredictionRows, duplicate: _Mask, unkept: _Mask) -> tuple[Int64s, Slots]:
        """Keeps the rows that are new: their numbers and slots; marks all others.

        Rows with one id and model@version fall into one cell, the earliest of a cell goes in,
        and the others look again at what is there then: few rounds, whatever the rows.
        """
        cells = hash_ids(rows.ids) ^ rows.task
        cells ^= self._cohorts.key.take(rows.cohort).astype(np.int64) * 0x9E37_79B1
        cells &= _CELLS - 1
        numbers, slots = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        left = np.arange(len(rows))
        while len(left):
            self._mark(rows, left, duplicate)
            left = left[~duplicate.take(left)]
            mine = cells.take(left)
            self._cells[mine[::-1]] = left[::-1]
            first = self._cells.take(mine) == left
            new, left = left[first], left[~first]
            refused = beyond(self._pending.arena, self._limit, rows.task.take(new))
            unkept[new.take(refused)] = True
            new = np.delete(new, refused) if len(refused) else new
            numbers.append(new)
            slots.append(self._insert(rows, new))
        return np.concatenate(numbers), np.concatenate(slots)

    def _mark(self, rows: PredictionRows, left: Int64s, duplicate: _Mask) -> None:
        """Marks the rows that a kept one of their model@version and id makes duplicates."""
        who, _, found = self._pending.index.find(rows.ids.take(left, axis=0), rows.task.take(left))
        if not len(who):
            return
        at, cohort = left.take(who), found["cohort"]
        again = self._cohorts.key.take(cohort) == self._cohorts.key.take(rows.cohort.take(at))
        until_ms = time_of(found) + self._cohorts.horizon_ms.take(cohort)
        again &= rows.time_ms.take(at) <= until_ms
        duplicate[at[again]] = True

    def _insert(self, rows: PredictionRows, numbers: Int64s) -> Slots:
        time_ms, cohort = rows.time_ms.take(numbers), rows.cohort.take(numbers)
        kept = np.zeros(len(numbers), dtype=PENDING)
        kept["ids"] = rows.ids.take(numbers, axis=0)
        kept["cohort"] = cohort
        kept["code"] = rows.code.take(numbers)
        kept["value"] = rows.value.take(numbers)
        kept["time_low"] = time_ms & 0xFFFF_FFFF
        kept["time_high"] = time_ms >> 32
        until_ms = time_ms + self._cohorts.horizon_ms.take(cohort)
        slots = self._pending.insert(kept, rows.task.take(numbers), until_ms)
        if rows.extras is not None:
            self._pending.keep_extras(slots, [rows.extras[i] for i in numbers.tolist()])
        return slots
