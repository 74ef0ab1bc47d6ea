"""Counts outcomes into vectors of their ledger, a model's set of segments and pane at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stream.core.fixed import SHARE, WIDE, Form, digits, log
from stream.core.labels import LabelKind, LabelSpec
from stream.core.ledger import REGRESSION_LIMIT, RELIABILITY_BINS, Ledger, Part
from stream.core.logbins import DELAYS
from stream.core.records import Int64s, Kind

__all__ = ["OutcomeRows", "count_outcomes"]

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_CELLS = 1 << 21  # places that are filled at once: 16 MB
_CHUNK = 4_096  # rows whose digits are made at once, so that they stay in the cache
_MOST_ROWS = 1 << 20  # digits of so many add up below 2^53, in which bincount adds
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class OutcomeRows:
    """n outcomes of one spec, in columns: number of their set, pane number, and what was what.

    `correction` tells those that aren't first outcomes, `out` those that are taken out. `label`
    is the class's index (K: another) or the number; `probabilities` (n, K) or None.
    """

    number: Int64s
    pane: Int64s
    correction: _Mask
    out: _Mask
    late: _Mask
    code: Int64s
    value: _Floats
    label: _Floats
    delay_ms: _Floats
    probabilities: _Floats | None

    def __len__(self) -> int:
        return len(self.number)

    @classmethod
    def joined(cls, items: Sequence[OutcomeRows]) -> OutcomeRows:
        """All of them one behind the other; rows without probabilities get NaN where some have."""
        if len(items) == 1:
            return items[0]
        plain = [f.name for f in fields(cls) if f.name != "probabilities"]
        columns = {name: np.concatenate([getattr(i, name) for i in items]) for name in plain}
        classes = next((i.probabilities.shape[1] for i in items if i.probabilities is not None), 0)
        probabilities = None
        if classes:
            absent = [np.full((len(i), classes), np.nan) for i in items]
            held = [
                i.probabilities if i.probabilities is not None else a
                for i, a in zip(items, absent, strict=True)
            ]
            probabilities = np.concatenate(held)
        return cls(**columns, probabilities=probabilities)

    def at(self, rows: Int64s) -> OutcomeRows:
        """These rows alone."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        plain = [f.name for f in fields(self) if f.name != "probabilities"]
        columns = {name: getattr(self, name)[rows] for name in plain}
        return OutcomeRows(**columns, probabilities=probabilities)


class _Sheet:
    """A ledger's vectors for G groups, filled a part at a time; three more places at the end."""

    def __init__(self, ledger: Ledger, groups: int, rows: OutcomeRows, group: Int64s) -> None:
        self._ledger = ledger
        self._groups = groups
        self._group = group
        self._sign = np.where(rows.out, -1.0, 1.0) if bool(rows.out.any()) else None
        self.cells = np.zeros((groups, ledger.width + 3), dtype=np.int64)

    def count(self, part: Part, place: Int64s, rows: Int64s | None = None) -> None:
        """Counts each row (of `rows`) at its place, an index into the part laid flat."""
        view = self._ledger.part(self.cells, part)
        size = int(np.prod(view.shape[1:]))
        view += self._tally(place, size, None, rows).reshape(view.shape)

    def add(self, part: Part, x: _Floats, form: Form, rows: Int64s | None = None) -> None:
        """Adds the sums (S, n) of the rows' values to a part of shape (S, D)."""
        view = self._ledger.part(self.cells, part)
        for start in range(0, x.shape[1], _CHUNK):
            stop = min(start + _CHUNK, x.shape[1])
            pick = np.arange(start, stop) if rows is None else rows[start:stop]
            parts = digits(x[:, start:stop], form)
            for sum_, digit in np.ndindex(len(x), form.digits):
                if bool(parts[sum_, :, digit].any()):
                    own = self._tally(None, 1, parts[sum_, :, digit], pick)
                    view[:, sum_, digit] += own[:, 0]

    def add_at(
        self, part: Part, place: Int64s, x: _Floats, form: Form, rows: Int64s | None
    ) -> None:
        """Adds each row's value at its place of a part of shape (places, D)."""
        view = self._ledger.part(self.cells, part)
        parts = digits(x, form)
        for digit in range(form.digits):
            view[..., digit] += self._tally(place, view.shape[1], parts[:, digit], rows)

    def total(self, place: int, x: _Mask | None) -> None:
        """Counts rows (where `x`) at a place counted from the end."""
        rows = None if x is None else np.flatnonzero(x)
        self.cells[:, place] += self._tally(None, 1, None, rows)[:, 0]

    def _tally(
        self, place: Int64s | None, size: int, weight: Int64s | None, rows: Int64s | None
    ) -> Int64s:
        """Sums (groups, size) of rows' weights (1) by place; exact, as they stay below 2^53."""
        group = self._group if rows is None else self._group[rows]
        flat = group if place is None else group * size + place
        weights: _Floats | Int64s | None = weight
        if self._sign is not None:
            sign = self._sign if rows is None else self._sign[rows]
            weights = sign if weight is None else weight * sign
        counts = np.bincount(flat, weights=weights, minlength=self._groups * size)
        return counts.astype(np.int64).reshape(self._groups, size)


