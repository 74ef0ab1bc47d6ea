"""Distributions as small bars of text, a reference's and a window's over the same axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.specs import CategoricalVariable, NumericVariable, Variable

__all__ = ["axis_of", "bars", "shape"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CELLS = 12
_TAIL = 0.01
_Floats = npt.NDArray[np.float64]


def shape(variable: Variable, counts: Sequence[int]) -> _Floats:
    """The shares of rows along a variable's axis, at most 12 of them; zeros where no rows are.

    A numeric variable's axis is cut into cells of equal width between the reference's 1st and
    99th percentile (a bin's rows spread evenly over it; what lies outside counts in the outer
    cells). A categorical one's cells are its first categories and one for all others.
    """
    if isinstance(variable, NumericVariable):
        cells = _numeric(variable, np.asarray(counts, dtype=np.float64))
    else:
        cells = _categorical(variable, np.asarray(counts, dtype=np.float64))
    total = cells.sum()
    return cells / total if total else cells


def bars(shares: _Floats, highest: float) -> str:
    """One character a cell, as high as its share of `highest`; something is never nothing."""
    if highest <= 0:
        return " " * len(shares)
    steps = np.ceil(np.clip(shares / highest, 0, 1) * (len(_BLOCKS) - 1)).astype(int)
    return "".join(_BLOCKS[step] for step in steps)


def axis_of(variable: Variable) -> str:
    """Where the axis begins and ends, or which categories its cells are."""
    if isinstance(variable, CategoricalVariable):
        return " ".join(name[:8] for name in variable.categories[:4])
    low, high = _range(variable)
    return f"{low:.4g} … {high:.4g}"


def _range(variable: NumericVariable) -> tuple[float, float]:
    counts = np.asarray(variable.counts[: variable.size], dtype=np.float64)
    edges = np.asarray(variable.edges)
    if not counts.sum():
        return float(edges[0]), float(edges[-1])
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    low, high = np.interp([_TAIL, 1 - _TAIL], share, edges)
    return float(low), float(high)


def _numeric(variable: NumericVariable, counts: _Floats) -> _Floats:
    edges = np.asarray(variable.edges)
    low, high = _range(variable)
    regular = counts[: variable.size]
    below, above = counts[variable.size], counts[variable.size + 1]
    cumulated = np.concatenate([[0.0], np.cumsum(regular)])
    axis = np.linspace(low, high, _CELLS + 1)
    at = np.interp(axis, edges, cumulated)
    cells: _Floats = np.diff(at)
    cells[0] += at[0] + below
    cells[-1] += cumulated[-1] - at[-1] + above
    return cells


def _categorical(variable: CategoricalVariable, counts: _Floats) -> _Floats:
    named = counts[: variable.size]
    others = counts[variable.size] + counts[variable.size + 1] + named[_CELLS - 1 :].sum()
    return np.concatenate([named[: _CELLS - 1], [others]])
