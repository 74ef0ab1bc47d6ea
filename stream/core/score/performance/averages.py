"""Precision, recall and F1 over all classes: macro, micro and weighted means.

As scikit-learn's with `labels` the model's classes that occur in a row, predicted or true, and
`zero_division` 0: a class that was never predicted has the precision 0, one that never was true
the recall 0. Other values are no class: a row of them is a miss of the class that it should be.
"""

from __future__ import annotations

import numpy as np

from stream.core.score.performance.evidence import Confusion, Evidence, Floats
from stream.core.score.performance.hits import mean_share
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    bounded,
    estimate,
    wilson,
)

__all__ = [
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "precision_macro",
    "precision_micro",
    "precision_weighted",
    "recall_macro",
    "recall_micro",
    "recall_weighted",
]


def precision_macro(evidence: Evidence) -> Estimate:
    """The mean precision of the classes; interval by `interval.mover` of Wilson's."""
    return _macro(evidence.confusion, evidence.confusion.predicted)


def recall_macro(evidence: Evidence) -> Estimate:
    """The mean recall of the classes; interval by `interval.mover` of Wilson's."""
    return _macro(evidence.confusion, evidence.confusion.labelled)


def f1_macro(evidence: Evidence) -> Estimate:
    """The mean F1 of the classes; delta method (Takahashi et al. 2022, see `by_class.f1`)."""
    table = evidence.confusion
    there = _there(table)
    if not table.known or not there.any():
        return UNDEFINED
    return _f1(table, there / there.sum())


def precision_micro(evidence: Evidence) -> Estimate:
    """The share of rows predicted a class that are of it; Wilson's interval."""
    return _micro(evidence.confusion, float(evidence.confusion.predicted.sum()))


def recall_micro(evidence: Evidence) -> Estimate:
    """The share of rows of a known class that were predicted so; Wilson's interval."""
    return _micro(evidence.confusion, float(evidence.confusion.labelled.sum()))


def f1_micro(evidence: Evidence) -> Estimate:
    """The harmonic mean of both micro averages; delta method."""
    table = evidence.confusion
    hits, both = float(table.hits.sum()), float(table.predicted.sum() + table.labelled.sum())
    if not table.known or both <= 0:
        return UNDEFINED
    value = 2.0 * hits / both
    share = table.rows / both
    ones = np.ones(table.classes)
    variance = table.variance(2.0 * share * ones, -value * share * ones, -value * share * ones)
    return estimate(value, bounded(value, variance, table.rows), table.rows)


def precision_weighted(evidence: Evidence) -> Estimate:
    """The mean precision of the classes, weighted by their labels; delta method."""
    table = evidence.confusion
    if not table.known or table.labelled.sum() <= 0:
        return UNDEFINED
    n, support = table.rows, float(table.labelled.sum())
    each = _ratio(table.hits, table.predicted)
    value = float((table.labelled * each).sum()) / support
    by_hit = _ratio(table.labelled, table.predicted) * n / support
    variance = table.variance(by_hit, -by_hit * each, (each - value) * n / support)
    return estimate(value, bounded(value, variance, n), support)


def recall_weighted(evidence: Evidence) -> Estimate:
    """The mean recall of the classes, weighted by their labels: the micro average."""
    return recall_micro(evidence)


def f1_weighted(evidence: Evidence) -> Estimate:
    """The mean F1 of the classes, weighted by their labels; delta method."""
    table = evidence.confusion
    support = float(table.labelled.sum())
    if not table.known or support <= 0:
        return UNDEFINED
    return _f1(table, table.labelled / support, weighted=True)


def _macro(table: Confusion, rows: Floats) -> Estimate:
    there = np.flatnonzero(_there(table))
    if not table.known or not len(there):
        return UNDEFINED
    return mean_share(table, rows, there.tolist())


def _micro(table: Confusion, rows: float) -> Estimate:
    if not table.known or rows <= 0:
        return UNDEFINED
    hits = float(table.hits.sum())
    return estimate(hits / rows, wilson(hits, rows), rows)


def _f1(table: Confusion, weight: Floats, *, weighted: bool = False) -> Estimate:
    """A weighted mean of the classes' F1; `weighted` by their labels, which then vary too."""
    both = table.predicted + table.labelled
    each = _ratio(2.0 * table.hits, both)
    value = float((weight * each).sum())
    step = _ratio(weight * table.rows, both)
    by_label = -step * each
    if weighted:
        by_label = by_label + (each - value) * table.rows / float(table.labelled.sum())
    variance = table.variance(2.0 * step, -step * each, by_label)
    return estimate(value, bounded(value, variance, table.rows), table.rows)


def _there(table: Confusion) -> Floats:
    return ((table.predicted > 0) | (table.labelled > 0)).astype(np.float64)


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)
