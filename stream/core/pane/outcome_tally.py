"""Counts outcomes into vectors of their ledger, a row at a time, as machine code.

All that is added up are whole numbers: the order of rows decides nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.compiled import compiled
from stream.core.fixed import SHARE, WIDE, Form
from stream.core.ledger import REGRESSION_LIMIT, RELIABILITY_BINS, Ledger, Part
from stream.core.records import Int64s

__all__ = [
    "Digits",
    "Layout",
    "Rows",
    "Steps",
    "add",
    "add_share",
    "log",
    "tally_binary",
    "tally_multiclass",
    "tally_regression",
    "tally_rows",
]

_Floats = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]
_SHIFT = 46  # a power of two is 64 cells of a look-up
_EPSILON = 2.0**-52
_ROOT_HALF = 0.7071067811865476
_LOG_2 = 0.6931471805599453
_SERIES = tuple(2.0 / odd for odd in range(21, 0, -2))  # of s·(2 + 2s²/3 + 2s⁴/5 + …), from behind


class Digits(NamedTuple):
    """`fixed.Form`: `many`, of multiples of 1 / `unit`, of values of at most `largest`."""

    many: int
    unit: float
    largest: float

    @classmethod
    def of(cls, form: Form) -> Digits:
        """Those of a form."""
        return cls(form.digits, 2.0**form.bits, math.nextafter(2.0**form.limit_bits, 0.0))


class Layout(NamedTuple):
    """Where a ledger's parts start in its vector, and how they are written.

    A vector has three places more than its ledger: rows taken out (below zero), rows, late rows.
    A regression has no `classes`.
    """

    width: int
    classes: int
    reliability_bins: int
    regression_limit: float
    share: Digits
    wide: Digits
    delays: int
    confusion: int
    scores: int
    reliability: int
    reliability_sums: int
    losses: int
    moments: int
    used: int

    @classmethod
    def of(cls, ledger: Ledger, classes: int) -> Layout:
        """That of a ledger."""
        parts = [Part.DELAYS, Part.CONFUSION, Part.SCORES, Part.RELIABILITY, Part.RELIABILITY_SUMS]
        parts += [Part.LOSSES, Part.MOMENTS, Part.USED]
        starts = [ledger.starts.get(part, 0) for part in parts]
        rules = (RELIABILITY_BINS, REGRESSION_LIMIT, Digits.of(SHARE), Digits.of(WIDE))
        return cls(ledger.width + 3, classes, *rules, *starts)


class Steps(NamedTuple):
    """Ascending positive numbers `at`, behind them infinity; a look-up of where to search them.

    Floats of the same exponent and first bits of the mantissa are a cell, `first` that of the
    smallest number; `guide` is how many numbers don't exceed a cell's start.
    """

    at: _Floats
    guide: Int64s
    first: int

    @classmethod
    def of(cls, numbers: _Floats) -> Steps:
        """Those of (n,) numbers; there may be none."""
        cells = numbers.view(np.int64) >> _SHIFT
        first, last = (int(cells[0]), int(cells[-1])) if len(cells) else (0, 0)
        starts = (np.arange(first, last + 1, dtype=np.int64) << _SHIFT).view(np.float64)
        return cls(np.append(numbers, np.inf), numbers.searchsorted(starts, side="right"), first)


class Rows(NamedTuple):
    """n outcomes: each one's vector, and whether it is taken out of it; class codes and indices.

    Each column is in one piece and writable, so that there is one version of each loop. A code
    that is none of the classes, and a label K, stand for another class; a regression's labels
    are not looked at. `value` is P(positive) of a binary model.
    """

    group: Int64s
    out: _Flags
    late: _Flags
    delay_ms: Int64s
    code: npt.NDArray[np.int32]
    label: Int64s
    value: _Floats


@compiled
def log(x: float) -> float:
    """The natural logarithm of a positive, normal number: the same bits on every processor.

    Unlike the C library's it is made of additions, multiplications and divisions alone, which
    IEEE 754 defines to the last bit. Within 4e-16 of the true value, relatively or absolutely,
    whichever is more. The series is that of 2·atanh((m - 1)/(m + 1)), for m between √½ and √2.

    >>> log(1.0), log(0.5)
    (0.0, -0.6931471805599453)
    """
    bits = np.float64(x).view(np.int64)
    mantissa = np.int64(bits & 0xFFFFFFFFFFFFF | 1022 << 52).view(np.float64)
    small = mantissa < _ROOT_HALF
    power = np.float64((bits >> 52) - 1022 - small)
    mantissa *= 1.0 + small
    s = np.divide(mantissa - 1.0, mantissa + 1.0)  # unlike / without a branch
    square = s * s
    series = 2.0 / 23.0
    for term in _SERIES:
        series = series * square + term
    return float(power * _LOG_2 + series * s)


@compiled
def _loss(own: float) -> float:
    """The log loss of a row whose own class had the probability `own`."""
    return -log(min(max(own, _EPSILON), 1.0 - _EPSILON))


@compiled
def _step(x: float, steps: Steps) -> int:
    """How many of the numbers don't exceed x, which is finite."""
    if x < steps.at[0]:
        return 0
    cell = int(np.float64(x).view(np.int64) >> _SHIFT) - steps.first
    place = int(steps.guide[min(cell, len(steps.guide) - 1)])
    while x >= steps.at[place]:
        place += 1
    return place


