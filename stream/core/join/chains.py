"""Rows by id, in chains: the compiled loops that hang rows in, look them up and take them out.

A table's rows lie in an arena; those of one cell form a chain through their field `next`, and
`Chains.heads` holds the first of each. Which cells there are is the business of `index`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.columns import Chains, CohortTable, LabelColumns, PredictionColumns, Spare
from stream.core.join.compiled import compiled
from stream.core.join.layout import EXTENT_SHIFT, Ids, Rows, Slots
from stream.core.records import Int64s

__all__ = ["NONE", "find", "hang", "hold", "keep", "match", "split", "unhang"]

_Int32s = npt.NDArray[np.int32]
_Bytes = npt.NDArray[np.uint8]

NONE = np.uint32(0xFFFF_FFFF)
_BLOCK = 128  # ids whose chains are followed together
_STEPS = 4
_HALF = np.uint64(32)
_MIX, _STIR = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xD6E8_FEB8_6659_FD93)


@compiled
def _cell(first: np.uint64, second: np.uint64, size: int, bits: int) -> np.int64:
    """The cell of an id: 31 well-mixed bits, of which the table uses what it has cells for."""
    mixed = first * _MIX
    mixed ^= mixed >> _HALF
    mixed += second
    mixed *= _STIR
    mixed ^= mixed >> _HALF
    mixed *= _STIR
    hashed = np.int64(mixed >> np.uint64(33))
    low = hashed & ((2 << bits) - 1)
    return low if low < size else low & ((1 << bits) - 1)


@compiled
def _time_of(row: Any) -> np.int64:
    return np.int64(row["time_low"]) | (np.int64(row["time_high"]) << 32)


@compiled
def _is(row: Any, first: np.uint64, second: np.uint64) -> bool:
    return bool(row["first"] == first and row["second"] == second)


@compiled
def _walk(rows: Rows, at: Slots) -> None:
    """Walks down chains from the slots `at`, so that their rows are near then.

    A step is taken in all of them before the next one: the machine waits for many rows of its
    memory at once, not for each.
    """
    for _ in range(_STEPS):
        for j in range(len(at)):
            if at[j] != NONE:
                at[j] = rows[at[j]]["next"]


@compiled
def _reach(table: Chains, ids: Ids, start: int, cells: Slots, at: Slots) -> int:
    """Fills in the cells of some ids from `start` on, and walks down there; for how many."""
    count = min(len(cells), len(ids) - start)
    for j in range(count):
        cells[j] = _cell(ids[start + j, 0], ids[start + j, 1], table.size, table.bits)
    for j in range(count):
        at[j] = table.heads[cells[j]]
    _walk(table.rows, at[:count])
    return count


@compiled
def hang(table: Chains, slots: Slots) -> None:
    """Takes in rows that stand at these slots."""
    rows, heads = table.rows, table.heads
    for slot in slots:
        row = rows[slot]
        cell = _cell(row["first"], row["second"], table.size, table.bits)
        row["next"] = heads[cell]
        heads[cell] = slot


@compiled
def unhang(table: Chains, slots: Slots) -> None:
    """Takes out rows that stand at these slots."""
    rows, heads = table.rows, table.heads
    for slot in slots:
        row = rows[slot]
        cell = _cell(row["first"], row["second"], table.size, table.bits)
        here = heads[cell]
        if here == slot:
            heads[cell] = row["next"]
            continue
        while here != NONE:
            following = rows[here]["next"]
            if following == slot:
                rows[here]["next"] = row["next"]
                break
            here = following


@compiled
def split(table: Chains, more: int) -> None:
    """Splits so many cells, none of a level that isn't whole: their rows hang where they belong."""
    rows, heads = table.rows, table.heads
    rows, heads, level = table.rows, table.heads, 1 << table.bits
    at = np.empty(_BLOCK, dtype=np.int64)
    for new in range(table.size, table.size + more):
        old, ahead = new - level, (new - table.size) % _BLOCK
        if ahead == 0:
            count = min(_BLOCK, table.size + more - new)
            for j in range(count):
                at[j] = heads[old + j]
            _walk(rows, at[:count])
        slot = heads[old]
        heads[old] = heads[new] = NONE
        while slot != NONE:
            row = rows[slot]
            following = row["next"]
            cell = _cell(row["first"], row["second"], new + 1, table.bits)
            row["next"] = heads[cell]
            heads[cell] = slot
            slot = following


@compiled
def find(
    table: Chains, ids: Ids, task: _Int32s, who: Int64s, slots: Slots, start: int
) -> tuple[int, int]:
    """Every row that has one of the ids from `start` on: the id's number, the row's slot.

    Returns where it stopped, since there was no room for an id's rows, and how many it found.
    """
    rows, heads, owner = table.rows, table.heads, table.owner
    cells, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    count = 0
    for head in range(start, len(ids), _BLOCK):
        for j in range(_reach(table, ids, head, cells, at)):
            i, begin = head + j, count
            first, second = ids[i, 0], ids[i, 1]
            slot = np.int64(heads[cells[j]])
            while slot != NONE:
                row = rows[slot]
                if _is(row, first, second) and owner[slot >> EXTENT_SHIFT] == task[i]:
                    if count == len(who):
                        return i, begin
                    who[count], slots[count] = i, slot
                    count += 1
                slot = np.int64(row["next"])
    return len(ids), count