def count_outcomes(
    spec: LabelSpec, ledger: Ledger, rows: OutcomeRows
) -> Iterator[tuple[tuple[int, int, Kind], Int64s]]:
    """Each (set, pane, kind) of the rows with its vector: the ledger's and three totals.

    The totals are the rows that are taken out (below zero, as they are), rows and late rows.
    Of very many rows a key may come more than once.
    """
    if len(rows) > _MOST_ROWS:
        for start in range(0, len(rows), _MOST_ROWS):
            these = np.arange(start, min(start + _MOST_ROWS, len(rows)))
            yield from count_outcomes(spec, ledger, rows.at(these))
        return
    keys, group = _groups(rows)
    most = max(1, _CELLS // ledger.width)
    if len(keys) <= most:
        yield from zip(keys, _sheet(spec, ledger, len(keys), rows, group), strict=True)
        return
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(0, len(keys) + most, most))
    for number, (start, stop) in enumerate(pairwise(starts)):
        own, low = order[start:stop], number * most
        part = keys[low : low + most]
        yield from zip(
            part, _sheet(spec, ledger, len(part), rows.at(own), group[own] - low), strict=True
        )


def _groups(rows: OutcomeRows) -> tuple[list[tuple[int, int, Kind]], Int64s]:
    """The (set, pane, kind)s there are, and each row's index among them."""
    low = int(rows.pane.min())
    span = int(rows.pane.max()) - low + 1
    key = ((rows.number * span) + (rows.pane - low)) * 2 + rows.correction
    if int(key.max()) < 4 * len(rows) + 1_024:
        there = np.bincount(key) > 0
        found = np.flatnonzero(there)
        group = (np.cumsum(there) - 1)[key]
    else:
        found, group = np.unique(key, return_inverse=True)
    keys = []
    for value in found.tolist():
        number, pane = divmod(value // 2, span)
        keys.append((number, pane + low, Kind.CORRECTION if value % 2 else Kind.OUTCOME))
    return keys, group


def _sheet(
    spec: LabelSpec, ledger: Ledger, groups: int, rows: OutcomeRows, group: Int64s
) -> Int64s:
    sheet = _Sheet(ledger, groups, rows, group)
    if bool(rows.out.any()):
        sheet.total(-3, rows.out)
    sheet.total(-2, None)
    sheet.total(-1, rows.late)
    sheet.count(Part.DELAYS, DELAYS.bin_of(rows.delay_ms))
    if spec.kind is LabelKind.REGRESSION:
        _count_regression(sheet, rows)
        return sheet.cells
    places = len(spec.classes) + 1
    label = rows.label.astype(np.int64)
    predicted = np.where(rows.code < 0, places - 1, rows.code)
    sheet.count(Part.CONFUSION, predicted * places + label)
    if spec.kind is LabelKind.BINARY:
        _count_binary(sheet, spec, rows, label)
    elif rows.probabilities is not None:
        _count_multiclass(sheet, rows.probabilities, label)
    return sheet.cells


def _count_binary(sheet: _Sheet, spec: LabelSpec, rows: OutcomeRows, label: Int64s) -> None:
    scored = _where((rows.value >= 0.0) & (rows.value <= 1.0))
    p, y = (rows.value, label) if scored is None else (rows.value[scored], label[scored])
    place = np.searchsorted(np.asarray(spec.edges[1:-1]), p, side="right")
    sheet.count(Part.SCORES, place * 2 + y, scored)
    _count_reliability(sheet, p, y, scored)
    came = np.clip(np.where(y == 1, p, 1.0 - p), _EPSILON, 1.0 - _EPSILON)
    miss = p - y
    _add_losses(sheet, came, miss * miss, scored)


def _count_multiclass(sheet: _Sheet, probabilities: _Floats, label: Int64s) -> None:
    classes = probabilities.shape[1]
    sound = ((probabilities >= 0.0) & (probabilities <= 1.0)).all(axis=1) & (label < classes)
    scored = _where(sound)
    if scored is not None:
        probabilities, label = probabilities[scored], label[scored]
    each = np.arange(len(label))
    top = probabilities.argmax(axis=1)
    _count_reliability(sheet, probabilities[each, top], (top == label).astype(np.int64), scored)
    own = probabilities[each, label]
    brier = np.zeros(len(label))
    for column in range(classes):
        miss = probabilities[:, column] - (label == column)
        brier += miss * miss
    _add_losses(sheet, np.clip(own, _EPSILON, 1.0 - _EPSILON), brier, scored)


def _count_reliability(sheet: _Sheet, p: _Floats, came: Int64s, rows: Int64s | None) -> None:
    place = np.minimum((p * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    sheet.count(Part.RELIABILITY, place * 2, rows)
    true = np.flatnonzero(came)
    sheet.count(Part.RELIABILITY, place[true] * 2 + 1, true if rows is None else rows[true])
    sheet.add_at(Part.RELIABILITY_SUMS, place, p, SHARE, rows)


def _add_losses(sheet: _Sheet, came: _Floats, brier: _Floats, rows: Int64s | None) -> None:
    """Adds the losses of rows whose own class had the probability `came`."""
    loss = -log(came)
    sheet.add(Part.LOSSES, np.stack([loss, loss * loss, brier, brier * brier]), SHARE, rows)


def _count_regression(sheet: _Sheet, rows: OutcomeRows) -> None:
    inside = np.abs(rows.value) <= REGRESSION_LIMIT
    inside &= np.abs(rows.label) <= REGRESSION_LIMIT
    used = _where(inside)
    if used is not None:
        outside = np.flatnonzero(~inside)
        sheet.count(Part.USED, np.full(len(outside), 2), outside)
    y, predicted = rows.label, rows.value
    if used is not None:
        y, predicted = y[used], predicted[used]
    sheet.count(Part.USED, np.zeros(len(y), dtype=np.int64), used)
    ratios = np.flatnonzero(y != 0.0)
    sheet.count(
        Part.USED, np.ones(len(ratios), dtype=np.int64), ratios if used is None else used[ratios]
    )
    error = predicted - y
    squared, y_squared, size = error * error, y * y, np.abs(error)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = np.where(y != 0.0, size / np.abs(y), 0.0)
        sums = [y, y_squared, y_squared * y, y_squared * y_squared]
        sums += [error, squared, squared * squared, squared * y, squared * y_squared]
        sums += [size, ratio, ratio * ratio]
    sheet.add(Part.MOMENTS, np.stack(sums), WIDE, used)


def _where(mask: _Mask) -> Int64s | None:
    """The rows where the mask holds; None for all of them."""
    return None if bool(mask.all()) else np.flatnonzero(mask)
