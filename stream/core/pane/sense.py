"""Whether a partial says what observe can have seen; one that doesn't is refused as a whole."""

from __future__ import annotations

import numpy as np

from stream.core.ledger import SERVING
from stream.core.pane.block import TOTALS, Groups
from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_PREDICTION,
    Int64s,
    Kind,
    Partial,
    RawColumns,
)

__all__ = ["require_sense"]

_LATEST_MS = 253_402_300_800_000  # the year 10000
_MOST_ROWS = 1 << 40  # in a group of one commit
_SCALARS = {str, int, float, bool, type(None)}
_CARRIES = {0, 1, 2, 3}


def require_sense(partial: Partial) -> None:
    """Raises ValueError for numbers, times and raw values that no commit of observe can tell."""
    groups = Groups.of(partial.groups)
    kind = groups.column("kind")
    _within("pane", groups.column("pane_ms"), 0, _LATEST_MS)
    for name in TOTALS:
        low = np.where(kind == Kind.CORRECTION, -_MOST_ROWS, 0) if name == "rows" else 0
        _within(name, groups.column(name), low, _MOST_ROWS)
    if (groups.column("width")[kind == Kind.SERVING] != SERVING.width).any():
        raise ValueError("a partial's serving counts have another length than this release's")
    _require_counts(groups, kind)
    rows = groups.column("rows")
    for number, columns in groups.raw.items():
        if kind[number] != Kind.DATA:
            raise ValueError("a partial's raw rows are said to be outcomes")
        _require_rows(columns, int(rows[number]))
    for source, before, after in partial.progress:
        if source.partition < 0 or not 0 <= before <= after:
            raise ValueError(f"a partial moves {source} from {before} to {after}")
    for source, watermark_ms, k_ms in partial.told:
        if source.partition < 0 or not (0 <= watermark_ms <= _LATEST_MS and k_ms <= _LATEST_MS):
            raise ValueError(f"a partial tells a watermark of {watermark_ms} of {source}")
    for source, position, at_ms in partial.claims:
        if source.partition < 0 or position < 0 or not 0 <= at_ms <= _LATEST_MS:
            raise ValueError(f"a partial claims {source} silent at {at_ms}")


def _within(name: str, column: Int64s, low: Int64s | int, high: int) -> None:
    if ((column < low) | (column > high)).any():
        raise ValueError(f"a partial's {name} is out of range")


def _require_counts(groups: Groups, kind: Int64s) -> None:
    """Rows in slots are never below zero; what outcomes add up to may be."""
    payload = groups.payload
    if not (payload.counts < 0).any():
        return
    for number in np.flatnonzero(payload.with_counts & (kind <= Kind.SERVING)).tolist():
        start = int(payload.count_start[number])
        if (payload.counts[start : start + int(payload.length[number])] < 0).any():
            raise ValueError("a partial counts fewer than no rows")


def _require_rows(columns: RawColumns, rows: int) -> None:
    """Raw rows are columns of one length, of plain values, with what each row carries."""
    carries = columns.get(CARRIES_COLUMN)
    if carries is None or not _CARRIES.issuperset(carries):
        raise ValueError("a partial's raw rows don't say what they carry")
    for values in columns.values():
        if len(values) != len(carries) or not _SCALARS.issuperset(map(type, values)):
            raise ValueError("a partial's raw columns aren't plain values of one length")
    if sum(int(bits or 0) & CARRIES_PREDICTION for bits in carries) != rows * CARRIES_PREDICTION:
        raise ValueError(f"a partial's raw group has not the {rows} rows that it says")
