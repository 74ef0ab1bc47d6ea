"""What the compiled loops are given: columns of one type each, in named tuples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.join.layout import Ids, Rows, Slots
from stream.core.outcomes import LabelRows, PredictionRows
from stream.core.records import Int64s

__all__ = ["Chains", "CohortTable", "LabelColumns", "PredictionColumns", "Spare"]

_Int32s = npt.NDArray[np.int32]
_Bytes = npt.NDArray[np.uint8]
_Words = npt.NDArray[np.uint64]


def _column(values: npt.NDArray[Any], dtype: type[np.generic]) -> Any:
    """The values as compiled loops take them: in one piece, writable, of one type."""
    return np.require(values, dtype, ("C", "W"))


class Chains(NamedTuple):
    """Rows by id (`index`), by their slots.

    rows   the arena's
    links  by slot, as rows are: small, so that what is not meant is passed over near by
    owner  the extents' tasks
    heads  the first slot of each cell's chain
    counts  each task's number of rows that hang
    """

    rows: Rows
    links: Rows
    owner: _Int32s
    heads: npt.NDArray[np.uint32]
    counts: Int64s
    size: int
    bits: int


class CohortTable(NamedTuple):
    """What is known of each cohort (`cohorts`)."""

    horizon_ms: Int64s
    key: _Int32s
    name: _Int32s


class PredictionColumns(NamedTuple):
    """`outcomes.PredictionRows`."""

    task: _Int32s
    ids: Ids
    cohort: _Int32s
    time_ms: Int64s
    code: _Int32s
    value: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: PredictionRows) -> PredictionColumns:
        """The columns of rows."""
        return cls(
            _column(rows.task, np.int32),
            _column(rows.ids, np.uint64),
            _column(rows.cohort, np.int32),
            _column(rows.time_ms, np.int64),
            _column(rows.code, np.int32),
            _column(rows.value, np.float64),
        )


class LabelColumns(NamedTuple):
    """`outcomes.LabelRows`."""

    task: _Int32s
    ids: Ids
    time_ms: Int64s
    watermark_ms: Int64s
    form: _Bytes
    bits: _Words
    model: _Int32s
    late: npt.NDArray[np.bool_]
    offset: Int64s

    @classmethod
    def of(cls, rows: LabelRows) -> LabelColumns:
        """The columns of rows."""
        return cls(
            _column(rows.task, np.int32),
            _column(rows.ids, np.uint64),
            _column(rows.time_ms, np.int64),
            _column(rows.watermark_ms, np.int64),
            _column(rows.form, np.uint8),
            _column(rows.bits, np.uint64),
            _column(rows.model, np.int32),
            _column(rows.late, np.bool_),
            _column(rows.offset, np.int64),
        )

    def take(self, numbers: Int64s) -> LabelColumns:
        """The columns of the rows of these numbers."""
        taken: list[Any] = [column.take(numbers, axis=0) for column in self]
        return LabelColumns(*taken)


class Spare(NamedTuple):
    """Slots kept free for n rows (`arena.Places`): each row's group, and a group's next slot."""

    group: Int64s
    next: Int64s
    slots: Slots
