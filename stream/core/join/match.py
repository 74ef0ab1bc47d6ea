"""Which predictions a label speaks of."""

from __future__ import annotations

from stream.core.join import chains
from stream.core.join.cohorts import CohortColumns
from stream.core.join.columns import LabelColumns
from stream.core.join.index import all_pairs
from stream.core.join.layout import Slots
from stream.core.join.table import Table
from stream.core.records import Int64s

__all__ = ["match"]


def match(
    pending: Table, cohorts: CohortColumns, early_ms: int, labels: LabelColumns
) -> tuple[Int64s, Slots]:
    """The pairs of labels and kept predictions: the label's number, the slot; in labels' order.

    A label matches a prediction of its id and task if it came at most the horizon after it and
    at most `early_ms` before it, and names its model or none; of several predictions of one
    model@version, the earliest such.
    """
    held, table = pending.index.chains, cohorts.table
    return all_pairs(
        lambda who, slots, start: chains.match(held, labels, table, early_ms, who, slots, start),
        len(labels.ids),
    )
