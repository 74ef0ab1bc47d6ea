"""Sums of real numbers that are exact and independent of order: fixed-point digits in integers.

A value is rounded once to a multiple of 2^-bits; from there on everything is integer arithmetic.
Digits of base 2^32 carry the value's sign, so that those of many values add up (up to 2^31 of
them) and those of a value taken out again leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s

__all__ = ["NARROW", "SHARE", "WIDE", "Form", "digits", "exact", "total"]

_Floats = npt.NDArray[np.float64]
_BASE_BITS = 32


@dataclass(frozen=True, slots=True)
class Form:
    """How a number is written: so many digits, lowest first, of multiples of 2^-bits.

    Values of 2^limit_bits and more are held as the largest number there is.
    """

    digits: int
    bits: int

    @property
    def limit_bits(self) -> int:
        """The power of two that values stay below."""
        return self.digits * _BASE_BITS - self.bits


SHARE = Form(2, 40)  # up to 1.6e7: probabilities and losses of them
NARROW = Form(4, 40)  # up to 3e26
WIDE = Form(8, 96)  # up to 7e47, in steps of 1e-29: fourth powers of errors


def digits(x: _Floats, form: Form = NARROW) -> Int64s:
    """The digits of each value, shape (*x.shape, form.digits), lowest first, signed as the value.

    Rounds to the nearest multiple of 2^-bits (ties to even), exact where the value is one; ±inf
    and what is too large become the largest number of that sign; NaN becomes 0.

    >>> digits(np.array([1.5, -1.0]), SHARE).tolist()
    [[0, 384], [0, -256]]
    """
    top = float(2.0**form.limit_bits)
    largest = np.nextafter(top, 0.0)
    rest = np.nan_to_num(np.clip(x, -largest, largest), nan=0.0)
    rest = np.rint(rest * 2.0**form.bits)
    found = np.empty((form.digits, *np.shape(x)), dtype=np.int64)
    for place in range(form.digits - 1, 0, -1):
        unit = float(2.0 ** (place * _BASE_BITS))
        digit = np.trunc(rest * (1.0 / unit))
        found[place] = digit
        rest = rest - digit * unit
    found[0] = rest
    return np.moveaxis(found, 0, -1)


def total(sums: Int64s | Sequence[int], form: Form = NARROW) -> float:
    """The real number that sums of digits, (form.digits,), are worth; correctly rounded.

    >>> total(digits(np.array([0.1, 0.2, -0.1, -0.2])).sum(axis=0))
    0.0
    """
    return exact(sums) / (1 << form.bits)


def exact(sums: Int64s | Sequence[int]) -> int:
    """The integer that sums of digits stand for, in units of 2^-bits."""
    return sum(int(digit) << (place * _BASE_BITS) for place, digit in enumerate(sums))
