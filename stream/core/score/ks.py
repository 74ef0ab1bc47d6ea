"""Kolmogorov-Smirnov statistic, binned."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats, shares

__all__ = ["ks"]


def ks(binned: Binned) -> Floats:
    """The largest difference of the two cumulative shares at the profile's edges, (V,), 0 to 1.

    Over all of the profile's bins and what is below and above them; missing values don't count.
    The difference within a bin is not known, so this is at most the statistic of the raw values.
    """
    apart = np.cumsum(shares(binned.fine_window) - shares(binned.fine_reference), axis=1)
    return np.asarray(np.abs(apart).max(axis=1, initial=0.0))
