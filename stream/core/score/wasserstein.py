"""Wasserstein distance, binned and normalised."""

from __future__ import annotations

import numpy as np

from stream.core.score.binned import Binned, Floats, shares

__all__ = ["wasserstein"]


def wasserstein(binned: Binned) -> Floats:
    """How far the values moved on average, in the reference's standard deviations, (V,).

    The first Wasserstein distance ∫|F − G| with each bin's rows at its midpoint and those out
    of range at the outer edges (how far out they are isn't known); missing ones don't count.
    """
    apart = np.cumsum(shares(binned.fine_window) - shares(binned.fine_reference), axis=1)
    steps = np.diff(binned.points, axis=1)
    return np.asarray((np.abs(apart[:, :-1]) * steps).sum(axis=1) / binned.spread)
