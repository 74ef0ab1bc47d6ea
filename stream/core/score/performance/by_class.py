"""Precision, recall, F1 and specificity of one class."""

from __future__ import annotations

from stream.core.score.performance.evidence import Evidence
from stream.core.score.performance.interval import UNDEFINED, Estimate, estimate, wilson

__all__ = ["f1", "precision", "recall", "specificity"]


def precision(evidence: Evidence, k: int) -> Estimate:
    """The share of rows predicted class k that are of it; Wilson's interval.

    Undefined where none was predicted.
    """
    table = evidence.confusion
    return _share(float(table.hits[k]), float(table.predicted[k]), known=table.known)


def recall(evidence: Evidence, k: int) -> Estimate:
    """The share of rows of class k that were predicted so; Wilson's interval."""
    table = evidence.confusion
    return _share(float(table.hits[k]), float(table.labelled[k]), known=table.known)


def specificity(evidence: Evidence, k: int) -> Estimate:
    """The share of rows not of class k that weren't predicted so; Wilson's interval.

    A row that was predicted none of the classes wasn't predicted k.
    """
    table = evidence.confusion
    rows = table.rows - float(table.labelled[k])
    false = float(table.predicted[k] - table.hits[k])
    return _share(rows - false, rows, known=table.known)


def f1(evidence: Evidence, k: int) -> Estimate:
    """The harmonic mean of precision and recall of class k; undefined where it is in no row.

    F1 is 2J/(1 + J) of J, the share of rows that are *and* were predicted k among those that are
    *or* were: a proportion, so that Wilson's interval of J gives that of F1 (Takahashi et al.,
    Confidence interval for micro-averaged F1 and macro-averaged F1 scores, 2022, take the delta
    method, which says nothing at 0 and 1).
    """
    table = evidence.confusion
    hits = float(table.hits[k])
    either = float(table.predicted[k] + table.labelled[k]) - hits
    interval = wilson(hits, either)
    if interval is None or not table.known:
        return UNDEFINED
    low, high = (2.0 * share / (1.0 + share) for share in interval)
    return estimate(2.0 * hits / (either + hits), (low, high), either)


def _share(hits: float, rows: float, *, known: bool) -> Estimate:
    if rows <= 0 or not known:
        return UNDEFINED
    return estimate(hits / rows, wilson(hits, rows), rows)
