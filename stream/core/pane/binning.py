"""Slots of many values at once: for numeric variables, the bin that holds each value.

`searchsorted` costs 33 ns a value; a table costs a few. The values' range is cut into equal
cells, fine enough that at most one bin edge falls into any of them. A cell's table entry is the
number of edges in the cells before it; one comparison with the next edge settles the rest. That
is exact, because the same monotone floating-point function assigns values and edges to cells.

Models whose profiles have equally many numeric variables share one `Stack`, so that rows of a
thousand models are binned in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s
from stream.core.specs import ABOVE, BELOW, MISSING, Profile

__all__ = ["Stack", "Table", "region_slots", "tables_of"]

Floats = npt.NDArray[np.float64]

_MOST_CELLS = 1 << 14
_SMALL = 1 << 16  # cells of a stack that stay in the cache
_BLOCK = 40_000  # values a pass works on at once, so that its arrays stay in the cache


class Table:
    """The table of a variable's edges: parameters of the cell function, regions, boundaries.

    Regions are numbered from below: 0 is under the first edge, r in 1..k is bin r - 1, k + 1 is
    over the last edge. The boundaries between them are the first k edges and the next float
    after the last one, whose bin is closed.
    """

    __slots__ = ("boundaries", "cells", "limits", "regions", "scale", "shift")

    def __init__(self, edges: Sequence[float]) -> None:
        self.boundaries: Floats = np.array(edges, dtype=np.float64)
        self.boundaries[-1] = np.nextafter(self.boundaries[-1], np.inf)
        self.cells = 0  # 0: no table serves these edges, search instead
        self.scale = self.shift = 0.0
        self.regions = np.zeros(1, dtype=np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            reach = float(self.boundaries[-1] - self.boundaries[0])
        self.limits: Floats = np.zeros(0)  # each cell's next boundary, NaN where there is none
        cells = 64
        while cells <= _MOST_CELLS and not self.cells:
            self._try(cells, reach)
            cells *= 2

    def _try(self, cells: int, reach: float) -> None:
        with np.errstate(over="ignore"):
            scale = float(np.float64(cells) / np.float64(reach)) if reach > 0 else np.inf
        if not np.isfinite(scale) or not np.isfinite(reach):
            return
        shift = 1.0 - float(self.boundaries[0]) * scale
        if not np.isfinite(shift):
            return
        places = (self.boundaries * scale + shift).clip(0.0, cells + 1.0).astype(np.int64)
        if not bool((places[1:] > places[:-1]).all()):  # two edges in one cell
            return
        self.cells, self.scale, self.shift = cells, scale, shift
        self.regions = np.searchsorted(places, np.arange(cells + 2))
        self.limits = np.append(self.boundaries, np.nan).take(self.regions)

    def regions_of(self, x: Floats) -> Int64s:
        """The regions of values, (n,); of NaN the first, where no table serves the last."""
        if not self.cells:
            return self.boundaries.searchsorted(x, side="right")
        with np.errstate(over="ignore", invalid="ignore"):
            cell = x * self.scale
            cell += self.shift
            np.fmax(cell, 0.0, out=cell)
            np.fmin(cell, self.cells + 1.0, out=cell)
            place = cell.astype(np.int64)
            region = self.regions.take(place, mode="clip")
            region += x >= self.limits.take(place, mode="clip")
        return region


class Stack:
    """The numeric binning of profiles (their tables) that have equally many numeric variables.

    `regions` takes (Fn, n) values, binned as float64, and the (n,) index of each row's profile
    in the stack (or one index for all) and gives *regions*: 0 below, 1..k the bins, k + 1 above,
    k + 2 missing (NaN). `region_slots` says where the counts of regions belong in the count
    vector.
    """

    def __init__(self, tables: Sequence[tuple[Table, ...]]) -> None:
        self._tables = tables
        flat = list(chain.from_iterable(tables))
        shape = (len(tables), 1, len(tables[0]) if tables else 0)
        scales = np.array([t.scale for t in flat]).reshape(shape)
        shifts = np.array([t.shift for t in flat]).reshape(shape)
        mosts = np.array([t.cells + 1.0 for t in flat]).reshape(shape)
        self._affine = np.concatenate([scales, shifts, mosts], axis=1)
        cells = _offsets([len(t.regions) for t in flat])
        edges = _offsets([len(t.boundaries) + 1 for t in flat])
        missing = np.array([len(t.boundaries) + 1 for t in flat], np.int64)
        self._places = np.stack([cells, edges, missing]).reshape(3, *shape[::2]).swapaxes(0, 1)
        self._nexts = _joined([t.regions for t in flat])
        self._boundaries = np.concatenate(  # NaN behind each variable's: no value reaches it
            [np.append(t.boundaries, np.nan) for t in flat] or [np.zeros(1)]
        )
        self._searched = [[f for f, table in enumerate(row) if not table.cells] for row in tables]
        self._searches = np.array([bool(features) for features in self._searched])

    def regions(
        self,
        numbers: Floats | npt.NDArray[np.float32],
        rows: npt.NDArray[np.int64] | int,
        out: Int64s,
    ) -> None:
        """Writes the regions of (Fn, n) values to `out`, (Fn, n) int64."""
        features, count = numbers.shape
        step = max(1, _BLOCK // max(1, features))
        with np.errstate(over="ignore", invalid="ignore"):  # a NaN may be a signalling one
            values: Floats = numbers.astype(np.float64, copy=False)
            for start in range(0, count, step):
                block = slice(start, min(count, start + step))
                if isinstance(rows, int):
                    affine, places = self._affine[rows, :, :, None], self._places[rows, :, :, None]
                    self._block(values[:, block], affine, places, out[:, block])
                else:
                    self._mixed(values[:, block], rows[block], out[:, block])
        self._search(values, rows, out)

    def _mixed(self, values: Floats, rows: npt.NDArray[np.int64], out: Int64s) -> None:
        """Rows of several profiles: row-major, so that a row's parameters are one stretch."""
        affine = self._affine.take(rows, axis=0).transpose(1, 0, 2)
        places = self._places.take(rows, axis=0).transpose(1, 0, 2)
        self._block(np.ascontiguousarray(values.T), affine, places, out.T)

    def _block(self, values: Floats, affine: Floats, places: Int64s, out: Int64s) -> None:
        """Regions of a block of values.

        `affine` are scale, shift and last cell of the cell function, `places` the offsets of
        cells and edges and the missing region; each of the six is broadcast against the values.
        """
        absent = np.isnan(values)
        holes = bool(absent.any())
        known = np.where(absent, 0.0, values) if holes else values
        cell = known * affine[0]
        cell += affine[1]
        np.maximum(cell, 0.0, out=cell)
        np.minimum(cell, affine[2], out=cell)
        place = cell.astype(np.int64)
        place += places[0]
        following = self._nexts.take(place, mode="clip")
        np.add(following, places[1], out=place)
        reached = known >= self._boundaries.take(place, mode="clip")
        np.add(following, reached, out=out)
        if holes:
            np.copyto(out, places[2], where=absent)

    def _search(self, values: Floats, rows: npt.NDArray[np.int64] | int, out: Int64s) -> None:
        """Overwrites the variables whose edges no table serves."""
        if isinstance(rows, int):
            found = {rows: slice(None)} if self._searches[rows] else {}
            self._search_each(values, found, out)
        elif self._searches[rows].any():
            models = np.unique(rows[self._searches[rows]]).tolist()
            self._search_each(values, {m: np.flatnonzero(rows == m) for m in models}, out)

    def _search_each(
        self, values: Floats, where: Mapping[int, slice | npt.NDArray[np.intp]], out: Int64s
    ) -> None:
        for model, at in where.items():
            for feature in self._searched[model]:
                boundaries = self._tables[model][feature].boundaries
                picked = values[feature, at]
                found = boundaries.searchsorted(picked, side="right")
                found[np.isnan(picked)] = len(boundaries) + 1
                out[feature, at] = found


