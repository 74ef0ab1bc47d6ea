"""Jensen-Shannon distance."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats, shares

__all__ = ["js"]


def js(binned: Binned) -> Floats:
    """The square root of the Jensen-Shannon divergence in bits, (V,), from 0 to 1.

    Source: Endres and Schindelin, A new metric for probability distributions, 2003.
    """
    p, q = shares(binned.window), shares(binned.reference)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def _relative_entropy(p: Floats, middle: Floats) -> Floats:
    ratio = np.divide(p, middle, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=1))
