"""Arrow record batches to column batches: records of one schema are taken together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream.core.decode.arrow_columns import filled, plain
from stream.core.decode.arrow_frame import Frame, frame_of
from stream.core.decode.arrow_group import Group, batches_of
from stream.core.decode.arrow_layout import Layout, layout_of
from stream.core.decode.assemble import Assembled
from stream.core.decode.fields import END_OF_TIME_MS, MAX_ID_BYTES, RefusedError, said
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.plans import Plans
from stream.core.errors import Reason, Rejected
from stream.core.records import Int64s

__all__ = ["ArrowReader"]

_MAX_LAYOUTS: Final = 256
_CELL_BYTES: Final = 4
_MAX_KEPT_SCHEMA: Final = 1 << 16

# What pyarrow raises for bytes that aren't what they should be.
_BROKEN: Final = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError)


@dataclass(slots=True)
class _Parts:
    """The batches of one schema in a slice."""

    layout: Layout
    batches: list[Any] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)


class ArrowReader:
    """Reads Arrow IPC streams; keeps the layouts of the last schemas (at most 256)."""

    def __init__(self, plans: Plans, limits: DecodeLimits) -> None:
        self._plans = plans
        self._limits = limits
        self._layouts: OrderedDict[bytes, Layout] = OrderedDict()

    def read(
        self,
        values: Sequence[Any],
        record: npt.NDArray[np.int32],
        carries: npt.NDArray[np.uint8],
        timestamp_ms: Int64s,
    ) -> Assembled:
        """The rows of the records whose indices are given; the other columns are the slice's."""
        done = Assembled()
        groups: dict[tuple[bytes, int], _Parts] = {}
        for i in record.tolist():
            try:
                self._open(values[i], i, int(carries[i]), groups)
            except RefusedError as error:
                done.rejected.append(Rejected(i, *error.refusal))
        for parts in groups.values():
            self._group(parts, carries, timestamp_ms, done)
        return done

    def _open(
        self, value: bytes, record: int, carries: int, groups: dict[tuple[bytes, int], _Parts]
    ) -> None:
        """Adds the record's batches to the group of its schema and topic, all checked."""
        frame = frame_of(value, self._limits)
        if not frame.batches:
            raise RefusedError(Reason.EMPTY, "Arrow stream: holds no rows")
        key = value[: frame.schema_end]
        try:
            reader = pa.ipc.open_stream(value)
            layout = self._layout(key, reader.schema)
            _check_cells(frame, len(layout.variables))
            batches = [reader.read_next_batch() for _ in range(frame.batches)]
            for batch in batches:
                batch.validate(full=True)
        except _BROKEN as broken:
            raise RefusedError(Reason.MALFORMED, f"Arrow stream: {said(broken)}") from broken
        if not any(batch.num_rows for batch in batches):
            raise RefusedError(Reason.EMPTY, "Arrow stream: holds no rows")
        if frame.rows * frame.dictionary_bytes > frame.room:
            _check_texts(batches, layout.texts, frame.room)
        parts = groups.setdefault((key, carries), _Parts(layout))
        first = 0
        for batch in batches:
            parts.batches.append(batch)
            parts.records.append(record)
            parts.firsts.append(first)
            first += batch.num_rows

    def _layout(self, key: bytes, schema: Any) -> Layout:
        layout = self._layouts.get(key)
        if layout is None:
            layout = layout_of(schema, self._limits)
            if len(key) <= _MAX_KEPT_SCHEMA:
                self._layouts[key] = layout
            if len(self._layouts) > _MAX_LAYOUTS:
                self._layouts.popitem(last=False)
        return layout

    def _group(
        self,
        parts: _Parts,
        carries: npt.NDArray[np.uint8],
        timestamp_ms: Int64s,
        done: Assembled,
    ) -> None:
        sizes = np.array([batch.num_rows for batch in parts.batches], dtype=np.int64)
        record = np.repeat(np.array(parts.records, dtype=np.int32), sizes)
        starts = np.cumsum(sizes) - sizes
        firsts = np.array(parts.firsts, dtype=np.int64) - starts
        row = (np.arange(len(record), dtype=np.int64) + np.repeat(firsts, sizes)).astype(np.int32)
        group = Group(
            layout=parts.layout,
            table=pa.Table.from_batches(parts.batches),
            record=record,
            row=row,
            event_time_ms=np.zeros(len(record), dtype=np.int64),
            carries=carries[record],
        )
        reasons = _Reasons(len(record))
        _check_ids(group, reasons)
        _check_models(group, reasons)
        group = _with_times(group, timestamp_ms[record] + self._limits.max_clock_skew_ms, reasons)
        if not parts.layout.has_features:
            reasons.add(group.carries == 0, Reason.MISSING_FIELD, "features: no such column")
        if reasons.codes.any():
            done.rejected.extend(reasons.rejected(group))
            group = group.keep(reasons.codes == 0)
        if len(group.record):
            batches_of(group, self._plans, done)


def _check_cells(frame: Frame, columns: int) -> None:
    """Columns of bits or of nulls are small, and large as values."""
    cells = frame.rows * columns
    if cells * _CELL_BYTES > frame.room:
        raise RefusedError(
            Reason.OVERSIZED,
            f"{frame.rows} rows of {columns} columns; at most {frame.room // _CELL_BYTES} values",
        )


def _check_texts(batches: Sequence[Any], places: Sequence[int], room: int) -> None:
    """A long text in a dictionary stands for as many texts as there are rows."""
    for batch in batches:
        rows = batch.num_rows
        for place in places:
            known = batch.column(place).dictionary
            if known.nbytes * rows <= room:
                continue
            longest = max((len(text or "") for text in known.to_pylist()), default=0)
            if longest * rows > room:
                raise RefusedError(
                    Reason.OVERSIZED,
                    f"{rows} rows of a text of {longest} characters; at most {room} bytes",
                )


class _Reasons:
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


def _check_ids(group: Group, reasons: _Reasons) -> None:
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


def _check_models(group: Group, reasons: _Reasons) -> None:
    too_long = f"longer than {MAX_ID_BYTES} characters"
    layout = group.layout
    if layout.model_column is not None:
        models = _texts(group.column(layout.model_column))
        sizes = np.array([len(model or "") for model in models])
        reasons.add(sizes == 0, Reason.MISSING_FIELD, "model: is missing")
        reasons.add(sizes > MAX_ID_BYTES, Reason.BAD_ID, f"model: {too_long}")
    if layout.version_column is not None:
        versions = _texts(group.column(layout.version_column))
        sizes = np.array([len(version or "") for version in versions])
        reasons.add(sizes > MAX_ID_BYTES, Reason.BAD_ID, f"version: {too_long}")


def _with_times(group: Group, latest: Int64s, reasons: _Reasons) -> Group:
    """The group with its event times; floor of what is finer than a millisecond."""
    column = group.column(group.layout.event_time)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    exact = np.empty(len(group.record), dtype=np.float64)
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
    reasons.add(
        times > latest,
        Reason.EVENT_TIME_IN_FUTURE,
        "event_time_ms: later than its arrival; check the producer's clock",
    )
    return group.at(times)