def tables_of(profile: Profile) -> tuple[Table, ...]:
    """The tables of a profile's numeric variables; costly, so to be kept."""
    return tuple(Table(variable.edges) for variable in profile.numeric)


def region_slots(profile: Profile) -> Int64s:
    """Where in the profile's count vector each internal code is counted, (width,) int64.

    Internally a numeric variable's codes are its regions, in the profile's order of variables.
    """
    order = np.arange(profile.width, dtype=np.int64)
    for variable, start in zip(profile.numeric, profile.starts.tolist(), strict=False):
        size = variable.size
        order[start] = start + size + BELOW
        order[start + 1 : start + 1 + size] = start + np.arange(size)
        order[start + size + 1] = start + size + ABOVE
        order[start + size + 2] = start + size + MISSING
    return order


def _joined(parts: Sequence[Int64s]) -> npt.NDArray[np.integer[Any]]:
    """One array of all parts: of 8 bytes an item if it is small, as look-ups like it; else of few.

    Tables of a thousand models are looked up in memory, not in the cache: the fewer bytes the
    better.
    """
    joined = np.concatenate(parts) if parts else np.zeros(1, np.int64)
    return joined if len(joined) <= _SMALL else joined.astype(np.min_scalar_type(joined.max()))


def _offsets(lengths: Sequence[int]) -> Int64s:
    return np.cumsum([0, *lengths[:-1]], dtype=np.int64) if lengths else np.zeros(0, np.int64)
