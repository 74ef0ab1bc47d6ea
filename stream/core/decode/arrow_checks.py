"""What is wrong with rows of Arrow batches, many at once: ids, models, times."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream.core.decode.arrow_columns import filled, plain
from stream.core.decode.arrow_streams import Group
from stream.core.decode.fields import END_OF_TIME_MS, MAX_ID_BYTES
from stream.core.errors import Reason, Rejected
from stream.core.records import Int64s

__all__ = ["Reasons", "check_ids", "check_models", "with_times"]


class Reasons:
    """The first reason against each row."""

    def __init__(self, count: int) -> None:
        self.codes = np.zeros(count, dtype=np.int8)
        self._said: list[tuple[Reason, str]] = []

    def add(self, mask: npt.NDArray[np.bool_], reason: Reason, detail: str) -> None:
        """Holds a reason against the rows of the mask that have none yet."""
        if mask.any():
            self._said.append((reason, detail))
            self.codes[mask & (self.codes == 0)] = len(self._said)

    def rejected(self, group: Group) -> list[Rejected]:
        """One value a record and reason; without rows where it is all of the record's."""
        found = []
        bad = np.flatnonzero(self.codes)
        sizes = dict(zip(*np.unique(group.record, return_counts=True), strict=True))
        rows: dict[tuple[int, int], list[int]] = {}
        for record, code, row in zip(
            group.record[bad].tolist(),
            self.codes[bad].tolist(),
            group.row[bad].tolist(),
            strict=True,
        ):
            rows.setdefault((record, code), []).append(row)
        for (record, code), places in rows.items():
            whole = len(places) == sizes[record]
            found.append(Rejected(record, *self._said[code - 1], () if whole else tuple(places)))
        return found


def check_ids(group: Group, reasons: Reasons) -> None:
    """Holds BAD_ID against rows without a usable id."""
    column = group.column(group.layout.prediction_id)
    detail = f"prediction_id: null, or not of 1 to {MAX_ID_BYTES} bytes"
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        if column.null_count:
            reasons.add(~column.is_valid().to_numpy(), Reason.BAD_ID, detail)
        return
    if pa.types.is_dictionary(kind):
        sizes = np.array([len((text or "").encode()) for text in _texts(column)])
    else:
        sizes = pc.binary_length(column).fill_null(0).to_numpy()
    reasons.add((sizes < 1) | (sizes > MAX_ID_BYTES), Reason.BAD_ID, detail)


def _texts(column: Any) -> list[str | None]:
    """The values of a column that is known to be text."""
    return [None if value is None else str(value) for value in plain(column)]


def check_models(group: Group, reasons: Reasons) -> None:
    """Holds what it is against rows whose model or version is none."""
    too_long = f"longer than {MAX_ID_BYTES} characters"
    layout = group.layout
    if layout.model_column is not None:
        sizes = _lengths(group.column(layout.model_column))
        if layout.label is None:  # a label need not name its model
            reasons.add(sizes == 0, Reason.MISSING_FIELD, "model: is missing")
        reasons.add(sizes > MAX_ID_BYTES, Reason.BAD_ID, f"model: {too_long}")
    if layout.version_column is not None:
        sizes = _lengths(group.column(layout.version_column))
        reasons.add(sizes > MAX_ID_BYTES, Reason.BAD_ID, f"version: {too_long}")


def _lengths(column: Any) -> npt.NDArray[np.integer]:
    """The characters of each text; 0 where null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.int64)
    sizes: npt.NDArray[np.integer] = pc.utf8_length(column).fill_null(0).to_numpy()
    return sizes


def with_times(group: Group, latest: Int64s, reasons: Reasons) -> Group:
    """The group with its event times; floor of what is finer than a millisecond.

    `latest` has the last time that is good, of each of the slice's records.
    """
    column = group.column(group.layout.event_time)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    times = None if column.null_count else _in_range(column)
    if times is None:
        times = _checked_times(column, reasons)
    if int(times.max(initial=0)) > int(latest.min()):  # else none can be later than its own
        reasons.add(
            times > latest[group.record],
            Reason.EVENT_TIME_IN_FUTURE,
            "event_time_ms: later than its arrival; check the producer's clock",
        )
    return group.at(times)


def _in_range(column: Any) -> Int64s | None:
    """Whole milliseconds that are all good, as a producer sends them; None for others."""
    if not pa.types.is_int64(column.type):
        return None
    times: Int64s = column.to_numpy()
    good = len(times) and int(times.min()) >= 0 and int(times.max()) < END_OF_TIME_MS
    return times if good else None


def _checked_times(column: Any, reasons: Reasons) -> Int64s:
    """The times, 0 where there is something against one."""
    exact = np.empty(len(column), dtype=np.float64)
    filled(column, exact)
    if column.null_count:
        reasons.add(
            ~column.is_valid().to_numpy(), Reason.MISSING_FIELD, "event_time_ms: is missing"
        )
    reasons.add(~np.isfinite(exact), Reason.NOT_FINITE_TIME, "event_time_ms: is not finite")
    in_range = (exact >= 0) & (exact < END_OF_TIME_MS)
    times = np.where(in_range, exact, 0).astype(np.int64)
    fractional = in_range & (times != exact)
    reasons.add(fractional, Reason.WRONG_TYPE, "event_time_ms: expected whole milliseconds")
    reasons.add(~in_range, Reason.TIME_OUT_OF_RANGE, "event_time_ms: before 1970 or after 9999")
    return times
