"""Labels that came before their predictions, or before those of a challenger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.join.archive import Archive, Archived
from stream.core.join.columns import LabelColumns
from stream.core.join.layout import EXTENT_SHIFT, WAITING, Ids, Rows, Slots
from stream.core.join.room import beyond
from stream.core.join.seen import firsts
from stream.core.join.table import Table
from stream.core.records import Int64s

__all__ = ["WaitingRoom"]

_Mask = npt.NDArray[np.bool_]
_WIDTH_MS = 60_000


class WaitingRoom:
    """Labels that wait for predictions until `early_ms` after them, at most `limit` of a task.

    table    those that had matched nothing when they came, or whose task has challengers
    archive  all others

    By their ids are found those of the table that have matched nothing yet; of a task that has
    challengers, all.
    """

    def __init__(self, early_ms: int, limit: int, archive: Archive) -> None:
        self.table = Table(WAITING, _WIDTH_MS)
        self.archive = archive
        self._early_ms = early_ms
        self._limit = limit
        self._order = 0
        self._challenged: set[int] = set()

    def seen(self, order: int) -> None:
        """Labels that come from now on come after the one of this order."""
        self._order = max(self._order, order + 1)

    def restore(self, slots: Slots) -> None:
        """Rows of a task without known challengers stand at these slots of the table."""
        if len(slots):
            rows = self.table.arena.take(slots)
            self.seen(int(rows["order"].max()))
            self.table.index.add(slots[rows["matched"] == 0])

    def count(self, task: int) -> int:
        """How many labels of a task wait."""
        return self.table.arena.count(task) + self.archive.count(task)

    def drop(self, task: int) -> None:
        """Forgets all of a task in the table."""
        self.table.drop(task)
        self._challenged.discard(task)

    def add(self, labels: LabelColumns, numbers: Int64s, matched: _Mask) -> Int64s:
        """Lets the labels of these numbers wait; the numbers of those that were refused."""
        over = beyond(self.count, self._limit, labels.task.take(numbers))
        refused = numbers.take(over)
        if len(over):
            numbers = np.delete(numbers, over)
        order = self._order + np.arange(len(matched))
        self._order += len(matched)
        apart = matched.take(numbers)
        if self._challenged:
            apart &= self._asleep(labels.task.take(numbers))
        if len(numbers) == len(matched) and apart.all():
            self.archive.add(Archived(labels, order), labels.time_ms + self._early_ms)
            return refused
        others = numbers[apart]
        taken = labels.take(others)
        self.archive.add(Archived(taken, order.take(others)), taken.time_ms + self._early_ms)
        self._hold(labels, numbers[~apart], matched, order)
        return refused

    def challenge(self, task: int) -> None:
        """From now on every label of the task is looked up by id, those in the archive too."""
        if task in self._challenged:
            return
        self._challenged.add(task)
        slots = self.table.slots_of(task)
        self.table.index.add(slots[self.table.arena.rows["matched"][slots] != 0])
        found = self.archive.open(task)
        if found is not None:
            every = np.arange(len(found.order))
            self._hold(found.labels, every, np.ones(len(every), dtype=np.bool_), found.order)

    def _hold(self, labels: LabelColumns, numbers: Int64s, matched: _Mask, order: Int64s) -> None:
        """Puts the labels of these numbers into the table."""
        arena, until_ms = self.table.arena, labels.time_ms.take(numbers) + self._early_ms
        slots = arena.reserve(labels.task.take(numbers), until_ms).taken()
        _write(arena.rows, labels, numbers, matched, slots, order)
        self.table.index.add(slots)

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
        arena = self.table.arena
        arena.rows["matched"][slots] = 1
        self.table.touch(slots)
        if self._challenged:
            slots = slots[self._asleep(arena.owner.take(slots >> EXTENT_SHIFT))]
        self.table.index.remove(slots)

    def _asleep(self, task: npt.NDArray[np.int32]) -> _Mask:
        """Whether a label that has matched, of each task (n,), is not to be found any more."""
        return np.isin(task, list(self._challenged), invert=True)


@compiled
def _write(
    rows: Rows, labels: LabelColumns, numbers: Int64s, matched: _Mask, slots: Slots, order: Int64s
) -> None:
    """Writes the labels of these numbers to slots."""
    _, ids, time_ms, watermark_ms, form, bits, model, late, offset = labels
    for i in range(len(numbers)):
        label = numbers[i]
        row = rows[slots[i]]
        row["first"], row["second"] = ids[label, 0], ids[label, 1]
        row["model"], row["time"] = model[label], time_ms[label]
        row["watermark"], row["bits"] = watermark_ms[label], bits[label]
        row["offset"], row["order"] = offset[label], order[label]
        row["form"], row["late"] = form[label], late[label]
        row["matched"] = matched[label]
