"""Rows by id, in chains: the compiled loops that hang rows in, look them up and take them out.

A table's rows lie in an arena; those of one cell form a chain through their links, and
`Chains.heads` holds the first of each. Which cells there are is the business of `index`.
The memory of millions of rows is far away. So a step is done for all ids of a block before the
next one: the machine then waits for many places of its memory at once, not for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.join.columns import Chains, CohortTable, LabelColumns, PredictionColumns, Spare
from stream.core.join.layout import EXTENT_SHIFT, Ids, Rows, Slots
from stream.core.records import Int64s

__all__ = ["NONE", "find", "hang", "keep", "match", "split", "unhang"]

_Int32s = npt.NDArray[np.int32]

NONE = np.uint32(0xFFFF_FFFF)
_BLOCK = 128  # ids whose chains are followed together
_STEPS = 4
_MIX, _STIR, _HALF = map(np.uint64, (0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93, 32))


@compiled
def _hash(first: np.uint64, second: np.uint64) -> np.int64:
    """31 well-mixed bits of an id."""
    mixed = first * _MIX
    mixed ^= mixed >> _HALF
    mixed += second
    mixed *= _STIR
    mixed ^= mixed >> _HALF
    mixed *= _STIR
    return np.int64(mixed >> np.uint64(33))


@compiled
def _cell(hashed: np.int64, size: int, bits: int) -> np.int64:
    """Where a hash belongs: a table uses the bits that it has cells for."""
    low = hashed & ((2 << bits) - 1)
    return low if low < size else low & ((1 << bits) - 1)


@compiled
def _time_of(row: Any) -> np.int64:
    return np.int64(row["time_low"]) | (np.int64(row["time_high"]) << 32)


@compiled
def _is(row: Any, first: np.uint64, second: np.uint64) -> bool:
    return bool(row["first"] == first and row["second"] == second)


@compiled
def _walk(links: Rows, at: Slots) -> None:
    """Walks down chains from the slots `at`, so that their links are near then."""
    for _ in range(_STEPS):
        for j in range(len(at)):
            if at[j] != NONE:
                at[j] = links[at[j]]["next"]


@compiled
def _reach(table: Chains, ids: Ids, start: int, hashes: Int64s, at: Slots) -> int:
    """The hashes of some ids from `start` on, and the first slots with these; for how many."""
    links, heads, size, bits = table.links, table.heads, table.size, table.bits
    count = min(len(hashes), len(ids) - start)
    for j in range(count):
        hashes[j] = _hash(ids[start + j, 0], ids[start + j, 1])
    for j in range(count):
        at[j] = heads[_cell(hashes[j], size, bits)]
    _walk(links, at[:count])
    for j in range(count):
        at[j] = _seek(links, heads[_cell(hashes[j], size, bits)], hashes[j])
    return count


@compiled
def _seek(links: Rows, slot: int, hashed: np.int64) -> np.int64:
    """The first slot with a hash, from one on down its chain; NONE where there is none."""
    while slot != NONE and links[slot]["hash"] != hashed:
        slot = links[slot]["next"]
    return np.int64(slot)


@compiled
def _hang(table: Chains, slot: int, hashed: np.int64) -> None:
    cell = _cell(hashed, table.size, table.bits)
    link = table.links[slot]
    link["next"], link["hash"] = table.heads[cell], hashed
    table.heads[cell] = slot
    table.counts[table.owner[slot >> EXTENT_SHIFT]] += 1


@compiled
def hang(table: Chains, slots: Slots) -> None:
    """Takes in rows that stand at these slots."""
    for slot in slots:
        row = table.rows[slot]
        _hang(table, slot, _hash(row["first"], row["second"]))


@compiled
def unhang(table: Chains, slots: Slots) -> None:
    """Takes out those of the rows at these slots that hang."""
    links, heads, owner, counts = table.links, table.heads, table.owner, table.counts
    for slot in slots:
        link = links[slot]
        cell = _cell(link["hash"], table.size, table.bits)
        here = heads[cell]
        if here == slot:
            heads[cell] = link["next"]
            counts[owner[slot >> EXTENT_SHIFT]] -= 1
            continue
        while here != NONE:
            following = links[here]["next"]
            if following == slot:
                links[here]["next"] = link["next"]
                counts[owner[slot >> EXTENT_SHIFT]] -= 1
                break
            here = following


@compiled
def split(table: Chains, more: int) -> None:
    """Splits so many cells, none of a level that isn't whole: their rows hang where they belong."""
    links, heads, level = table.links, table.heads, 1 << table.bits
    at = np.empty(_BLOCK, dtype=np.int64)
    for new in range(table.size, table.size + more):
        old, ahead = new - level, (new - table.size) % _BLOCK
        if ahead == 0:
            count = min(_BLOCK, table.size + more - new)
            for j in range(count):
                at[j] = heads[old + j]
            _walk(links, at[:count])
        slot = heads[old]
        heads[old] = heads[new] = NONE
        while slot != NONE:
            link = links[slot]
            following = link["next"]
            cell = _cell(link["hash"], new + 1, table.bits)
            link["next"] = heads[cell]
            heads[cell] = slot
            slot = following


