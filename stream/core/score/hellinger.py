"""Hellinger distance."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats, shares

__all__ = ["hellinger"]


def hellinger(binned: Binned) -> Floats:
    """√(½ Σ (√p − √q)²) over merged bins, (V,), from 0 to 1 (Hellinger 1909)."""
    apart = np.sqrt(shares(binned.window)) - np.sqrt(shares(binned.reference))
    return np.asarray(np.sqrt((apart * apart).sum(axis=1) / 2))