@compiled
def add(cells: Int64s, place: int, x: float, sign: int, digits: Digits) -> None:
    """Adds a number, or with a sign of -1 takes it away, at the digits from `place` on.

    It isn't NaN, is held as the largest where it is more, and rounded to the nearest multiple
    (ties to even). Its 53 bits are in three digits at most; where a form ends before these, 0 is
    added to what comes behind.
    """
    size = np.rint(min(abs(x), digits.largest) * digits.unit)
    shift = max(int(np.float64(size).view(np.int64) >> 52) - 1075, 0)
    whole = np.int64(size * np.int64(1023 - shift << 52).view(np.float64))  # times 2^-shift
    low = (whole & 0xFFFFFFFF) << (shift & 31)
    middle = (low >> 32) + (whole >> 32 << (shift & 31))
    first, signed = place + (shift >> 5), -sign if x < 0.0 else sign
    cells[first] += signed * (low & 0xFFFFFFFF)
    cells[first + 1] += signed * (middle & 0xFFFFFFFF)
    cells[first + 2] += signed * (middle >> 32)


@compiled
def add_share(cells: Int64s, place: int, x: float, sign: int, digits: Digits) -> None:
    """What `add` does, for numbers from 0 to 2^20 and two digits: in half the time."""
    whole = np.int64(np.rint(x * digits.unit))
    cells[place] += sign * (whole & 0xFFFFFFFF)
    cells[place + 1] += sign * (whole >> 32)


@compiled
def _add_scored(
    cells: Int64s,
    start: int,
    layout: Layout,
    sign: int,
    p: float,
    came: bool,
    loss: float,
    brier: float,
) -> None:
    """Adds what is counted of a row with a score: whether what had the probability `p` came."""
    bin_ = min(int(p * layout.reliability_bins), layout.reliability_bins - 1)
    place = start + layout.reliability + 2 * bin_
    cells[place] += sign
    cells[place + 1] += sign * came
    place = start + layout.reliability_sums + layout.share.many * bin_
    add_share(cells, place, p, sign, layout.share)
    place = start + layout.losses
    for x in (loss, loss * loss, brier, brier * brier):
        add_share(cells, place, x, sign, layout.share)
        place += layout.share.many


@compiled
def tally_rows(cells: Int64s, layout: Layout, delays: Steps, rows: Rows) -> None:
    """Adds what is counted of any row: totals, delay, and of classes the confusion.

    `cells` are the groups' vectors, one behind the other.
    """
    classes = layout.classes
    for i in range(len(rows.group)):
        start, sign = rows.group[i] * layout.width, -1 if rows.out[i] else 1
        cells[start + layout.width - 3] -= rows.out[i]
        cells[start + layout.width - 2] += sign
        cells[start + layout.width - 1] += sign * rows.late[i]
        cells[start + layout.delays + _step(np.float64(rows.delay_ms[i]), delays)] += sign
        if classes:
            code = rows.code[i] if 0 <= rows.code[i] < classes else classes
            cells[start + layout.confusion + code * (classes + 1) + rows.label[i]] += sign


@compiled
def tally_binary(cells: Int64s, layout: Layout, edges: Steps, rows: Rows) -> None:
    """Adds what is counted of binary rows whose score is from 0 to 1, in bins between `edges`."""
    losses = np.empty(len(rows.group))  # a loop of its own is compiled to many rows at once
    for i in range(len(losses)):
        losses[i] = _loss(rows.value[i] if rows.label[i] else 1.0 - rows.value[i])
    for i in range(len(losses)):
        p = rows.value[i]
        if not 0.0 <= p <= 1.0:
            continue
        start, sign, label = rows.group[i] * layout.width, -1 if rows.out[i] else 1, rows.label[i]
        cells[start + layout.scores + 2 * _step(p, edges) + label] += sign
        miss = p - label
        _add_scored(cells, start, layout, sign, p, label == 1, losses[i], miss * miss)


@compiled
def tally_multiclass(cells: Int64s, layout: Layout, rows: Rows, probabilities: _Floats) -> None:
    """Adds what is counted of rows whose (n, K) probabilities are from 0 to 1, label included."""
    classes = layout.classes
    for i in range(len(rows.group)):
        label, top, brier, sound = rows.label[i], 0, 0.0, rows.label[i] < classes
        for column in range(classes):
            p = probabilities[i, column]
            sound &= 0.0 <= p <= 1.0
            if p > probabilities[i, top]:
                top = column
            miss = p - (label == column)
            brier += miss * miss
        if sound:
            start, sign = rows.group[i] * layout.width, -1 if rows.out[i] else 1
            p, loss = probabilities[i, top], _loss(probabilities[i, label])
            _add_scored(cells, start, layout, sign, p, label == top, loss, brier)


@compiled
def tally_regression(cells: Int64s, layout: Layout, rows: Rows, labels: _Floats) -> None:
    """Adds what is counted of rows whose labels (n,) are numbers."""
    for i in range(len(rows.group)):
        start, sign = rows.group[i] * layout.width, -1 if rows.out[i] else 1
        y, predicted, used = labels[i], rows.value[i], start + layout.used
        if not (abs(y) <= layout.regression_limit and abs(predicted) <= layout.regression_limit):
            cells[used + 2] += sign
            continue
        cells[used] += sign
        cells[used + 1] += sign * (y != 0.0)
        error = predicted - y
        squared, y_squared, size = error * error, y * y, abs(error)
        ratio = size / abs(y) if y != 0.0 else 0.0
        place = start + layout.moments
        powers = (y, y_squared, y_squared * y, y_squared * y_squared)
        errors = (error, squared, squared * squared, squared * y, squared * y_squared)
        for x in powers + errors + (size, ratio, ratio * ratio):
            add(cells, place, x, sign, layout.wide)
            place += layout.wide.many
