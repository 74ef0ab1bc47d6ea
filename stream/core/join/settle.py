"""Labels that met their predictions: which are counted, which correct, which repeat."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.join.columns import LabelColumns
from stream.core.join.events import JoinEvent, Tally
from stream.core.join.layout import Ids, Rows, Slots
from stream.core.labels import Form
from stream.core.outcomes import Change, Outcomes
from stream.core.records import Int64s

__all__ = ["NO_OUTCOMES", "Pairs", "Settled", "settle"]

_EVENTS = (
    JoinEvent.JOINED,
    JoinEvent.NULL_FIRST,
    JoinEvent.DUPLICATE_LABEL,
    JoinEvent.CORRECTION,
    JoinEvent.CORRECTION_LATE,
)
_JOINED, _NULL_FIRST, _DUPLICATE_LABEL, _CORRECTION, _CORRECTION_LATE = range(len(_EVENTS))
_AHEAD = 128
_NULL = int(Form.NULL)
_FIRST, _OUT, _IN, _REFUSED = (int(change) for change in Change)


class Pairs(NamedTuple):
    """Labels that met predictions.

    who    (n,) int64  the label's number
    slot   (n,) int64  the prediction's slot
    good   (n,) bool   whether the label can be one of the prediction's model
    """

    who: Int64s
    slot: Slots
    good: npt.NDArray[np.bool_]


class Settled(NamedTuple):
    """The outcomes with their predictions' slots, and the slots that were written to."""

    outcomes: Outcomes
    outcome_slot: Slots
    written: Slots


class _Columns(NamedTuple):
    """`outcomes.Outcomes`, to be filled, and the predictions' slots."""

    slot: Slots
    task: npt.NDArray[np.int32]
    cohort: npt.NDArray[np.int32]
    code: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    time_ms: Int64s
    delay_ms: Int64s
    change: npt.NDArray[np.uint8]
    late: npt.NDArray[np.bool_]
    ids: Ids
    offset: Int64s

    @classmethod
    def of(cls, count: int) -> _Columns:
        """Room for so many outcomes."""
        return cls(
            slot=np.empty(count, dtype=np.int64),
            task=np.empty(count, dtype=np.int32),
            cohort=np.empty(count, dtype=np.int32),
            code=np.empty(count, dtype=np.int32),
            value=np.empty(count, dtype=np.float64),
            form=np.empty(count, dtype=np.uint8),
            bits=np.empty(count, dtype=np.uint64),
            time_ms=np.empty(count, dtype=np.int64),
            delay_ms=np.empty(count, dtype=np.int64),
            change=np.empty(count, dtype=np.uint8),
            late=np.empty(count, dtype=np.bool_),
            ids=np.empty((count, 2), dtype=np.uint64),
            offset=np.empty(count, dtype=np.int64),
        )

    def first(self, count: int) -> Outcomes:
        """The first so many outcomes."""
        return Outcomes(
            task=self.task[:count],
            cohort=self.cohort[:count],
            code=self.code[:count],
            value=self.value[:count],
            form=self.form[:count],
            bits=self.bits[:count],
            time_ms=self.time_ms[:count],
            delay_ms=self.delay_ms[:count],
            change=self.change[:count],
            late=self.late[:count],
            ids=self.ids[:count],
            offset=self.offset[:count],
        )


NO_OUTCOMES = _Columns.of(0).first(0)


def settle(rows: Rows, labels: LabelColumns, pairs: Pairs, pane_ms: int, tally: Tally) -> Settled:
    """Decides the labels of pairs, in their order (DESIGN, Join).

    The first label that is no null makes the outcome. Each one after it is a duplicate of the
    value in force, or replaces it while the first outcome's pane is open to the label: its end
    lies beyond the watermark just before the label. Outcomes come in the labels' order; a
    correction from one value to another is there twice: what it takes out, what it puts in. Labels
    that are none of the prediction's model are refused: nothing is compared with them.
    """
    made = _Columns.of(2 * len(pairs.who))
    written = np.empty(len(pairs.who), dtype=np.int64)
    events = np.zeros((len(_EVENTS), int(labels.task.max(initial=0)) + 1), dtype=np.int64)
    outcomes, changes = _settle(rows, labels, pairs, pane_ms, made, written, events)
    for event, task in zip(*np.nonzero(events), strict=True):
        tally[int(task), _EVENTS[event]] += int(events[event, task])
    return Settled(made.first(outcomes), made.slot[:outcomes], written[:changes])


