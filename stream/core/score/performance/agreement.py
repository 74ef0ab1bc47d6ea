"""Agreement beyond chance: Matthews' correlation coefficient and Cohen's kappa."""

from __future__ import annotations

import math

import numpy as np

from stream.core.score.performance.evidence import Confusion, Evidence
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    Interval,
    Z,
    estimate,
    normal,
    wilson,
)

__all__ = ["cohen_kappa", "mcc"]


def mcc(evidence: Evidence) -> Estimate:
    """Matthews' correlation coefficient; of more classes Gorodkin's (as scikit-learn's).

    Undefined where all predictions, or all labels, are of one class. The interval is the delta
    method's on the scale of Fisher's z (Gorodkin, Comparing two K-category assignments by a
    K-category correlation coefficient, 2004, for the coefficient).
    """
    table = evidence.confusion
    if not table.known:
        return UNDEFINED
    n = table.rows
    given, true = table.counts.sum(axis=1) / n, table.counts.sum(axis=0) / n
    free_given = 1.0 - float((given * given).sum())
    free_true = 1.0 - float((true * true).sum())
    root = math.sqrt(max(free_given * free_true, 0.0))
    if root <= 1e-9:
        return UNDEFINED
    by_chance = float((given[:-1] * true[:-1]).sum())
    value = min(max((float(table.hits.sum()) / n - by_chance) / root, -1.0), 1.0)
    by_given, by_true = value * given / free_given, value * true / free_true
    by_given[:-1] -= true[:-1] / root
    by_true[:-1] -= given[:-1] / root
    variance = table.variance(np.full(table.classes, 1.0 / root), by_given, by_true)
    if variance <= 1e-18 or abs(value) >= 1.0:
        return estimate(value, _certain(table, value), n)
    reach = Z * math.sqrt(variance) / (1.0 - value * value)
    middle = math.atanh(value)
    return estimate(value, (math.tanh(middle - reach), math.tanh(middle + reach)), n)


def cohen_kappa(evidence: Evidence) -> Estimate:
    """Cohen's kappa; undefined where chance alone would always agree. Delta method.

    Source of the variance: Fleiss, Cohen and Everitt, Large sample standard errors of kappa and
    weighted kappa, 1969.
    """
    table = evidence.confusion
    n = table.rows
    if not table.known:
        return UNDEFINED
    r, c = table.predicted / n, table.labelled / n
    chance, hits = float((r * c).sum()), float(table.hits.sum()) / n
    if 1.0 - chance <= 1e-12:
        return UNDEFINED
    value = (hits - chance) / (1.0 - chance)
    slope = (hits - 1.0) / (1.0 - chance) ** 2
    ones = np.ones(table.classes)
    variance = table.variance(ones / (1.0 - chance), slope * c, slope * r)
    if variance <= 1e-18:
        return estimate(value, _certain(table, value), n)
    low, high = normal(value, variance) or (-1.0, 1.0)
    return estimate(value, (max(low, -1.0), min(high, 1.0)), n)


def _certain(table: Confusion, value: float) -> Interval:
    """Where the delta method says nothing: the interval of the rows that agree, beyond chance."""
    interval = wilson(float(table.hits.sum()), table.rows)
    if interval is None:
        return None
    chance = float((table.predicted * table.labelled).sum()) / table.rows**2
    low, high = ((share - chance) / (1.0 - chance) for share in interval)
    return min(max(low, -1.0), value), max(min(high, 1.0), value)
