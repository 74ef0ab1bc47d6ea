"""Slots of categorical values where rows of many models come mixed.

Each model has a dictionary of its own for each variable, so that a row of a thousand models
finds none of its own in the processor's cache. Here all models of one shape share a dictionary
a variable, from values to small numbers; a table has a model's slot for each number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s, Scalar

__all__ = ["Codebook"]

_CELLS: Final = 1 << 22  # of one shape's table, 4 bytes each
_MOST: Final = 256  # numbers of one variable's values
_FEWEST: Final = 16  # below, a table helps too few values
_APART: Final = 0  # the number of values that have none of their own
_UNKNOWN: Final = -1

Lookups = Sequence[dict[Scalar, int]]


class _Reads(Protocol):
    @property
    def lookups(self) -> Lookups: ...


class Codebook:
    """The slots that models of one shape have for the values of their categorical variables.

    It remembers what the models' own look-ups say and never says anything else: a value without
    a number, or a model's first row with it, is looked up there. Numbers have values that some
    model knows, so that nothing of a producer's is kept. Bounded: beyond so many models that the
    table would be too narrow it is given up.

    _row    (E,)       a catalog's entry's row of the table; -1: none yet
    _table  (V, M, W)  slot of a variable's number for a model; -1: not asked yet. 16 MB at most
    """

    def __init__(self, variables: int) -> None:
        self._numbers: list[dict[Scalar, int]] = [{} for _ in range(variables)]
        self._row = np.zeros(0, dtype=np.int64)
        self._rows = 0
        self._table = np.zeros((variables, 0, 0), dtype=np.int32)

    def rows_of(self, entries: npt.NDArray[np.int32]) -> Int64s | None:
        """The table's row of each (n,) catalog's entry; None where there is no table for them."""
        if not self._numbers:
            return None
        most = int(entries.max()) + 1
        if most > len(self._row):
            self._row = np.append(self._row, np.full(most - len(self._row), _UNKNOWN))
        rows = self._row.take(entries)
        if bool((rows < 0).any()):
            new = np.unique(entries[rows < 0])
            if self._rows + len(new) > self._table.shape[1]:
                new = np.unique(entries)
                if not self._begin(2 * max(len(new), self._table.shape[1])):
                    return None
            self._row[new] = np.arange(self._rows, self._rows + len(new))
            self._rows += len(new)
            rows = self._row.take(entries)
        return rows

    def slots(
        self,
        variable: int,
        rows: Int64s,
        plans: Sequence[_Reads],
        values: Iterable[Scalar],
        value_of: Callable[[int], Scalar],
    ) -> Int64s:
        """The slots (n,) of one variable's values, each row's as its plan looks it up.

        `rows` are those that `rows_of` gave just before; `value_of` gives the i-th value again.
        """
        known, table = self._numbers[variable], self._table[variable]
        numbers = np.fromiter(map(known.get, values, repeat(_APART)), np.int64, len(plans))
        slots: Int64s = table[rows, numbers].astype(np.int64)
        for i in np.flatnonzero(slots < 0).tolist():
            value, lookup = value_of(i), plans[i].lookups[variable]
            slots[i] = lookup[value]
            if value in lookup and (value in known or len(known) + 1 < table.shape[1]):
                table[rows[i], known.setdefault(value, len(known) + 1)] = slots[i]
        return slots

    def _begin(self, models: int) -> bool:
        """An empty table for so many models; False where it would be too narrow."""
        width = min(_MOST, _CELLS // (models * len(self._numbers)))
        self._rows = 0
        self._row[:] = _UNKNOWN
        if width < _FEWEST:
            self._numbers = []
            self._table = np.zeros((0, 0, 0), dtype=np.int32)
            return False
        for known in self._numbers:
            known.clear()
        self._table = np.full((len(self._numbers), models, width), _UNKNOWN, dtype=np.int32)
        return True