@compiled
def find(
    table: Chains, ids: Ids, task: _Int32s, who: Int64s, slots: Slots, start: int
) -> tuple[int, int]:
    """Every row that has one of the ids from `start` on: the id's number, the row's slot.

    Returns where it stopped, since there was no room for an id's rows, and how many it found.
    """
    rows, links, owner = table.rows, table.links, table.owner
    hashes, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    count = 0
    for head in range(start, len(ids), _BLOCK):
        for j in range(_reach(table, ids, head, hashes, at)):
            i, begin, slot = head + j, count, at[j]
            while slot != NONE:
                mine = owner[slot >> EXTENT_SHIFT] == task[i]
                if mine and _is(rows[slot], ids[i, 0], ids[i, 1]):
                    if count == len(who):
                        return i, begin
                    who[count], slots[count] = i, slot
                    count += 1
                slot = _seek(links, links[slot]["next"], hashes[j])
    return len(ids), count


@compiled
def keep(
    table: Chains,
    new: PredictionColumns,
    cohorts: CohortTable,
    spare: Spare,
    room: Int64s,
    fate: npt.NDArray[np.uint8],
    kept: Slots,
    joined: npt.NDArray[np.uint8],
) -> None:
    """Keeps new predictions: each one's slot; `fate` is 1 of duplicates, 2 where no room is left.

    `room` (T,) is how many more rows each task may keep; `joined` (T,) becomes 1 for each task
    that keeps two predictions of one id.
    """
    rows, links, heads, owner = table.rows, table.links, table.heads, table.owner
    tasks, ids, cohort, times_ms, code, value = new
    horizon_ms, keys = cohorts.horizon_ms, cohorts.key
    groups, following, free = spare.group, spare.next, spare.slots
    hashes, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    for head in range(0, len(ids), _BLOCK):
        for j in range(_reach(table, ids, head, hashes, at)):
            i, hashed, company = head + j, hashes[j], 0
            first, second, task = ids[i, 0], ids[i, 1], tasks[i]
            key, time_ms = keys[cohort[i]], times_ms[i]
            # Not from `at` on: rows before this one may be new in its chain.
            here, company = (
                _seek(links, heads[_cell(hashed, table.size, table.bits)], hashed),
                False,
            )
            while here != NONE:
                row = rows[here]
                if owner[here >> EXTENT_SHIFT] == task and _is(row, first, second):
                    company = 1
                    until_ms = _time_of(row) + horizon_ms[row["cohort"]]
                    if keys[row["cohort"]] == key and time_ms <= until_ms:
                        break
                here = _seek(links, links[here]["next"], hashed)
            if here != NONE:
                fate[i] = 1
                continue
            if room[task] <= 0:
                fate[i] = 2
                continue
            room[task] -= 1
            joined[task] |= company
            slot = free[following[groups[i]]]
            following[groups[i]] += 1
            kept[i] = slot
            row = rows[slot]
            row["first"], row["second"] = first, second
            row["cohort"], row["code"], row["value"] = cohort[i], code[i], value[i]
            row["bits"] = row["delay_low"] = row["delay_high"] = row["state"] = 0
            row["time_low"], row["time_high"] = time_ms & 0xFFFF_FFFF, time_ms >> 32
            _hang(table, slot, hashed)


@compiled
def _meets(row: Any, labelled_ms: int, model: int, cohorts: CohortTable, early_ms: int) -> bool:
    """Whether a label of this time that names this model, or none, is one for a prediction."""
    time_ms, cohort = _time_of(row), row["cohort"]
    if labelled_ms > time_ms + cohorts.horizon_ms[cohort] or time_ms > labelled_ms + early_ms:
        return False
    return bool(model < 0 or cohorts.name[cohort] == model)


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
    rows, links, owner, key = table.rows, table.links, table.owner, cohorts.key
    task, ids, times_ms, model = labels.task, labels.ids, labels.time_ms, labels.model
    hashes, at = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    count, near = 0, np.empty(_BLOCK, dtype=np.uint64)
    for head in range(start, len(ids), _BLOCK):
        reached = _reach(table, ids, head, hashes, at)
        for j in range(reached):  # so that the rows are near then
            if at[j] != NONE:
                near[j] = rows[at[j]]["first"] ^ rows[at[j]]["bits"]
        for j in range(reached):
            i, begin, slot = head + j, count, at[j]
            while slot != NONE:
                here, row = slot, rows[slot]
                slot = _seek(links, links[here]["next"], hashes[j])
                if owner[here >> EXTENT_SHIFT] != task[i] or not _is(row, ids[i, 0], ids[i, 1]):
                    continue
                if not _meets(row, times_ms[i], model[i], cohorts, early_ms):
                    continue
                place = begin
                while place < count and key[rows[slots[place]]["cohort"]] != key[row["cohort"]]:
                    place += 1
                if place < count:
                    if _time_of(row) < _time_of(rows[slots[place]]):
                        slots[place] = here
                    continue
                if count == len(who):
                    return i, begin
                who[count], slots[count] = i, here
                count += 1
    return len(ids), count
