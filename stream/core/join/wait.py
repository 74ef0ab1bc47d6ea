"""Labels that came before their predictions, or before those of a challenger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.join.chains import hold
from stream.core.join.columns import LabelColumns
from stream.core.join.layout import WAITING, Ids, Slots
from stream.core.join.room import beyond
from stream.core.join.seen import firsts
from stream.core.join.table import Table
from stream.core.records import Int64s

__all__ = ["WaitingRoom"]

_Mask = npt.NDArray[np.bool_]
_WIDTH_MS = 60_000


class WaitingRoom:
    """Labels that wait for predictions until `early_ms` after them, at most `limit` of a task."""

    def __init__(self, early_ms: int, limit: int) -> None:
        self.table = Table(WAITING, _WIDTH_MS)
        self._early_ms = early_ms
        self._limit = limit
        self._order = 0

    def seen(self, order: int) -> None:
        """Labels that come from now on come after the one of this order."""
        self._order = max(self._order, order + 1)

    def add(self, labels: LabelColumns, numbers: Int64s, matched: _Mask) -> Int64s:
        """Lets the labels of these numbers wait; the numbers of those that were refused."""
        task = labels.task.take(numbers)
        over = beyond(self.table.arena, self._limit, task)
        refused = numbers.take(over)
        if len(over):
            numbers, task = np.delete(numbers, over), np.delete(task, over)
        arena, index = self.table.arena, self.table.index
        places = arena.reserve(task, labels.time_ms.take(numbers) + self._early_ms)
        index.make_room()
        hold(index.chains, labels, numbers, matched, places.taken(), self._order)
        self._order += len(numbers)
        return refused

    def meeting(self, ids: Ids, task: npt.NDArray[np.int32]) -> tuple[Slots, LabelColumns]:
        """The labels that wait for these ids, and their slots; a task's in the order they came."""
        who, slots = self.table.index.find(ids, task)
        # One label is found by each prediction of its id. Tasks that came from several workers
        # may have the same orders.
        chosen = firsts(slots, len(self.table.arena.rows))
        slots = slots.take(chosen)
        rows = self.table.arena.take(slots)
        order = np.lexsort((slots, rows["order"]))
        slots, rows, chosen = slots.take(order), rows.take(order), chosen.take(order)
        return slots, LabelColumns(
            task=task.take(who.take(chosen)),
            ids=np.stack([rows["first"], rows["second"]], axis=1),
            time_ms=rows["time"].copy(),
            watermark_ms=rows["watermark"].copy(),
            form=rows["form"].copy(),
            bits=rows["bits"].copy(),
            model=rows["model"].copy(),
            late=rows["late"].astype(np.bool_),
            offset=rows["offset"].copy(),
        )

    def mark(self, slots: Slots) -> None:
        """These have matched something."""
        self.table.arena.rows["matched"][slots] = 1
        self.table.touch(slots)
