"""Performance expected of a window before its labels are known, from counts of its scores.

Confidence-based performance estimation (CBPE; NannyML's documentation, "How it works:
Estimation of Performance of the Monitored Model"; Białek et al. 2024, arXiv:2407.08649): a row
whose calibrated score is p is positive with probability p, so that a window's expected confusion
matrix is a sum over its rows. Here the rows are those of each bin of the score, p is the bin's
calibration, and its rows are predicted positive as often as the reference's rows in it were.

It rests on calibration that still holds: it sees what data drift does, and no concept drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.numbers import significant
from stream.core.records import Int64s
from stream.core.specs import ABOVE, BELOW, Profile

__all__ = ["ESTIMATED", "estimate", "standard_errors"]

ESTIMATED = ("accuracy", "f1", "precision", "recall", "roc_auc", "specificity")

_Floats = npt.NDArray[np.float64]
# Numerator and denominator over true positives, false positives, false and true negatives.
_RATIOS = {
    "accuracy": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "f1": ((2, 0, 0, 0), (2, 1, 1, 0)),
    "precision": ((1, 0, 0, 0), (1, 1, 0, 0)),
    "recall": ((1, 0, 0, 0), (1, 0, 1, 0)),
    "specificity": ((0, 0, 0, 1), (0, 1, 0, 1)),
}


def estimate(profile: Profile, counts: Int64s) -> dict[str, float]:
    """Expected accuracy, f1, precision, recall, roc_auc and specificity of a window's rows.

    `counts` is the window's count vector (`Profile.width`). Scores out of the reference's range
    count in the outermost bins; rows without a score aren't judged. A figure without
    denominator is left out, and all are where the profile has no calibration or no row a score.
    ROC-AUC takes a positive and a negative row of one bin for a tie.
    """
    window = _window(profile, counts)
    if window is None:
        return {}
    values = {name: above / below for name, (above, below) in window.ratios().items()}
    auc = window.roc_auc()
    if auc is not None:
        values["roc_auc"] = auc
    return {name: significant(value) for name, value in sorted(values.items())}


def standard_errors(profile: Profile, counts: Int64s) -> dict[str, float]:
    """How far realised figures stray from the expected ones by chance, as one standard deviation.

    The scores are taken as given; each row's label, and its prediction where its bin holds both
    kinds, are drawn. To first order (delta method). What the calibration itself may be wrong by
    isn't in it. The same names as `estimate`.
    """
    window = _window(profile, counts)
    if window is None:
        return {}
    errors = {name: window.ratio_error(name, *ratio) for name, ratio in window.ratios().items()}
    auc = window.roc_auc()
    if auc is not None:
        errors["roc_auc"] = window.roc_auc_error(auc)
    return {name: significant(error) for name, error in sorted(errors.items())}


@dataclass(frozen=True, slots=True)
class _Window:
    """A window's rows in each of k bins, and the chances that one is, and is called, positive."""

    rows: _Floats
    positive: _Floats
    predicted: _Floats

    def cells(self) -> _Floats:
        """(4, k) the chances of true and false positive, false and true negative."""
        p, q = self.positive, self.predicted
        return np.stack((p * q, (1 - p) * q, p * (1 - q), (1 - p) * (1 - q)))

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of each figure that has one."""
        expected = [math.fsum(cell.tolist()) for cell in self.cells() * self.rows]
        found = {}
        for name, (above, below) in _RATIOS.items():
            numerator = _weighted(above, expected)
            denominator = _weighted(below, expected)
            if denominator > 0:
                found[name] = (numerator, denominator)
        return found

    def ratio_error(self, name: str, numerator: float, denominator: float) -> float:
        """The standard error of a ratio of two sums over the rows."""
        above, below = (np.array(weights, dtype=np.float64)[:, None] for weights in _RATIOS[name])
        apart = above - numerator / denominator * below
        cells = self.cells()
        spread = (cells * apart**2).sum(axis=0) - (cells * apart).sum(axis=0) ** 2
        return math.sqrt(max(math.fsum((self.rows * spread).tolist()), 0.0)) / denominator

    def roc_auc(self) -> float | None:
        """The chance that a positive row scores above a negative one; None without both."""
        positives, negatives, beaten, _ = self._ranks()
        if not positives or not negatives:
            return None
        wins = math.fsum((self.rows * self.positive * beaten).tolist())
        return wins / (positives * negatives)

    def roc_auc_error(self, auc: float) -> float:
        """The standard error of `roc_auc`: what a row moves it by as a positive or a negative."""
        positives, negatives, beaten, beating = self._ranks()
        apart = (beaten / negatives - auc) / positives - (beating / positives - auc) / negatives
        spread = self.rows * self.positive * (1 - self.positive) * apart**2
        return math.sqrt(math.fsum(spread.tolist()))

    def _ranks(self) -> tuple[float, float, _Floats, _Floats]:
        """Expected positives and negatives; negatives below and positives above a bin's middle."""
        positive = self.rows * self.positive
        negative = self.rows * (1 - self.positive)
        beaten = np.cumsum(negative) - negative / 2
        beating = np.cumsum(positive[::-1])[::-1] - positive / 2
        return math.fsum(positive.tolist()), math.fsum(negative.tolist()), beaten, beating


def _window(profile: Profile, counts: Int64s) -> _Window | None:
    """The window's scores with their calibration; None where one of them is lacking."""
    outcome = profile.outcome
    if outcome is None or not outcome.calibration:
        return None
    for variable, start in zip(profile.variables, profile.starts.tolist(), strict=False):
        if variable.name != "score":
            continue
        rows = counts[start : start + variable.size].astype(np.float64)
        rows[0] += counts[start + variable.size + BELOW]
        rows[-1] += counts[start + variable.size + ABOVE]
        if not rows.any():
            return None
        calibration = np.array(outcome.calibration, dtype=np.float64)
        return _Window(rows, calibration, np.array(outcome.predicted_positive, dtype=np.float64))
    return None


def _weighted(weights: tuple[int, ...], cells: list[float]) -> float:
    return math.fsum(weight * cell for weight, cell in zip(weights, cells, strict=True))