@compiled
def _settle(
    rows: Rows,
    labels: LabelColumns,
    pairs: Pairs,
    pane_ms: int,
    made: _Columns,
    written: Slots,
    events: Int64s,
) -> tuple[int, int]:
    """Writes outcomes, and slots that changed, and how many there are of both."""
    who, slots, good = pairs
    near = np.empty(_AHEAD, dtype=np.uint64)
    outcomes = changes = 0
    for i in range(len(who)):
        if i % _AHEAD == 0:  # many rows are fetched from memory at once, not each when it is due
            for j in range(min(_AHEAD, len(who) - i)):
                near[j] = rows[slots[i + j]]["first"] ^ rows[slots[i + j]]["bits"]
        label, slot = who[i], slots[i]
        row, form, bits = rows[slot], labels.form[label], labels.bits[label]
        if not good[i]:
            time_ms = labels.time_ms[label]
            _put(made, outcomes, slot, row, labels, label, time_ms, 0, _REFUSED, form, bits)
            outcomes += 1
            continue
        before, old_bits = row["state"], row["bits"]
        event, time_ms, delay_ms = _decided(row, labels, label, pane_ms)
        events[event, labels.task[label]] += 1
        if event == _JOINED:
            _put(made, outcomes, slot, row, labels, label, time_ms, delay_ms, _FIRST, form, bits)
            outcomes += 1
        elif event == _CORRECTION:
            if before != _NULL + 1:
                old = before - 1
                _put(
                    made, outcomes, slot, row, labels, label, time_ms, delay_ms, _OUT, old, old_bits
                )
                outcomes += 1
            if form != _NULL:
                _put(made, outcomes, slot, row, labels, label, time_ms, delay_ms, _IN, form, bits)
                outcomes += 1
        else:
            continue
        row["state"], row["bits"] = form + 1, bits
        row["delay_low"], row["delay_high"] = delay_ms & 0xFFFF_FFFF, delay_ms >> 32
        written[changes] = slot
        changes += 1
    return outcomes, changes


@compiled
def _decided(row: Any, labels: LabelColumns, label: int, pane_ms: int) -> tuple[int, int, int]:
    """What a label is to its prediction; time and delay of the prediction's first outcome."""
    form, predicted_ms = labels.form[label], row["time_low"] | (np.int64(row["time_high"]) << 32)
    if row["state"] == 0:
        delay_ms = max(labels.time_ms[label] - predicted_ms, 0)
        return _JOINED if form != _NULL else _NULL_FIRST, predicted_ms + delay_ms, delay_ms
    delay_ms = row["delay_low"] | (np.int64(row["delay_high"]) << 32)
    time_ms = predicted_ms + delay_ms
    if row["state"] == form + 1 and row["bits"] == labels.bits[label]:
        return _DUPLICATE_LABEL, time_ms, delay_ms
    if labels.watermark_ms[label] < (time_ms // pane_ms + 1) * pane_ms:
        return _CORRECTION, time_ms, delay_ms
    return _CORRECTION_LATE, time_ms, delay_ms


@compiled
def _put(
    made: _Columns,
    at: int,
    slot: int,
    row: Any,
    labels: LabelColumns,
    label: int,
    time_ms: int,
    delay_ms: int,
    change: int,
    form: int,
    bits: int,
) -> None:
    """Writes an outcome."""
    made.slot[at], made.task[at], made.offset[at] = slot, labels.task[label], labels.offset[label]
    made.cohort[at], made.code[at], made.value[at] = row["cohort"], row["code"], row["value"]
    made.ids[at, 0], made.ids[at, 1] = row["first"], row["second"]
    made.time_ms[at], made.delay_ms[at] = time_ms, delay_ms
    made.form[at], made.bits[at], made.change[at] = form, bits, change
    made.late[at] = labels.late[label] and change == _FIRST
