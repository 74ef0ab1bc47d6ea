"""The counts that scores are made of: a window and its reference over the same merged bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Binned", "Floats", "shares"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Binned:
    """V variables of one profile, a row each; places that a variable doesn't have are zero.

    reference, window            (V, K) rows in merged bins, the whole distribution: values
                                 (those out of range in the outer bins), other and unseen
                                 categories together, and rows without a usable value
    fine_reference, fine_window  (V, F) numeric variables only: below, the profile's bins, above
    points                       (V, F) where the fine bins lie: midpoints, the ends for outside
    spread                       (V,) the reference's standard deviation, never 0
    reference_specials,          (V, SPECIALS) the special slots (stream.core.specs)
    window_specials
    reference_rows, window_rows  (V,) all rows, the missing ones too
    numeric                      (V,) bool: numeric, else categorical
    """

    reference: Floats
    window: Floats
    fine_reference: Floats
    fine_window: Floats
    points: Floats
    spread: Floats
    reference_specials: Floats
    window_specials: Floats
    reference_rows: Floats
    window_rows: Floats
    numeric: npt.NDArray[np.bool_]


def shares(counts: Floats) -> Floats:
    """Each row of counts divided by its sum; zeros where a row is empty."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))
