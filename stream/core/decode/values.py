"""Label values and predictions as form and bits, many at a time (`labels.label_bits`)."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.stack import numbers_of
from stream.core.labels import Form, label_bits
from stream.core.records import Scalar

__all__ = ["Bits", "Values", "bits_of_numbers", "nan_as_null", "not_finite", "texts_of"]

_MAX_KEPT: Final = 1 << 16
_MAX_KEPT_LENGTH: Final = 256  # of a text; a longer one is no class, and is read anew each time
_EXACT: Final = float(1 << 53)

Bits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]


class Values:
    """Turns scalars into form and bits; remembers the short texts it saw (at most 65,536)."""

    def __init__(self) -> None:
        self._forms = _Forms()
        self._bits = _Texts()

    def bits_of(self, values: Sequence[Scalar]) -> Bits:
        """Form (n,) uint8 and bits (n,) uint64 of each value; NaN stays a NUMBER."""
        kinds = set(map(type, values))
        if str not in kinds:
            numbers, _ = numbers_of(values)
            if int not in kinds or not (np.abs(numbers) >= _EXACT).any():
                null = None
                if type(None) in kinds:
                    null = np.fromiter(map(operator.is_, values, repeat(None)), np.bool_)
                return bits_of_numbers(numbers, null)
        if len(self._bits) > _MAX_KEPT:
            self._bits.clear()
            self._forms.clear()
        count = len(values)
        return (
            np.fromiter(map(self._forms.__getitem__, values), np.uint8, count),
            np.fromiter(map(self._bits.__getitem__, values), np.uint64, count),
        )


class _Texts(dict[Scalar, int]):
    """Bits by value. Only texts are kept: 2**60 and float(2**60) are one key and two values."""

    def __missing__(self, value: Scalar) -> int:
        bits = _label_bits(value)[1]
        if type(value) is str and len(value) <= _MAX_KEPT_LENGTH:
            self[value] = bits
        return bits


class _Forms(dict[Scalar, int]):
    def __missing__(self, value: Scalar) -> int:
        form = _label_bits(value)[0]
        if type(value) is str and len(value) <= _MAX_KEPT_LENGTH:
            self[value] = form
        return form


def bits_of_numbers(numbers: npt.NDArray[np.float64], null: npt.NDArray[np.bool_] | None) -> Bits:
    """Form and bits of numbers, none of which was an integer beyond 2^53."""
    form = np.full(len(numbers), Form.NUMBER, dtype=np.uint8)
    bits = (numbers + 0.0).view(np.uint64)
    if null is not None:
        form[null] = Form.NULL
        bits[null] = 0
    return form, bits


def nan_as_null(values: Bits) -> Bits:
    """The same with NULL where a number is NaN; changes its arguments."""
    form, bits = values
    odd = not_finite(values)
    if odd.any():
        odd &= np.isnan(bits.view(np.float64))
        form[odd] = Form.NULL
        bits[odd] = 0
    return values


def not_finite(values: Bits) -> npt.NDArray[np.bool_]:
    """Where a number is NaN or infinite, (n,) bool."""
    form, bits = values
    with np.errstate(invalid="ignore"):  # a text's bits may be those of a signalling NaN
        odd: npt.NDArray[np.bool_] = ~np.isfinite(bits.view(np.float64))
    odd &= form == Form.NUMBER
    return odd


def texts_of(values: Sequence[Scalar], bits: Bits) -> dict[int, str]:
    """Bits -> text of the values that are held as TEXT."""
    form, hashes = bits
    places = np.flatnonzero(form == Form.TEXT)
    if not len(places):
        return {}
    found = dict(zip(hashes[places].tolist(), places.tolist(), strict=True))
    return {each: str(values[place]) for each, place in found.items()}


def _label_bits(value: Scalar) -> tuple[int, int]:
    if value != value:
        return Form.NUMBER, _NAN
    return label_bits(value)


_NAN: Final = int(np.float64(np.nan).view(np.uint64))
