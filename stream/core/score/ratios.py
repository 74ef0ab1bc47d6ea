"""Shares of rows whose value is none that the reference's bins hold, and how they changed."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats
from stream.core.specs import ABOVE, BELOW, MISSING, MISTYPED, UNSEEN

__all__ = [
    "missing_change",
    "missing_ratio",
    "mistyped_change",
    "mistyped_ratio",
    "out_of_range_change",
    "out_of_range_ratio",
    "unseen_change",
    "unseen_ratio",
]


def missing_ratio(binned: Binned) -> Floats:
    """The window's share of rows without a value (absent, null, NaN), (V,)."""
    return _window(binned, MISSING)


def missing_change(binned: Binned) -> Floats:
    """How far the share of rows without a value is from the reference's, (V,)."""
    return _change(binned, MISSING)


def mistyped_ratio(binned: Binned) -> Floats:
    """The window's share of rows whose value has another type, (V,)."""
    return _window(binned, MISTYPED)


def mistyped_change(binned: Binned) -> Floats:
    """How far the share of rows of another type is from the reference's, (V,)."""
    return _change(binned, MISTYPED)


def out_of_range_ratio(binned: Binned) -> Floats:
    """The window's share of rows below or above all that the reference has seen, (V,)."""
    return _window(binned, BELOW, ABOVE)


def out_of_range_change(binned: Binned) -> Floats:
    """How far the share of rows out of range is from the reference's, (V,)."""
    return _change(binned, BELOW, ABOVE)


def unseen_ratio(binned: Binned) -> Floats:
    """The window's share of rows of categories that the profile doesn't name, (V,)."""
    return _window(binned, UNSEEN)


def unseen_change(binned: Binned) -> Floats:
    """How far the share of unnamed categories is from the reference's, (V,)."""
    return _change(binned, UNSEEN)


def _window(binned: Binned, *slots: int) -> Floats:
    return _share(binned.window_specials, binned.window_rows, slots)


def _change(binned: Binned, *slots: int) -> Floats:
    before = _share(binned.reference_specials, binned.reference_rows, slots)
    now = _share(binned.window_specials, binned.window_rows, slots)
    return np.abs(now - before)


def _share(specials: Floats, rows: Floats, slots: tuple[int, ...]) -> Floats:
    return np.asarray(specials[:, list(slots)].sum(axis=1) / np.maximum(rows, 1.0))
