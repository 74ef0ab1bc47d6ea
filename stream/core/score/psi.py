"""Population stability index."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats

__all__ = ["psi"]


def psi(binned: Binned) -> Floats:
    """Σ (p − q)·ln(p / q) over merged bins, (V,); 0 where nothing differs, unbounded.

    p and q are the window's and the reference's shares with half a row added to each bin that
    either of them holds, so that an empty bin counts for much but not for everything. It is the
    symmetrised Kullback-Leibler divergence (Jeffreys 1946), known in credit scoring as PSI.
    """
    live = (binned.reference + binned.window) > 0
    half = np.where(live, 0.5, 0.0)
    p = _smoothed(binned.window, half)
    q = _smoothed(binned.reference, half)
    ratio = np.divide(p, q, out=np.ones_like(p), where=live)
    return np.asarray(((p - q) * np.log(ratio)).sum(axis=1))


def _smoothed(counts: Floats, half: Floats) -> Floats:
    raised = counts + half
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 0.5))
