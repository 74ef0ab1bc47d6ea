"""Labels that came before their predictions, or before those of a challenger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.join.layout import WAITING, Ids, Slots
from stream.core.join.room import beyond
from stream.core.join.table import Table
from stream.core.outcomes import LabelRows

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

    def add(self, rows: LabelRows, wanted: _Mask, matched: _Mask) -> _Mask:
        """Lets the wanted rows wait; which of them were refused."""
        refused = np.zeros(len(rows), dtype=np.bool_)
        numbers = np.flatnonzero(wanted)
        over = beyond(self.table.arena, self._limit, rows.task.take(numbers))
        if len(over):
            refused[numbers.take(over)] = True
            numbers = np.delete(numbers, over)
        if not len(numbers):
            return refused
        kept = np.zeros(len(numbers), dtype=WAITING)
        kept["ids"] = rows.ids.take(numbers, axis=0)
        kept["model"] = rows.model.take(numbers)
        kept["time"] = rows.time_ms.take(numbers)
        kept["watermark"] = rows.watermark_ms.take(numbers)
        kept["bits"] = rows.bits.take(numbers)
        kept["offset"] = rows.offset.take(numbers)
        kept["order"] = np.arange(self._order, self._order + len(numbers))
        kept["form"] = rows.form.take(numbers)
        kept["late"] = rows.late.take(numbers)
        kept["matched"] = matched.take(numbers)
        self._order += len(numbers)
        self.table.insert(kept, rows.task.take(numbers), kept["time"] + self._early_ms)
        return refused

    def meeting(self, ids: Ids, task: npt.NDArray[np.int32]) -> tuple[Slots, LabelRows]:
        """The labels that wait for these ids, and their slots; a task's in the order they came."""
        who, slots, rows = self.table.index.find(ids, task)
        # One label is found by each prediction of its id. Tasks that came from several workers
        # may have the same orders.
        _, chosen = np.unique(slots, return_index=True)
        chosen = chosen.take(np.argsort(rows["order"].take(chosen), kind="stable"))
        slots, rows = slots.take(chosen), rows.take(chosen)
        return slots, LabelRows(
            task=task.take(who.take(chosen)),
            ids=rows["ids"],
            time_ms=rows["time"],
            watermark_ms=rows["watermark"],
            form=rows["form"],
            bits=rows["bits"],
            model=rows["model"],
            late=rows["late"].astype(np.bool_),
            offset=rows["offset"],
        )

    def mark(self, slots: Slots, task: npt.NDArray[np.int32]) -> None:
        """These have matched something."""
        self.table.arena.column("matched")[slots] = 1
        self.table.touch(task, slots)
