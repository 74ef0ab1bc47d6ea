"""Fixed logarithmic bins: quantiles of positive values, from counts that merge in any order.

The bins are those of DDSketch (Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees, 2019), but fixed: their bounds are multiplied up one from
the other, so that no logarithm decides where a value belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s

__all__ = ["ACCURACY", "DELAYS", "LATENCIES", "LogBins"]

ACCURACY = 0.02
_RATIO = (1 + ACCURACY) / (1 - ACCURACY)
_CELL_BITS = 6  # cells of 1/64 of a power of two hold one bound at most
_SHIFT = np.int64(52 - _CELL_BITS)

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogBins:
    """Bins of values from `low` to `high`, and one for all below: `size` of them.

    Bin 0 holds x < low (and anything negative); bin j >= 1 holds low·r^(j-1) <= x < low·r^j with
    r = 1.02/0.98; the last one also all above. A quantile is told as a bin's value, which differs
    from any value of [low, high] in the bin by at most 2 % of that value.
    """

    low: float
    high: float
    edges: _Floats = field(init=False, repr=False, compare=False)
    _cells: Int64s = field(init=False, repr=False, compare=False)
    _limits: _Floats = field(init=False, repr=False, compare=False)
    _first: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = [self.low]
        while edges[-1] < self.high:
            edges.append(edges[-1] * _RATIO)
        bounds = np.array(edges)
        first = int(_cell(np.nextafter(bounds[:1], 0.0))[0])
        last = int(_cell(bounds[-1:])[0])
        starts = (np.arange(first, last + 1, dtype=np.int64) << _SHIFT).view(np.float64)
        cells = np.searchsorted(bounds[:-1], starts, side="right")
        object.__setattr__(self, "edges", bounds)
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "_cells", cells)
        object.__setattr__(self, "_limits", np.append(bounds[:-1], np.nan).take(cells))

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.edges)

    def bin_of(self, x: _Floats) -> Int64s:
        """The bin of each value, (n,). NaN belongs to none: leave it out before.

        >>> LogBins(1.0, 1e6).bin_of(np.array([0.0, 1.0, 1.05, 1e9])).tolist()
        [0, 1, 2, 346]
        """
        held = np.clip(x, np.nextafter(self.low, 0.0), self.edges[-1])
        cell = _cell(held)
        cell -= self._first
        found = self._cells.take(cell)
        found += held >= self._limits.take(cell, mode="clip")  # NaN: no bound in the cell
        return np.asarray(found)

    def quantile(self, counts: Int64s, q: float) -> float | None:
        """The value that a share `q` of the counted ones don't exceed; None if there are none.

        Within 2 % of the ceil(q·n)-th smallest value where that lies in [low, high]. Bin 0 is
        told as 0, the last one as its lower bound.
        """
        below = np.cumsum(counts)
        n = int(below[-1])
        if n <= 0:
            return None
        rank = min(max(int(-(-q * n // 1)), 1), n)
        place = int(np.searchsorted(below, rank))
        if place == 0:
            return 0.0
        lower = float(self.edges[place - 1])
        return lower if place == self.size - 1 else lower * 2 * _RATIO / (1 + _RATIO)


def _cell(x: _Floats) -> Int64s:
    """A positive float's exponent and its mantissa's first bits, as a number that ascends."""
    return np.asarray(np.ascontiguousarray(x, dtype=np.float64).view(np.int64) >> _SHIFT)


LATENCIES = LogBins(0.01, 3_600_000.0)  # milliseconds: 10 µs to an hour
DELAYS = LogBins(1.0, 400 * 86_400_000.0)  # milliseconds: to 400 days
