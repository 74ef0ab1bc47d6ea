"""Counts outcomes into vectors of their ledger, a model's set of segments and pane at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stream.core.fixed import WIDE, log
from stream.core.labels import LabelKind, LabelSpec
from stream.core.ledger import REGRESSION_LIMIT, RELIABILITY_BINS, Ledger, Part
from stream.core.logbins import DELAYS
from stream.core.pane.binning import Table
from stream.core.pane.sheet import Sheet
from stream.core.records import Int64s, Kind

__all__ = ["OutcomeRows", "count_outcomes"]

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_CELLS = 1 << 21  # places that are filled at once: 16 MB
_BLOCK = 8_192  # rows that are counted at once, so that their columns stay in the cache
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
    code: npt.NDArray[np.int32]
    value: _Floats
    label: _Floats | Int64s
    delay_ms: Int64s
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

    def at(self, rows: Int64s | slice) -> OutcomeRows:
        """These rows alone."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        plain = [f.name for f in fields(self) if f.name != "probabilities"]
        columns = {name: getattr(self, name)[rows] for name in plain}
        return OutcomeRows(**columns, probabilities=probabilities)


def count_outcomes(
    spec: LabelSpec, ledger: Ledger, rows: OutcomeRows
) -> Iterator[tuple[tuple[int, int, Kind], Int64s]]:
    """Each (set, pane, kind) of the rows with its vector: the ledger's and three totals.

    The totals are the rows that are taken out (below zero, as they are), rows and late rows.
    Of very many rows a key may come more than once.
    """
    if len(rows) > _MOST_ROWS:
        for start in range(0, len(rows), _MOST_ROWS):
            yield from count_outcomes(spec, ledger, rows.at(slice(start, start + _MOST_ROWS)))
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
    first, low = int(rows.number[0]), int(rows.pane.min())
    span = int(rows.pane.max()) - low + 1
    if span == 1 and not rows.correction.any() and bool((rows.number == first).all()):
        return [(first, low, Kind.OUTCOME)], np.zeros(len(rows), dtype=np.int64)
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
    cells = np.zeros((groups, ledger.width + 3), dtype=np.int64)
    step = max(_BLOCK, cells.size)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        part = rows.at(block)
        _fill(Sheet(ledger, cells, group[block], part.out), spec, part)
    return cells


def _fill(sheet: Sheet, spec: LabelSpec, rows: OutcomeRows) -> None:
    if bool(rows.out.any()):
        sheet.total(-3, rows.out)
    sheet.total(-2, None)
    sheet.total(-1, rows.late)
    sheet.count(Part.DELAYS, DELAYS.bin_of(rows.delay_ms.astype(np.float64)))
    if spec.kind is LabelKind.REGRESSION:
        _count_regression(sheet, rows)
        return
    places = len(spec.classes) + 1
    label = rows.label.astype(np.int64, copy=False)
    predicted = np.where(rows.code < 0, places - 1, rows.code)
    sheet.count(Part.CONFUSION, predicted * places + label)
    if spec.kind is LabelKind.BINARY:
        _count_binary(sheet, spec, rows, label)
    elif rows.probabilities is not None:
        _count_multiclass(sheet, rows.probabilities, label)


def _count_binary(sheet: Sheet, spec: LabelSpec, rows: OutcomeRows, label: Int64s) -> None:
    scored = _where((rows.value >= 0.0) & (rows.value <= 1.0))
    p, y = (rows.value, label) if scored is None else (rows.value[scored], label[scored])
    place = _bins(spec.edges).regions_of(p)  # region 1 is the first bin
    place *= 2
    place += y
    place -= 2
    sheet.count(Part.SCORES, place, scored)
    _count_reliability(sheet, p, y, scored)
    miss = p - y
    _add_losses(sheet, np.abs(p - (1 - y)), miss * miss, scored)  # p of a 1, 1 - p of a 0


def _count_multiclass(sheet: Sheet, probabilities: _Floats, label: Int64s) -> None:
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
    _add_losses(sheet, own, brier, scored)


def _count_reliability(sheet: Sheet, p: _Floats, came: Int64s, rows: Int64s | None) -> None:
    place = np.minimum((p * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    sheet.count_true(Part.RELIABILITY, place, came, rows)
    sheet.add_at(Part.RELIABILITY_SUMS, place, p, rows)


def _add_losses(sheet: Sheet, came: _Floats, brier: _Floats, rows: Int64s | None) -> None:
    """Adds the losses of rows whose own class had the probability `came`."""

    def sums(here: slice) -> Sequence[_Floats]:
        loss = -log(np.clip(came[here], _EPSILON, 1.0 - _EPSILON))
        return loss, loss * loss, brier[here], brier[here] * brier[here]

    sheet.add_shares(Part.LOSSES, sums, len(came), rows)


@lru_cache(maxsize=1024)
def _bins(edges: tuple[float, ...]) -> Table:
    """The look-up of scores' bins."""
    return Table(edges)


def _count_regression(sheet: Sheet, rows: OutcomeRows) -> None:
    y, predicted = rows.label.astype(np.float64, copy=False), rows.value
    inside = np.abs(predicted) <= REGRESSION_LIMIT
    inside &= np.abs(y) <= REGRESSION_LIMIT
    used = _where(inside)
    if used is not None:
        outside = np.flatnonzero(~inside)
        sheet.count(Part.USED, np.full(len(outside), 2), outside)
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
