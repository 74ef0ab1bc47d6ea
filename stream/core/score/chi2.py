"""Pearson's chi-squared statistic."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats

__all__ = ["chi2"]


def chi2(binned: Binned) -> Floats:
    """χ² of the 2 × K table (reference, window) by merged bin, (V,); 0 where either is empty.

    Both rows are samples (homogeneity, not goodness of fit: the reference is not the truth). It
    is a test statistic and grows with the rows, unlike the other scores.
    """
    both = binned.reference + binned.window
    n = binned.reference.sum(axis=1, keepdims=True)
    m = binned.window.sum(axis=1, keepdims=True)
    apart = binned.window * n - binned.reference * m
    weight = both * n * m
    cells = np.divide(apart * apart, weight, out=np.zeros_like(both), where=weight > 0)
    return np.asarray(cells.sum(axis=1))
