"""What predicted probabilities were worth: log loss, Brier score, calibration error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stream.core.fixed import SHARE, total
from stream.core.ledger import Part
from stream.core.score.performance.evidence import Evidence
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    Interval,
    estimate,
    logarithmic,
    normal,
)

__all__ = ["brier", "ece", "log_loss"]

# The bins' gaps are known from the sample only: with 1.96 the interval of 500 rows holds the true
# error in 93 of 100 samples, with 2.1 in 95 (models of several shapes, simulated).
_REACH = 2.1
_MOST = 2.0**50
_FOLD = math.sqrt(2.0 / math.pi)
_HALF_ROOT = math.sqrt(0.5)


def log_loss(evidence: Evidence) -> Estimate:
    """The mean of -log of the true class's probability, clipped as scikit-learn clips it.

    Over the rows with probabilities. The interval is that of a mean, on the logarithm's scale.
    """
    mean, variance = _mean(evidence, "log_loss")
    if mean is None:
        return UNDEFINED
    return estimate(mean, _if_known(variance, logarithmic(mean, variance or 0.0)), evidence.scored)


def brier(evidence: Evidence) -> Estimate:
    """The mean squared error of P(positive); of more classes the sum of all of theirs, 0 to 2.

    Scikit-learn's `brier_score_loss` of two classes, and of more with `scale_by_half` off. The
    interval is a mean's, the normal one.
    """
    mean, variance = _mean(evidence, "brier")
    if mean is None:
        return UNDEFINED
    low, high = normal(mean, variance or 0.0) or (mean, mean)
    return estimate(mean, _if_known(variance, (max(low, 0.0), high)), evidence.scored)


def ece(evidence: Evidence) -> Estimate:
    """The expected calibration error over ten equal bins of [0, 1].

    Σ_b |s_b - t_b| / n: s_b is the sum of the probabilities in bin b, t_b the rows of it that
    came true. Of two classes the probability is that of the positive one; of more that of the
    likeliest, which comes true where it is the label (Guo et al., On calibration of modern
    neural networks, 2017). Chance alone makes the plain value larger than the true one (Kumar,
    Liang and Ma, Verified uncertainty calibration, 2019), so the interval may lie below it: it
    holds the true errors t·value whose gaps, t times the bins' own, each with its binomial
    spread, make a sum as far as the value from its mean with a chance of 5 % (a test inverted;
    the mean and variance of a normal gap's size: Leone, Nelson and Nottingham, The folded normal
    distribution, 1961).
    """
    n = evidence.scored
    if n <= 0:
        return UNDEFINED
    bins = evidence.part(Part.RELIABILITY).astype(np.float64)
    sums = [total(digits, SHARE) for digits in evidence.part(Part.RELIABILITY_SUMS).tolist()]
    gaps = []
    for (rows, came), summed in zip(bins.tolist(), sums, strict=True):
        if rows > 0:
            share = (came + 0.5) / (rows + 1.0)
            spread = math.sqrt(rows * share * (1.0 - share)) / n
            gaps.append((abs(summed - came) / n, spread))
    value = sum(gap for gap, _ in gaps)
    low, high = (min(value * _times(gaps, value, z), 1.0) for z in (_REACH, -_REACH))
    return estimate(value, (low, high), n)


def _times(gaps: Sequence[tuple[float, float]], value: float, z: float) -> float:
    """How many times the gaps put `value` z deviations above the mean of their sum; at least 0."""
    low, high = 0.0, 1.0
    while not _beyond(gaps, high, value, z):
        low, high = high, high * 2.0
        if high > _MOST:
            break
    for _ in range(50):
        middle = (low + high) / 2.0
        if _beyond(gaps, middle, value, z):
            high = middle
        else:
            low = middle
    return low


def _beyond(gaps: Sequence[tuple[float, float]], times: float, value: float, z: float) -> bool:
    mean = variance = 0.0
    for gap, spread in gaps:
        own = times * gap
        ratio = own / spread
        folded = spread * _FOLD * math.exp(-ratio * ratio / 2.0)
        folded += own * math.erf(ratio * _HALF_ROOT)
        mean += folded
        variance += max(own * own + spread * spread - folded * folded, 0.0)
    return mean + z * math.sqrt(variance) > value


def _mean(evidence: Evidence, name: str) -> tuple[float | None, float | None]:
    """A loss's mean, None of no rows, and the mean's variance, None of one."""
    n = evidence.scored
    if n <= 0:
        return None, None
    mean = evidence.loss(name) / n
    if n == 1:
        return mean, None
    return mean, max(evidence.loss(f"{name}_squared") / n - mean * mean, 0.0) / (n - 1)


def _if_known(variance: float | None, interval: Interval) -> Interval:
    return None if variance is None else interval
