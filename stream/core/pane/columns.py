"""Conditions held against columns of plain values, and the codes of a column's categories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.conditions import All, Condition, Equal, Missing, Not, Order
from stream.core.numbers import number_of
from stream.core.records import Int64s, Scalar

__all__ = ["Codes", "Columns", "holds"]

_Flags = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_TEXT: Final = frozenset({str})


class Codes(dict[Scalar, int]):
    """Each value's code: k for the k-th category; their number for any other, one more for none.

    1, 1.0, True and "1" are one category; None and NaN are missing.

    >>> codes = Codes(["CA", "1"])
    >>> [codes[value] for value in ("CA", 1.0, True, "NY", None, float("nan"))]
    [0, 1, 1, 2, 3, 3]
    """

    def __init__(self, categories: Iterable[str]) -> None:
        names = list(categories)
        super().__init__({None: len(names) + 1})
        self.other = len(names)
        for code, name in enumerate(names):
            self[name] = code
            number = number_of(name)
            if number is not None:
                self[number] = code

    def __missing__(self, value: Scalar) -> int:
        return self.other if value == value else self.other + 1


class Columns:
    """Columns of n rows, or of the rows at `places` (k,) among them; each converted once.

    A name that there isn't is a column of missing values.
    """

    def __init__(
        self,
        plain: Mapping[str, Sequence[Scalar] | _Floats],
        count: int,
        places: Int64s | None = None,
    ) -> None:
        self.count = count if places is None else len(places)
        self._plain = plain
        self._places = None if places is None else places.tolist()
        self._values: dict[str, Sequence[Scalar]] = {}
        self._numbers: dict[str, _Floats] = {}

    def values(self, name: str) -> Sequence[Scalar]:
        """The column's values as they were sent."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._taken(name)
        return found

    def codes(self, name: str, codes: Codes) -> Int64s:
        """Each value's code, (n,) int64."""
        values = self.values(name)
        return np.fromiter(map(codes.__getitem__, values), dtype=np.int64, count=self.count)

    def numbers(self, name: str) -> _Floats:
        """The column's numbers, (n,) float64; NaN where it has none, or a text."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = _numbers(self.values(name))
        return found

    def _taken(self, name: str) -> Sequence[Scalar]:
        column = self._plain.get(name)
        if column is None:
            return [None] * self.count
        if isinstance(column, np.ndarray):
            floats: list[Scalar] = column.tolist()
            column = floats
        return column if self._places is None else [column[place] for place in self._places]


def holds(condition: Condition, columns: Columns) -> _Flags:
    """Where the condition is true, (n,) bool; see `conditions` for what it means."""
    if isinstance(condition, Order):
        return _ordered(condition, columns.numbers(condition.column))
    if isinstance(condition, Equal):
        codes = Codes(condition.values)
        found: Int64s = columns.codes(condition.column, codes)
        is_one: _Flags = found == codes.other if condition.negated else found < codes.other
        return is_one
    if isinstance(condition, Missing):
        codes = Codes(())
        found = columns.codes(condition.column, codes)
        missing: _Flags = found == codes.other if condition.negated else found != codes.other
        return missing
    if isinstance(condition, Not):
        return ~holds(condition.part, columns)
    every = isinstance(condition, All)
    found_all = holds(condition.parts[0], columns)
    for part in condition.parts[1:]:
        other = holds(part, columns)
        found_all = found_all & other if every else found_all | other
    return found_all


def _ordered(condition: Order, numbers: _Floats) -> _Flags:
    """Comparisons with NaN are false."""
    if condition.sign == "<":
        return numbers < condition.number
    if condition.sign == "<=":
        return numbers <= condition.number
    if condition.sign == ">":
        return numbers > condition.number
    return numbers >= condition.number


def _numbers(values: Sequence[Scalar]) -> _Floats:
    if _TEXT.isdisjoint(set(map(type, values))):
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass  # a whole number beyond float64 is among them
    return np.array([_float(value) for value in values], dtype=np.float64)


def _float(value: Scalar) -> float:
    if value is None or isinstance(value, str):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
