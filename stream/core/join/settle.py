"""Labels that met their predictions: which are counted, which correct, which repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.events import JoinEvent, Tally, count
from stream.core.join.layout import Rows, Slots
from stream.core.labels import Form
from stream.core.outcomes import Change, Outcomes
from stream.core.records import Int64s

__all__ = ["Met", "Settled", "delay_of", "refuse", "settle", "time_of"]

_Mask = npt.NDArray[np.bool_]
_32 = np.int64(32)


@dataclass(frozen=True, slots=True)
class Met:
    """n labels and the prediction of each; a prediction's labels stand in offset order.

    slot, row are the prediction's; all others the label's (`outcomes.LabelRows`).
    """

    slot: Slots
    row: Rows
    task: npt.NDArray[np.int32]
    time_ms: Int64s
    watermark_ms: Int64s
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    late: _Mask
    offset: Int64s

    def __len__(self) -> int:
        return len(self.slot)

    def __getitem__(self, places: Int64s) -> Met:
        columns: dict[str, Any] = {name: getattr(self, name).take(places) for name in Met.__slots__}
        return Met(**columns)


@dataclass(frozen=True, slots=True)
class Settled:
    """What to write back of each prediction that changed, and the outcomes with their slots."""

    slot: Slots
    row: Rows
    outcomes: Outcomes
    outcome_slot: Slots


def time_of(rows: Rows) -> Int64s:
    """The predictions' effective times."""
    return rows["time_low"].astype(np.int64) | (rows["time_high"].astype(np.int64) << _32)