@compiled
def keep(
    table: Chains,
    new: PredictionColumns,
    cohorts: CohortTable,
    spare: Spare,
    room: Int64s,
    fate: _Bytes,
    kept: Slots,
) -> None:
    """Keeps predictions that are new: the slot of each; `fate` is 1 for duplicates, 2 for unkept.

    `room` (T,) is how many more rows each task may keep.
    """
    rows, heads, owner = table.rows, table.heads, table.owner
    tasks, ids, cohort, times_ms, code, value = new
    horizon_ms, keys = cohorts.horizon_ms, cohorts.key
    groups, following, free = spare.group, spare.next, spare.slots
    cells, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    for head in range(0, len(ids), _BLOCK):
        for j in range(_reach(table, ids, head, cells, at)):
            i, cell = head + j, cells[j]
            first, second, task = ids[i, 0], ids[i, 1], tasks[i]
            key, time_ms = keys[cohort[i]], times_ms[i]
            here = heads[cell]
            while here != NONE:
                row = rows[here]
                if _is(row, first, second) and owner[here >> EXTENT_SHIFT] == task:
                    until_ms = _time_of(row) + horizon_ms[row["cohort"]]
                    if keys[row["cohort"]] == key and time_ms <= until_ms:
                        break
                here = row["next"]
            if here != NONE:
                fate[i] = 1
                continue
            if room[task] <= 0:
                fate[i] = 2
                continue
            room[task] -= 1
            slot = free[following[groups[i]]]
            following[groups[i]] += 1
            kept[i] = slot
            row = rows[slot]
            row["first"], row["second"] = first, second
            row["cohort"], row["code"], row["value"] = cohort[i], code[i], value[i]
            row["bits"] = row["delay_low"] = row["delay_high"] = row["state"] = 0
            row["time_low"], row["time_high"] = time_ms & 0xFFFF_FFFF, time_ms >> 32
            row["next"] = heads[cell]
            heads[cell] = slot


@compiled
def match(
    table: Chains,
    labels: LabelColumns,
    cohorts: CohortTable,
    early_ms: int,
    who: Int64s,
    slots: Slots,
    start: int,
) -> tuple[int, int]:
    """The predictions that labels from `start` on speak of (`match.match`); returns as `find`."""
    rows, heads, owner = table.rows, table.heads, table.owner
    task, ids, times_ms, model = labels.task, labels.ids, labels.time_ms, labels.model
    horizon_ms, key, name = cohorts.horizon_ms, cohorts.key, cohorts.name
    cells, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    count = 0
    for head in range(start, len(ids), _BLOCK):
        for j in range(_reach(table, ids, head, cells, at)):
            i, begin = head + j, count
            first, second, labelled_ms = ids[i, 0], ids[i, 1], times_ms[i]
            slot = np.int64(heads[cells[j]])
            while slot != NONE:
                here, row = slot, rows[slot]
                slot = np.int64(row["next"])
                if not _is(row, first, second) or owner[here >> EXTENT_SHIFT] != task[i]:
                    continue
                time_ms, cohort = _time_of(row), row["cohort"]
                if labelled_ms > time_ms + horizon_ms[cohort] or time_ms > labelled_ms + early_ms:
                    continue
                if model[i] >= 0 and name[cohort] != model[i]:
                    continue
                place = begin
                while place < count and key[rows[slots[place]]["cohort"]] != key[cohort]:
                    place += 1
                if place < count:
                    if time_ms < _time_of(rows[slots[place]]):
                        slots[place] = here
                    continue
                if count == len(who):
                    return i, begin
                who[count], slots[count] = i, here
                count += 1
    return len(ids), count


@compiled
def hold(
    table: Chains,
    labels: LabelColumns,
    numbers: Int64s,
    matched: npt.NDArray[np.bool_],
    slots: Slots,
    order: int,
) -> None:
    """Writes the labels of these numbers to slots, the first one as number `order`."""
    rows, heads = table.rows, table.heads
    _, ids, time_ms, watermark_ms, form, bits, model, late, offset = labels
    for i in range(len(numbers)):
        label = numbers[i]
        first, second = ids[label, 0], ids[label, 1]
        row = rows[slots[i]]
        row["first"], row["second"] = first, second
        row["model"], row["time"] = model[label], time_ms[label]
        row["watermark"], row["bits"] = watermark_ms[label], bits[label]
        row["offset"], row["order"] = offset[label], order + i
        row["form"], row["late"] = form[label], late[label]
        row["matched"] = matched[label]
        cell = _cell(first, second, table.size, table.bits)
        row["next"] = heads[cell]
        heads[cell] = slots[i]
