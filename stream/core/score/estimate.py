"""Performance expected of a window before its labels are known, from counts of its scores.

Confidence-based performance estimation (CBPE; NannyML's documentation, "How it works:
Estimation of Performance of the Monitored Model"; Białek et al. 2024, arXiv:2407.08649): a row
whose calibrated score is p is positive with probability p, so that a window's expected confusion
matrix is a sum over its rows. Here the rows are those of each bin of the score, p is the bin's
calibration, and its rows are predicted positive as often as the reference's rows in it were.
Of several classes each is told from all others in this way, by its own score.

It rests on calibration that still holds: it sees what data drift does, and no concept drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.labels import LabelKind, scored_classes
from stream.core.numbers import significant
from stream.core.records import Int64s
from stream.core.rules import OutcomeReference
from stream.core.specs import ABOVE, BELOW, Profile

__all__ = ["ESTIMATED", "estimate", "standard_errors"]

# Of binary models; of several classes accuracy, and f1, precision and recall as `f1_macro` (the
# mean over the classes) and `f1.<class>`: the names of `score.performance`.
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
_BY_CLASS = ("f1", "precision", "recall")
_Figure = tuple[float, float]  # an expected figure and its standard error


def estimate(profile: Profile, counts: Int64s) -> dict[str, float]:
    """Expected performance of a window's rows, by metric (`ESTIMATED`), from their scores alone.

    `counts` is the window's count vector (`Profile.width`). Scores out of the reference's range
    count in the outermost bins; rows without a score aren't judged. A figure without
    denominator is left out, and all are where the profile has no calibration or no row a score.
    ROC-AUC takes a positive and a negative row of one bin for a tie.
    """
    found = _figures(profile, counts)
    return {name: significant(value) for name, (value, _) in sorted(found.items())}


def standard_errors(profile: Profile, counts: Int64s) -> dict[str, float]:
    """How far realised figures stray from the expected ones by chance, as one standard deviation.

    The scores are taken as given; each row's label, and its prediction where its bin holds both
    kinds, are drawn. To first order (delta method); of the figures of several classes together
    an upper bound, since how the classes go together isn't counted. What the calibration itself
    may be wrong by isn't in it. The same names as `estimate`.
    """
    found = _figures(profile, counts)
    return {name: significant(error) for name, (_, error) in sorted(found.items())}


def _figures(profile: Profile, counts: Int64s) -> dict[str, _Figure]:
    outcome = profile.outcome
    if outcome is None or not outcome.calibration:
        return {}
    windows = _windows(profile, outcome, counts)
    if outcome.kind == LabelKind.BINARY:
        return windows[0][1].figures()
    return _several(windows)


def _several(windows: list[tuple[str, _Window]]) -> dict[str, _Figure]:
    """Figures of several classes: of each, their means, and accuracy."""
    found: dict[str, _Figure] = {}
    told = {name: window.figures() for name, window in windows}
    for metric in _BY_CLASS:
        each = {name: figures[metric] for name, figures in told.items() if metric in figures}
        found |= {f"{metric}.{name}": figure for name, figure in each.items()}
        if len(each) == len(windows):
            values, errors = zip(*each.values(), strict=True)
            found[f"{metric}_macro"] = (_mean(values), _mean(errors))
    hits = math.fsum(window.expected()[0] for _, window in windows)
    called = math.fsum(math.fsum(window.expected()[:2]) for _, window in windows)
    rows = max(math.fsum(window.rows.tolist()) for _, window in windows)
    if called > 0:
        # Each row has one prediction, so that those of all classes are the rows: what the
        # shares of the reference make too many of one class, they make too few of another.
        accuracy = hits / called
        found["accuracy"] = (accuracy, math.sqrt(max(accuracy * (1 - accuracy), 0.0) / rows))
    return found


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

    def figures(self) -> dict[str, _Figure]:
        """Each binary metric that has a denominator, with its standard error."""
        found = {
            name: (above / below, self.ratio_error(name, above, below))
            for name, (above, below) in self.ratios().items()
        }
        auc = self.roc_auc()
        if auc is not None:
            found["roc_auc"] = (auc, self.roc_auc_error(auc))
        return found

    def expected(self) -> list[float]:
        """Expected rows that are true and false positives, false and true negatives."""
        return [math.fsum(cell.tolist()) for cell in self.cells() * self.rows]

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of each figure that has one."""
        expected = self.expected()
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


def _windows(
    profile: Profile, outcome: OutcomeReference, counts: Int64s
) -> list[tuple[str, _Window]]:
    """Each scored class with the window's rows in the bins of its score."""
    start = dict(zip((v.name for v in profile.variables), profile.starts.tolist(), strict=False))
    calibration = np.array(outcome.calibration, dtype=np.float64)
    predicted = np.array(outcome.predicted_positive, dtype=np.float64)
    found, place = [], 0
    for name, variable in scored_classes(profile, LabelKind(outcome.kind), outcome.classes):
        first, size = start[variable.name], variable.size
        rows = counts[first : first + size].astype(np.float64)
        rows[0] += counts[first + size + BELOW]
        rows[-1] += counts[first + size + ABOVE]
        own = slice(place, place + size)
        found.append((name, _Window(rows, calibration[own], predicted[own])))
        place += size
    return found


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return math.fsum(kept) / len(kept)


def _weighted(weights: tuple[int, ...], cells: list[float]) -> float:
    return math.fsum(weight * cell for weight, cell in zip(weights, cells, strict=True))
