"""A metric's value with its 95 % interval, and the ways that intervals are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stream.core.numbers import significant

__all__ = [
    "UNDEFINED",
    "Estimate",
    "Interval",
    "Z",
    "bounded",
    "estimate",
    "logarithmic",
    "logit",
    "mover",
    "normal",
    "wilson",
]

Z = 1.959963984540054  # the standard normal's 97.5 % point

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of a window: its value, its 95 % interval, and the rows that it rests on.

    `value` is None where the metric isn't defined (no rows, one class only); `low` and `high`
    are None where no interval can be told. All are rounded to nine significant digits.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int


UNDEFINED = Estimate(None, None, None, 0)


def estimate(value: float, interval: Interval, rows: float) -> Estimate:
    """The estimate of these, rounded."""
    if interval is None:
        return Estimate(significant(value), None, None, int(rows))
    low, high = interval
    return Estimate(significant(value), significant(low), significant(high), int(rows))


def wilson(successes: float, n: float) -> Interval:
    """Wilson's score interval of a proportion; None of nothing.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    >>> low, high = wilson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if n <= 0:
        return None
    share, spread = successes / n, Z * Z / n
    middle = share + spread / 2
    reach = Z * math.sqrt(max(share * (1 - share), 0.0) / n + spread / (4 * n))
    low = 0.0 if successes <= 0 else (middle - reach) / (1 + spread)
    high = 1.0 if successes >= n else (middle + reach) / (1 + spread)
    return max(low, 0.0), min(high, 1.0)


def bounded(value: float, variance: float, n: float) -> Interval:
    """The interval of a figure from 0 to 1: Wilson's, of as many rows as give its variance.

    At 0 and 1, where the variance says nothing, of `n` rows. The effective sample size is that
    of Korn and Graubard, Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data, 1998, with Wilson's interval in place of theirs.
    """
    if variance > 0.0 and 0.0 < value < 1.0:
        n = value * (1.0 - value) / variance
    return wilson(value * n, n)


def normal(value: float, variance: float) -> Interval:
    """The normal interval of a figure whose own variance is known."""
    reach = Z * math.sqrt(max(variance, 0.0))
    return value - reach, value + reach


def logarithmic(value: float, variance: float) -> Interval:
    """The interval of a positive figure, normal on the scale of its logarithm (delta method)."""
    if value <= 0.0:
        return normal(value, variance)
    factor = math.exp(min(Z * math.sqrt(max(variance, 0.0)) / value, 700.0))
    return value / factor, value * factor


def logit(value: float, variance: float, n: float) -> Interval:
    """The interval of a figure between 0 and 1, normal on the scale of its log-odds.

    Where that says nothing (0, 1, no variance) it is Wilson's of `n` rows.
    """
    if not 0.0 < value < 1.0 or variance <= 0.0:
        return wilson(value * n, n)
    odds = math.log(value / (1.0 - value))
    reach = Z * math.sqrt(variance) / (value * (1.0 - value))
    return 1.0 / (1.0 + math.exp(reach - odds)), 1.0 / (1.0 + math.exp(-reach - odds))


def mover(parts: Sequence[tuple[float, float, Interval]]) -> Interval:
    """The interval of a weighted sum of independent figures: (weight, value, its interval) each.

    Source: Zou and Donner, Construction of confidence limits about effect measures: a general
    approach, 2008 (the method of variance estimates recovery).
    """
    below = above = middle = 0.0
    for weight, value, interval in parts:
        low, high = (value, value) if interval is None else interval
        near, far = (low, high) if weight >= 0 else (high, low)
        middle += weight * value
        below += (weight * (value - near)) ** 2
        above += (weight * (far - value)) ** 2
    return middle - math.sqrt(below), middle + math.sqrt(above)