def delay_of(rows: Rows) -> Int64s:
    """The delays of the predictions' first outcomes."""
    return rows["delay_low"].astype(np.int64) | (rows["delay_high"].astype(np.int64) << _32)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The met by prediction: segments of equal slots, n rows and m segments.

    The predictions' rows are many words and stay as they stood.
    """

    order: Int64s  # (n,) where each row stood
    met: Met
    start: Int64s  # (m,) where each segment starts
    segment: Int64s  # (n,)

    @classmethod
    def of(cls, met: Met) -> _Sorted:
        # One sort of distinct numbers is several times faster than a stable argsort.
        numbers = (met.slot << _32) | np.arange(len(met))
        numbers.sort()
        order = numbers & 0xFFFF_FFFF
        slot = numbers >> _32
        head = np.r_[True, slot[1:] != slot[:-1]]
        if head.all():
            each = np.arange(len(met))
            return cls(each, met, each, each)
        columns: dict[str, npt.NDArray[Any]] = {
            name: getattr(met, name).take(order) for name in Met.__slots__[2:]
        }
        return cls(order, Met(slot, met.row, **columns), np.flatnonzero(head), np.cumsum(head) - 1)


def settle(met: Met, pane_ms: int, tally: Tally) -> Settled:
    """Decides each label by those before it (DESIGN, Join); outcomes come in the labels' order.

    The first label that is no null makes the outcome. Each one after it is a duplicate of the
    value in force, or replaces it while the first outcome's pane is open to the label: its end
    lies beyond the watermark just before the label. Watermarks never fall, so that a
    prediction's labels are a run of live ones, each compared with the one before it, and a run
    of frozen ones, compared with the last live one.
    """
    by = _Sorted.of(met)
    met, segment = by.met, by.segment
    at = np.arange(len(met))
    before = met.row.take(by.order.take(by.start))
    made = _firsts(by, before)
    first_ms = time_of(before) + made.delay
    pane_end = (first_ms // pane_ms + 1) * pane_ms

    firsts = at == made.at.take(segment)
    after = at > made.at.take(segment)
    live = after & (met.watermark_ms < pane_end.take(segment))
    last = np.maximum.reduceat(np.where(firsts | live, at, -1), by.start)
    form, bits = met.form, met.bits
    if after.any():
        form, bits = _against(by, before, live, last)
    same = (form == met.form) & (bits == met.bits)
    corrected = live & ~same
    for event, mask in (
        (JoinEvent.JOINED, firsts),
        (JoinEvent.NULL_FIRST, ~firsts & ~after),
        (JoinEvent.DUPLICATE_LABEL, after & same),
        (JoinEvent.CORRECTION, corrected),
        (JoinEvent.CORRECTION_LATE, after & ~live & ~same),
    ):
        count(tally, event, met.task[mask])

    changed = np.flatnonzero(last >= 0)
    last = last.take(changed)
    row = _labelled(before.take(changed), met, last, made.delay.take(changed))
    taken_out, put_in = corrected & (form != Form.NULL), corrected & (met.form != Form.NULL)
    chosen, change = _chosen(by.order, firsts, taken_out, put_in)
    outcomes = _outcomes(by, chosen, change, first_ms, made.delay, form, bits)
    return Settled(met.slot.take(last), row, outcomes, met.slot.take(chosen))


def refuse(met: Met) -> Outcomes:
    """The labels as refused ones: they decide nothing, and nothing is compared with them."""
    n, row = len(met), met.row
    return Outcomes(
        task=met.task,
        cohort=row["cohort"].copy(),
        code=row["code"].copy(),
        value=row["value"].copy(),
        form=met.form,
        bits=met.bits,
        time_ms=met.time_ms,
        delay_ms=np.zeros(n, dtype=np.int64),
        change=np.full(n, Change.REFUSED, dtype=np.uint8),
        late=np.zeros(n, dtype=np.bool_),
        ids=row["ids"].copy(),
        offset=met.offset,
    )


@dataclass(frozen=True, slots=True)
class _Firsts:
    """The first outcome of each of m predictions.

    at     (m,) the label that makes it; -1: it was made before these, n: none of them does
    delay  (m,) ms from the prediction to it; 0 where there is none
    """

    at: Int64s
    delay: Int64s


def _firsts(by: _Sorted, before: Rows) -> _Firsts:
    met, n = by.met, len(by.met)
    known = before["state"] > 0
    labels = np.where(met.form == Form.NULL, n, np.arange(n))
    at = np.where(known, -1, np.minimum.reduceat(labels, by.start))
    found = ~known & (at < n)
    labelled_ms = met.time_ms.take(np.minimum(at, n - 1))
    new = np.where(found, np.maximum(labelled_ms - time_of(before), 0), 0)
    return _Firsts(at, np.where(known, delay_of(before), new))


def _labelled(row: Rows, met: Met, last: Int64s, delay: Int64s) -> Rows:
    """The predictions' rows with the labels that are in force now, and the first one's delay."""
    row["state"] = met.form.take(last) + np.uint8(1)
    row["bits"] = met.bits.take(last)
    row["delay_low"] = delay & 0xFFFF_FFFF
    row["delay_high"] = delay >> 32
    return row


def _against(
    by: _Sorted, before: Rows, live: _Mask, last: Int64s
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    """Form and bits that each label is compared with, where one is in force.

    A live label is compared with the one before it, a frozen one with the `last` (m,) live one.
    """
    met, segment, at = by.met, by.segment, np.arange(len(by.met))
    inside = at > by.start.take(segment)
    # The number of the label that is in force; -1: what was so before all of these.
    against = np.where(live, np.where(inside, at - 1, -1), last.take(segment))
    old = against < 0
    form = np.where(old, before["state"].take(segment) - np.uint8(1), met.form.take(against))
    return form, np.where(old, before["bits"].take(segment), met.bits.take(against))


def _chosen(
    order: Int64s, firsts: _Mask, taken_out: _Mask, put_in: _Mask
) -> tuple[Int64s, npt.NDArray[np.uint8]]:
    """The labels that make outcomes, in the order they came, and what each one does.

    A correction from one value to another is there twice: what it takes out, what it puts in.
    """
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    if not (taken_out.any() or put_in.any()):
        chosen = place[firsts.take(place)]
        return chosen, np.full(len(chosen), Change.FIRST, dtype=np.uint8)
    pairs = np.stack([(firsts | taken_out).take(place), put_in.take(place)], axis=1).ravel()
    picked = np.flatnonzero(pairs)
    chosen = place.take(picked >> 1)
    change = np.where(
        picked & 1, Change.IN, np.where(firsts.take(chosen), Change.FIRST, Change.OUT)
    )
    return chosen, change.astype(np.uint8)


def _outcomes(
    by: _Sorted,
    chosen: Int64s,
    change: npt.NDArray[np.uint8],
    first_ms: Int64s,
    delay: Int64s,
    old_form: npt.NDArray[np.uint8],
    old_bits: npt.NDArray[np.uint64],
) -> Outcomes:
    met, segment = by.met, by.segment.take(chosen)
    row, out = met.row.take(by.order.take(chosen)), change == Change.OUT
    form, bits = met.form.take(chosen), met.bits.take(chosen)
    if out.any():
        form = np.where(out, old_form.take(chosen), form).astype(np.uint8)
        bits = np.where(out, old_bits.take(chosen), bits)
    return Outcomes(
        task=met.task.take(chosen),
        cohort=row["cohort"].copy(),
        code=row["code"].copy(),
        value=row["value"].copy(),
        form=form,
        bits=bits,
        time_ms=first_ms.take(segment),
        delay_ms=delay.take(segment),
        change=change,
        late=met.late.take(chosen) & (change == Change.FIRST),
        ids=row["ids"].copy(),
        offset=met.offset.take(chosen),
    )
