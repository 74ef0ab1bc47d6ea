"""Sums of real numbers that are exact and independent of order: fixed-point digits in integers.

A value is rounded once to a multiple of 2^-bits; from there on everything is integer arithmetic.
Digits of base 2^32 carry the value's sign, so that those of many values add up (up to 2^31 of
them) and those of a value taken out again leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.records import Int64s

__all__ = ["SHARE", "WIDE", "Form", "exact", "total"]

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
WIDE = Form(8, 96)  # up to 7e47, in steps of 1e-29: fourth powers of errors


def total(sums: Int64s | Sequence[int], form: Form) -> float:
    """The real number that sums of digits, (form.digits,), are worth; correctly rounded.

    >>> total([1 << 31, 384], SHARE)
    1.501953125
    """
    return exact(sums) / (1 << form.bits)


def exact(sums: Int64s | Sequence[int]) -> int:
    """The integer that sums of digits stand for, in units of 2^-bits."""
    return sum(int(digit) << (place * _BASE_BITS) for place, digit in enumerate(sums))
