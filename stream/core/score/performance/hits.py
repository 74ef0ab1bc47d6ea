"""Shares of rows that were right: accuracy and balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from stream.core.score.performance.evidence import Confusion, Evidence, Floats
from stream.core.score.performance.interval import (
    UNDEFINED,
    Estimate,
    Interval,
    estimate,
    mover,
    wilson,
)

__all__ = ["accuracy", "balanced_accuracy", "mean_share"]


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
    """The mean recall of the classes that occur; undefined with fewer than two."""
    table = evidence.confusion
    occurring = [k for k in range(table.classes) if table.labelled[k] > 0]
    if not table.known or len(occurring) < 2:
        return UNDEFINED
    return mean_share(table, table.labelled, occurring)


def mean_share(table: Confusion, rows: Floats, classes: Sequence[int]) -> Estimate:
    """The mean over `classes` of hits by `rows` (K,), 0 where there are none of these.

    The interval is that of a mean of independent proportions (`interval.mover` of Wilson's).
    """
    parts: list[tuple[float, float, Interval]] = []
    for k in classes:
        hits, n = float(table.hits[k]), float(rows[k])
        parts.append((1.0 / len(classes), hits / n if n else 0.0, wilson(hits, n)))
    value = sum(weight * share for weight, share, _ in parts)
    return estimate(value, mover(parts), float(rows.sum()))
