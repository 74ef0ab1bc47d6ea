"""Merges a profile's slots into the few bins that scores are told over; from the reference alone.

A numeric variable's bins become at most 16 runs of neighbours of about equal mass. What lies
below or above them joins the outer runs: any new sample has a few rows there, and no reference
can say how many to expect; `out_of_range_ratio` watches them. Only where there are fewer than
16 bins (a constant, a few values, each in its own) values out of range are a bin of their own,
as an unseen category would be. A categorical variable's categories become at most 15 runs in
order of frequency, and OTHER with UNSEEN one bin more: for a variable of few categories that
bin is empty in the reference and speaks up at once, for one of thousands it is a usual part of
the distribution. Rows without a usable value (missing or mistyped) are a bin too, because a
feature that goes missing has another distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stream.core.numbers import equal_mass
from stream.core.records import Int64s
from stream.core.score.binned import Binned, Floats
from stream.core.specs import (
    ABOVE,
    BELOW,
    OTHER,
    SPECIALS,
    UNSEEN,
    NumericVariable,
    Profile,
    Variable,
)

__all__ = ["MERGED", "Plan", "merged_columns", "plan"]

MERGED = 16  # bins of values; the bin of rows without a usable value comes behind them
_EXPECTED = 5  # rows that a window of min_rows and the reference hold in a merged bin, at least
_FEWEST = 50  # a smaller min_rows merges no further: a tenth of the reference a bin is enough


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each slot of a profile's count vector goes, and the reference once it is there.

    Each is a place in a flat table, one place a slot: `merged` in (V, MERGED + 1), `fine` in
    (V, F), `specials` in (V, SPECIALS); a slot that a table doesn't take has the place behind.
    """

    merged: Int64s
    fine: Int64s
    specials: Int64s
    points: Floats
    spread: Floats
    numeric: npt.NDArray[np.bool_]
    reference: tuple[Floats, Floats, Floats]

    def bin(self, counts: Int64s) -> Binned:
        """A window's count vector beside the reference's."""
        reference, fine_reference, reference_specials = self.reference
        window, fine_window, window_specials = _place(
            counts, self.merged, self.fine, self.specials, self.points.shape
        )
        return Binned(
            reference=reference,
            window=window,
            fine_reference=fine_reference,
            fine_window=fine_window,
            points=self.points,
            spread=self.spread,
            reference_specials=reference_specials,
            window_specials=window_specials,
            reference_rows=reference.sum(axis=1),
            window_rows=window.sum(axis=1),
            numeric=self.numeric,
        )


@lru_cache(maxsize=4096)
def plan(profile: Profile, min_rows: int) -> Plan:
    """The plan for windows of at least `min_rows` rows; kept for the profiles used last."""
    count = len(profile.variables)
    width = max((variable.size for variable in profile.numeric), default=0) + 2
    points, spread = np.zeros((count, width)), np.ones(count)
    merged = np.zeros(profile.width, dtype=np.int64)
    fine = np.full(profile.width, count * width, dtype=np.int64)
    specials = np.full(profile.width, count * SPECIALS, dtype=np.int64)
    for row, variable in enumerate(profile.variables):
        start = int(profile.starts[row])
        end = start + variable.size
        merged[start : end + SPECIALS] = row * (MERGED + 1) + merged_columns(variable, min_rows)
        specials[end : end + SPECIALS] = row * SPECIALS + np.arange(SPECIALS)
        if isinstance(variable, NumericVariable):
            fine[start:end] = row * width + 1 + np.arange(variable.size)
            fine[end + BELOW] = row * width
            fine[end + ABOVE] = row * width + variable.size + 1
            points[row], spread[row] = _scale(variable, width)
    return Plan(
        merged=merged,
        fine=fine,
        specials=specials,
        points=points,
        spread=spread,
        numeric=np.arange(count) < len(profile.numeric),
        reference=_place(profile.counts, merged, fine, specials, points.shape),
    )


def merged_columns(variable: Variable, min_rows: int) -> Int64s:
    """The merged bin of each of a variable's slots, (width,), MERGED for no usable value."""
    columns = np.full(variable.width, MERGED, dtype=np.int64)
    counts = np.asarray(variable.counts, dtype=np.int64)
    values = counts[: variable.size].copy()
    least = max(-(-_EXPECTED * int(counts.sum()) // max(min_rows, _FEWEST)), _EXPECTED)
    ordered = isinstance(variable, NumericVariable) and variable.size >= MERGED
    if ordered:
        values[0] += counts[variable.size + BELOW]
        values[-1] += counts[variable.size + ABOVE]
    starts = equal_mass(values, MERGED if ordered else MERGED - 1, least)
    outside = (0, len(starts) - 1) if ordered else (MERGED - 1, MERGED - 1)
    columns[: variable.size] = np.searchsorted(starts, np.arange(variable.size), "right") - 1
    columns[variable.size + BELOW] = columns[variable.size + OTHER] = outside[0]
    columns[variable.size + ABOVE] = columns[variable.size + UNSEEN] = outside[1]
    return columns


def _scale(variable: NumericVariable, width: int) -> tuple[Floats, float]:
    """Where the fine bins lie, the last place repeated to `width`, and what to divide moves by."""
    edges = np.asarray(variable.edges, dtype=np.float64)
    middles = edges[:-1] / 2 + edges[1:] / 2
    points = np.concatenate((edges[:1], middles, edges[-1:]))
    extent = float(edges[-1] / 2 - edges[0] / 2)
    unit = variable.std if variable.std > 0 else extent
    return np.pad(points, (0, width - len(points)), mode="edge"), unit


def _place(
    counts: Int64s, merged: Int64s, fine: Int64s, specials: Int64s, shape: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    rows, width = shape

    def table(places: Int64s, columns: int) -> Floats:
        flat = np.bincount(places, weights=counts, minlength=rows * columns + 1)
        return np.asarray(flat[: rows * columns].reshape(rows, columns), dtype=np.float64)

    return table(merged, MERGED + 1), table(fine, width), table(specials, SPECIALS)
