"""Arrow IPC streams opened and checked: records of one schema are taken together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.core.decode.arrow_alike import Alike, Mold
from stream.core.decode.arrow_frame import Frame, frame_of
from stream.core.decode.arrow_layout import Layout, label_layout_of, layout_of
from stream.core.decode.fields import RefusedError, said
from stream.core.decode.limits import DecodeLimits
from stream.core.errors import Reason, Rejected
from stream.core.records import Int64s

__all__ = ["ArrowStreams", "Group"]

_MAX_LAYOUTS: Final = 256
_CELL_BYTES: Final = 4
_MAX_KEPT_SCHEMA: Final = 1 << 16

# What pyarrow raises for bytes that aren't what they should be.
_BROKEN: Final = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one topic in order of (record, row), as an Arrow table and as columns."""

    layout: Layout
    table: Any
    record: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    event_time_ms: Int64s
    carries: npt.NDArray[np.uint8]

    def column(self, place: int) -> Any:
        """A column of the table, in chunks."""
        return self.table.column(place)

    def at(self, event_time_ms: Int64s) -> Group:
        """The same rows with these times."""
        return replace(self, event_time_ms=event_time_ms)

    def keep(self, mask: npt.NDArray[np.bool_]) -> Group:
        """The rows of the mask."""
        if mask.all():
            return self
        return Group(
            self.layout,
            self.table.filter(pa.array(mask)),
            self.record[mask],
            self.row[mask],
            self.event_time_ms[mask],
            self.carries[mask],
        )


@dataclass(slots=True)
class _Parts:
    """The batches of one schema in a slice."""

    layout: Layout
    batches: list[Any] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)


class ArrowStreams:
    """Opens streams of rows or of labels; keeps the layouts of the last schemas (at most 256)."""

    def __init__(self, limits: DecodeLimits, *, labels: bool = False) -> None:
        self._limits = limits
        self._layout_of = label_layout_of if labels else layout_of
        self._layouts: OrderedDict[bytes, Layout] = OrderedDict()
        self._alike = Alike()

    def groups(
        self,
        values: Sequence[Any],
        record: npt.NDArray[np.int32],
        carries: npt.NDArray[np.uint8],
        rejected: list[Rejected],
    ) -> list[Group]:
        """The records whose indices are given, by schema and by what their topic carries.

        The other columns are the slice's; event times are still to be read.
        """
        found: dict[tuple[bytes, int], _Parts] = {}
        alike: dict[tuple[Mold, int], list[int]] = {}
        for i in record.tolist():
            mold = self._alike.mold(values[i])
            if mold is not None:
                alike.setdefault((mold, int(carries[i])), []).append(i)
                continue
            self._try(values[i], i, carries, found, rejected)
        stacks = []
        for (mold, _), places in alike.items():
            try:
                stacks.append(_stack(mold, values, places, carries))
            except _BROKEN:  # an index beyond its dictionary: each record on its own then
                for i in places:
                    self._try(values[i], i, carries, found, rejected)
        return [*stacks, *(_group(parts, carries) for parts in found.values())]

    def _try(
        self,
        value: bytes,
        record: int,
        carries: npt.NDArray[np.uint8],
        found: dict[tuple[bytes, int], _Parts],
        rejected: list[Rejected],
    ) -> None:
        try:
            self._open(value, record, int(carries[record]), found)
        except RefusedError as error:
            rejected.append(Rejected(record, *error.refusal))

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
        self._alike.note(value, frame, batches[0], layout)

    def _layout(self, key: bytes, schema: Any) -> Layout:
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layout_of(schema, self._limits)
            if len(key) <= _MAX_KEPT_SCHEMA:
                self._layouts[key] = layout
            if len(self._layouts) > _MAX_LAYOUTS:
                self._layouts.popitem(last=False)
        return layout


def _group(parts: _Parts, carries: npt.NDArray[np.uint8]) -> Group:
    sizes = np.array([batch.num_rows for batch in parts.batches], dtype=np.int64)
    record = np.repeat(np.array(parts.records, dtype=np.int32), sizes)
    starts = np.cumsum(sizes) - sizes
    firsts = np.array(parts.firsts, dtype=np.int64) - starts
    row = (np.arange(len(record), dtype=np.int64) + np.repeat(firsts, sizes)).astype(np.int32)
    return Group(
        layout=parts.layout,
        table=pa.Table.from_batches(parts.batches),
        record=record,
        row=row,
        event_time_ms=np.zeros(len(record), dtype=np.int64),
        carries=np.full(len(record), carries[parts.records[0]], dtype=np.uint8),
    )


def _stack(
    mold: Mold, values: Sequence[Any], places: list[int], carries: npt.NDArray[np.uint8]
) -> Group:
    """The rows of records that fit a mold. Raises what pyarrow does."""
    batch = mold.stacked([values[i] for i in places])
    batch.validate(full=True)
    found = np.array(places, dtype=np.int32)
    count = len(places) * mold.rows
    return Group(
        layout=mold.layout,
        table=pa.Table.from_batches([batch]),
        record=np.repeat(found, mold.rows),
        row=np.tile(np.arange(mold.rows, dtype=np.int32), len(places)),
        event_time_ms=np.zeros(count, dtype=np.int64),
        carries=np.full(count, carries[found[0]], dtype=np.uint8),
    )


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
