"""Errors of regressions: MAE, RMSE, MAPE, R² and bias, from exact sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from stream.core.fixed import WIDE
from stream.core.ledger import Part
from stream.core.score.performance.evidence import Evidence
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    Interval,
    Z,
    estimate,
    logarithmic,
    normal,
)

__all__ = ["bias", "mae", "mape", "r2", "rmse"]

_CANCELS = 1e7  # mean² ÷ variance of labels beyond which their fourth powers tell no variance


def mae(evidence: Evidence) -> Estimate:
    """The mean absolute error; the interval is a mean's, on the logarithm's scale."""
    return _mean(evidence, "error_absolute", "error_squared", _used(evidence), logarithmic)


def rmse(evidence: Evidence) -> Estimate:
    """The root of the mean squared error; the interval is that mean's, on its logarithm's scale."""
    n = _used(evidence)
    if n <= 0:
        return UNDEFINED
    mean, variance = _moments(evidence, "error_squared", "error_fourth", n)
    low, high = logarithmic(mean, variance) or (mean, mean)
    return estimate(math.sqrt(mean), _unless_one(n, (math.sqrt(low), math.sqrt(high))), n)


def mape(evidence: Evidence) -> Estimate:
    """The mean of absolute errors by absolute labels, a share (0.1 is 10 %).

    Over rows whose label isn't 0. The interval is a mean's, on the logarithm's scale.
    """
    return _mean(evidence, "ratio", "ratio_squared", int(evidence.part(Part.USED)[1]), logarithmic)


def bias(evidence: Evidence) -> Estimate:
    """The mean of prediction less label; the interval is a mean's, the normal one."""
    return _mean(evidence, "error", "error_squared", _used(evidence), normal)


def r2(evidence: Evidence) -> Estimate:
    """One less the squared errors by the labels' squared distances from their mean.

    Undefined where all labels are equal. The interval is the delta method's for log(1 - R²), the
    difference of the logarithms of two means, whose joint variance comes from fourth moments
    (Agresti, Categorical data analysis, 2013, 16.1, for the method). Where labels vary by less
    than 1/3000 of their mean no interval is told.
    """
    n = _used(evidence)
    mean = _moment(evidence, "label", n)
    spread = _moment(evidence, "label_squared", n) - mean * mean
    if n <= 1 or spread <= 0:
        return UNDEFINED
    error = _moment(evidence, "error_squared", n)
    value = 1.0 - float(error / spread)
    if not error or mean * mean > Fraction(_CANCELS) * spread:
        return estimate(value, (value, value) if not error else None, n)
    fourth = _moment(evidence, "label_fourth", n) - 4 * mean * _moment(evidence, "label_cubed", n)
    fourth += 6 * mean**2 * _moment(evidence, "label_squared", n) - 3 * mean**4
    both = _moment(evidence, "error_squared_label_squared", n) + mean**2 * error
    both -= 2 * mean * _moment(evidence, "error_squared_label", n)
    variance = float(_moment(evidence, "error_fourth", n) / error**2)
    variance += float(fourth / spread**2) - 2.0 * float(both / (error * spread))
    factor = math.exp(min(Z * math.sqrt(max(variance, 0.0) / n), 700.0))
    return estimate(value, (1.0 - (1.0 - value) * factor, 1.0 - (1.0 - value) / factor), n)


def _used(evidence: Evidence) -> int:
    return int(evidence.part(Part.USED)[0])


def _moment(evidence: Evidence, name: str, n: int) -> Fraction:
    return Fraction(evidence.moment(name), max(n, 1) << WIDE.bits)


def _mean(
    evidence: Evidence, name: str, squared: str, n: int, of: Callable[[float, float], Interval]
) -> Estimate:
    """A mean with the interval `of` it and its variance."""
    if n <= 0:
        return UNDEFINED
    mean, variance = _moments(evidence, name, squared, n)
    return estimate(mean, _unless_one(n, of(mean, variance)), n)


def _moments(evidence: Evidence, name: str, squared: str, n: int) -> tuple[float, float]:
    """A mean of n values and its variance, from the sums of the values and of their squares."""
    mean = _moment(evidence, name, n)
    spread = _moment(evidence, squared, n) - mean * mean
    return float(mean), max(float(spread), 0.0) / max(n - 1, 1)


def _unless_one(n: int, interval: Interval) -> Interval:
    return None if n == 1 else interval
