"""How well scores rank: ROC-AUC and average precision, from counts of scores in bins."""

from __future__ import annotations

import numpy as np

from stream.core.ledger import Part
from stream.core.score.performance.evidence import Evidence, Floats
from stream.core.score.performance.interval import UNDEFINED, Estimate, estimate, logit

__all__ = ["average_precision", "roc_auc"]


def roc_auc(evidence: Evidence) -> Estimate:
    """The chance that a positive row's score is above a negative one's, ties counted half.

    Scores of one bin count as ties, so that the value differs from that of the scores
    themselves by at most Σ p_b·n_b / (2·P·N): p_b and n_b the positive and negative rows in bin
    b, P and N all of them. The interval is DeLong's, on the log-odds scale (DeLong, DeLong and
    Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
    characteristic curves, 1988; Pepe, The statistical evaluation of medical tests, 2003, 5.2).
    """
    negative, positive = _bins(evidence)
    n, p = float(negative.sum()), float(positive.sum())
    if n <= 0 or p <= 0:
        return UNDEFINED
    beaten = (np.cumsum(negative) - negative / 2) / n
    beating = (p - np.cumsum(positive) + positive / 2) / p
    value = float((positive * beaten).sum()) / p
    variance = 0.0
    if n > 1 and p > 1:
        variance += float((positive * (beaten - value) ** 2).sum()) / (p - 1) / p
        variance += float((negative * (beating - value) ** 2).sum()) / (n - 1) / n
    return estimate(value, logit(value, variance, min(n, p)), n + p)


def average_precision(evidence: Evidence) -> Estimate:
    """The mean over positive rows of the precision at their score (scikit-learn's).

    Scores of one bin count as ties; where a bin holds p_b positive and n_b negative rows, and T
    and F lie in the bins above, no order within the bin puts its share of the value beyond
    Σ_i (T + i)/(T + F + n_b + i)/P and Σ_i (T + i)/(T + F + i)/P, i from 1 to p_b. The interval
    is the delta method's over the multinomial counts, on the log-odds scale (Boyd, Eng and Page,
    Area under the precision-recall curve: point estimates and confidence intervals, 2013).
    """
    negative, positive = (side[::-1] for side in _bins(evidence))
    n, p = float(negative.sum()), float(positive.sum())
    if n <= 0 or p <= 0:
        return UNDEFINED
    true, rows = np.cumsum(positive), np.cumsum(positive + negative)
    held = np.maximum(rows, 1.0)
    precision = true / held
    value = float((positive * precision).sum()) / p
    # One row more in bin c moves the precision of c and of each bin after it.
    gain = positive * (1.0 - precision) / held
    loss = positive * precision / held
    by_positive = (precision - value + _after(gain)) / p
    by_negative = -_after(loss) / p
    total = n + p
    mean = float((positive * by_positive + negative * by_negative).sum()) / total
    squares = float((positive * by_positive**2 + negative * by_negative**2).sum())
    variance = max(squares - total * mean * mean, 0.0)
    return estimate(value, logit(value, variance, min(n, p)), total)


def _bins(evidence: Evidence) -> tuple[Floats, Floats]:
    """Negative and positive rows by score bin, ascending."""
    bins = evidence.part(Part.SCORES).astype(np.float64)
    return bins[:, 0], bins[:, 1]


def _after(x: Floats) -> Floats:
    """The sum of each place and all behind it."""
    return np.asarray(np.cumsum(x[::-1])[::-1])
