"""Counts outcomes into vectors of their ledger, a model's set of segments and pane at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.labels import LabelKind, LabelSpec
from stream.core.ledger import Ledger, ledger_of
from stream.core.logbins import DELAYS
from stream.core.pane.outcome_tally import (
    Layout,
    Rows,
    Steps,
    tally_binary,
    tally_multiclass,
    tally_regression,
    tally_rows,
)
from stream.core.records import Int64s, Kind

__all__ = ["OutcomeRows", "count_outcomes", "warm_up"]

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_CELLS = 1 << 21  # places that are filled at once: 16 MB
_DELAYS = Steps.of(DELAYS.edges[:-1])


@dataclass(frozen=True, slots=True)
class OutcomeRows:
    """n outcomes of one spec, in columns: number of their set, pane number, and what was what.

    `correction` tells those that aren't first outcomes, `out` those that are taken out. `label`
    is the class's index (K: another) or the number; `probabilities` (n, K) or None.
    """

    number: Int64s
    pane: Int64s
    correction: _Mask
    out: _Mask
    late: _Mask
    code: npt.NDArray[np.int32]
    value: _Floats
    label: _Floats | Int64s
    delay_ms: Int64s
    probabilities: _Floats | None

    def __len__(self) -> int:
        return len(self.number)

    @classmethod
    def joined(cls, items: Sequence[OutcomeRows]) -> OutcomeRows:
        """All of them one behind the other; rows without probabilities get NaN where some have."""
        if len(items) == 1:
            return items[0]
        plain = [f.name for f in fields(cls) if f.name != "probabilities"]
        columns = {name: np.concatenate([getattr(i, name) for i in items]) for name in plain}
        classes = next((i.probabilities.shape[1] for i in items if i.probabilities is not None), 0)
        probabilities = None
        if classes:
            absent = [np.full((len(i), classes), np.nan) for i in items]
            held = [
                i.probabilities if i.probabilities is not None else a
                for i, a in zip(items, absent, strict=True)
            ]
            probabilities = np.concatenate(held)
        return cls(**columns, probabilities=probabilities)

    def at(self, rows: Int64s | slice) -> OutcomeRows:
        """These rows alone."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        plain = [f.name for f in fields(self) if f.name != "probabilities"]
        columns = {name: getattr(self, name)[rows] for name in plain}
        return OutcomeRows(**columns, probabilities=probabilities)


def count_outcomes(
    spec: LabelSpec, ledger: Ledger, rows: OutcomeRows
) -> Iterator[tuple[tuple[int, int, Kind], Int64s]]:
    """Each (set, pane, kind) of the rows with its vector: the ledger's and three totals.

    The totals are the rows that are taken out (below zero, as they are), rows and late rows.
    """
    keys, group = _groups(rows)
    most = max(1, _CELLS // ledger.width)
    if len(keys) <= most:
        yield from zip(keys, _counted(spec, ledger, len(keys), rows, group), strict=True)
        return
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(0, len(keys) + most, most))
    for number, (start, stop) in enumerate(pairwise(starts)):
        own, low = order[start:stop], number * most
        part = keys[low : low + most]
        yield from zip(
            part, _counted(spec, ledger, len(part), rows.at(own), group[own] - low), strict=True
        )


def _groups(rows: OutcomeRows) -> tuple[list[tuple[int, int, Kind]], Int64s]:
    """The (set, pane, kind)s there are, and each row's index among them."""
    first, low = int(rows.number[0]), int(rows.pane.min())
    span = int(rows.pane.max()) - low + 1
    if span == 1 and not rows.correction.any() and bool((rows.number == first).all()):
        return [(first, low, Kind.OUTCOME)], np.zeros(len(rows), dtype=np.int64)
    key = ((rows.number * span) + (rows.pane - low)) * 2 + rows.correction
    if int(key.max()) < 4 * len(rows) + 1_024:
        there = np.bincount(key) > 0
        found = np.flatnonzero(there)
        group = (np.cumsum(there) - 1)[key]
    else:
        found, group = np.unique(key, return_inverse=True)
    keys = []
    for value in found.tolist():
        number, pane = divmod(value // 2, span)
        keys.append((number, pane + low, Kind.CORRECTION if value % 2 else Kind.OUTCOME))
    return keys, group


def _counted(
    spec: LabelSpec, ledger: Ledger, groups: int, rows: OutcomeRows, group: Int64s
) -> Int64s:
    """The vectors of `groups` groups, (groups, width + 3); `group` tells each row's."""
    cells = np.zeros((groups, ledger.width + 3), dtype=np.int64)
    layout, flat = Layout.of(ledger, len(spec.classes)), cells.reshape(-1)
    columns = _columns(spec, rows, group)
    tally_rows(flat, layout, _DELAYS, columns)
    if spec.kind is LabelKind.BINARY:
        tally_binary(flat, layout, _steps(spec.edges), columns)
    elif spec.kind is LabelKind.MULTICLASS and rows.probabilities is not None:
        tally_multiclass(flat, layout, columns, _column(rows.probabilities, np.float64))
    elif spec.kind is LabelKind.REGRESSION:
        tally_regression(flat, layout, columns, _column(rows.label, np.float64))
    return cells


def _columns(spec: LabelSpec, rows: OutcomeRows, group: Int64s) -> Rows:
    label = rows.label if spec.classes else group  # a regression's is not looked at
    return Rows(
        _column(group, np.int64),
        _column(rows.out, np.bool_),
        _column(rows.late, np.bool_),
        _column(rows.delay_ms, np.int64),
        _column(rows.code, np.int32),
        _column(label, np.int64),
        _column(rows.value, np.float64),
    )


def _column(values: npt.NDArray[Any], dtype: type[np.generic]) -> Any:
    return np.require(values, dtype, ("C", "W"))


@lru_cache(maxsize=1024)
def _steps(edges: tuple[float, ...]) -> Steps:
    """The look-up of scores' bins, the first of which is from 0 and the last one to 1."""
    return Steps.of(np.array(edges[1:-1], dtype=np.float64))


@cache
def warm_up() -> None:
    """Compiles the loops before records come, once a process: in a transaction it may time out."""
    none, flags = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.bool_)
    code, shares = none.astype(np.int32), np.zeros((1, 2))
    value = shares[:, 0]
    for kind in LabelKind:
        classes = () if kind is LabelKind.REGRESSION else ("0", "1")
        spec = LabelSpec(kind, classes, (0.0, 1.0))
        row = OutcomeRows(none, none, flags, flags, flags, code, value, none, none, shares)
        list(count_outcomes(spec, ledger_of(spec), row))
