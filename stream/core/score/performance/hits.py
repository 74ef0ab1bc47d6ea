"""Shares of rows that were right: accuracy and balanced accuracy."""

from __future__ import annotations

from stream.core.score.performance.evidence import Evidence
from stream.core.score.performance.interval import UNDEFINED, Estimate, estimate, mover, wilson

__all__ = ["accuracy", "balanced_accuracy"]


def accuracy(evidence: Evidence) -> Estimate:
    """The share of rows whose class was predicted; Wilson's interval.

    A row without one of the model's classes, predicted or true, counts as wrong.
    """
    table = evidence.confusion
    if not table.known:
        return UNDEFINED
    hits = float(table.hits.sum())
    return estimate(hits / table.rows, wilson(hits, table.rows), table.rows)


def balanced_accuracy(evidence: Evidence) -> Estimate:
    """The mean recall of the classes that occur; undefined with fewer than two.

    The interval is that of a mean of independent proportions (`interval.mover` of Wilson's).
    """
    table = evidence.confusion
    occurring = [k for k in range(table.classes) if table.labelled[k] > 0]
    if not table.known or len(occurring) < 2:
        return UNDEFINED
    weight = 1.0 / len(occurring)
    parts = []
    for k in occurring:
        hits, rows = float(table.hits[k]), float(table.labelled[k])
        parts.append((weight, hits / rows, wilson(hits, rows)))
    value = sum(part[0] * part[1] for part in parts)
    return estimate(value, mover(parts), float(table.labelled.sum()))
