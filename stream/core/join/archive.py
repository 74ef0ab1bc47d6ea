"""Labels that found their predictions, kept as the changelog's records of them.

    join/m/END/SEQUENCE   labels of the minute that ends at END, in the order they came

A label waits on after it has matched: a challenger's prediction of its id may follow. Where no
model has challengers none ever does, so these labels are kept in the least room, by no id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.join.book import ModelBook
from stream.core.join.chunk import distinct, read_frame, write_frame
from stream.core.join.columns import LabelColumns
from stream.core.join.runs import read_column, write_columns
from stream.core.records import Int64s

__all__ = ["Archive", "Archived"]

_PREFIX = b"join/m/"
_KIND = b"m"
_WIDTH_MS = 60_000
_MANY = 64  # small records of a minute before they are merged
_NAMED, _ORDER = "model", "order"
_FIELDS: dict[str, np.dtype[Any]] = {
    "first": np.dtype("<u8"),
    "second": np.dtype("<u8"),
    "time": np.dtype("<i8"),
    "watermark": np.dtype("<i8"),
    "form": np.dtype("u1"),
    "bits": np.dtype("<u8"),
    _NAMED: np.dtype("<i4"),
    "late": np.dtype("?"),
    "offset": np.dtype("<i8"),
    _ORDER: np.dtype("<i8"),
}
_ROW_BYTES = sum(dtype.itemsize for dtype in _FIELDS.values())

_Record = tuple[bytes, bytes | None]
_Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Archived:
    """Labels of one task (n,), and their places among all that came, (n,) int64."""

    labels: LabelColumns
    order: Int64s


@dataclass(frozen=True, slots=True)
class _Written:
    key: bytes
    value: bytes
    rows: int


@dataclass(slots=True)
class _Minute:
    """A task's labels that may wait until some minute: the written ones, and those to be."""

    rows: int = 0
    written: list[_Written] = field(default_factory=list)
    new: list[tuple[Archived, int, int]] = field(default_factory=list)  # from a row to a row
    fresh: int = 0
    next: int = 0


class Archive:
    """Keeps labels a minute of a task together until they are opened, or their time is over."""

    def __init__(self, names: ModelBook, record_bytes: int) -> None:
        self._names = names
        self._most = max(1, record_bytes // _ROW_BYTES)
        self._tasks: dict[int, dict[int, _Minute]] = {}
        self._gone: dict[int, list[bytes]] = {}

    @property
    def nbytes(self) -> int:
        """What is held."""
        minutes = [minute for found in self._tasks.values() for minute in found.values()]
        written = sum(len(record.value) for minute in minutes for record in minute.written)
        return written + _ROW_BYTES * sum(minute.fresh for minute in minutes)

    def count(self, task: int) -> int:
        """The number of a task's labels."""
        return sum(minute.rows for minute in self._tasks.get(task, {}).values())

    def add(self, rows: Archived, until_ms: Int64s) -> None:
        """Keeps labels (n,), each at least until a time; the columns must not change any more."""
        if not len(rows.order):
            return
        task, minute = rows.labels.task, -(-until_ms // _WIDTH_MS)
        starts = _starts(task, minute)
        if len(starts) * _MANY > len(task) + _MANY:
            order = np.lexsort((minute, task))
            rows = Archived(rows.labels.take(order), rows.order.take(order))
            task, minute = rows.labels.task, minute.take(order)
            starts = _starts(task, minute)
        ends = (minute.take(starts) * _WIDTH_MS).tolist()
        stops = [*starts[1:].tolist(), len(task)]
        for number, end_ms, start, stop in zip(
            task.take(starts).tolist(), ends, starts.tolist(), stops, strict=True
        ):
            found = self._tasks.setdefault(number, {}).setdefault(end_ms, _Minute())
            found.new.append((rows, start, stop))
            found.rows += stop - start
            found.fresh += stop - start

    def open(self, task: int) -> Archived | None:
        """Gives a task's labels away; None where there are none."""
        minutes = self._tasks.pop(task, {})
        parts = [part for minute in minutes.values() for part in self._columns(minute)]
        for minute in minutes.values():
            self._gone.setdefault(task, []).extend(record.key for record in minute.written)
        return _archived(task, _joined(parts)) if parts else None

    def expire(self, task: int, before_ms: int) -> None:
        """Forgets the task's minutes that ended before a time."""
        minutes = self._tasks.get(task, {})
        for end_ms in [end_ms for end_ms in minutes if end_ms < before_ms]:
            gone = minutes.pop(end_ms)
            self._gone.setdefault(task, []).extend(record.key for record in gone.written)

    def drop(self, task: int) -> None:
        """Forgets all of a task."""
        self._tasks.pop(task, None)
        self._gone.pop(task, None)

    def changes(self, task: int) -> Iterator[_Record]:
        """The records to be written, None removes one."""
        yield from ((key, None) for key in self._gone.pop(task, ()))
        for end_ms, minute in self._tasks.get(task, {}).items():
            if minute.fresh:
                small = [record for record in minute.written if 2 * record.rows < self._most]
                yield from self._write(end_ms, minute, small if len(small) >= _MANY else [])

    def spill(self, task: int) -> Iterator[_Record]:
        """Records of many labels, ahead of `changes`."""
        for end_ms, minute in self._tasks.get(task, {}).items():
            if minute.fresh >= self._most:
                yield from self._write(end_ms, minute, [])

    def restore(self, task: int, records: Mapping[bytes, bytes]) -> int:
        """Takes a task's live records; the last label's place among all that came, or -1."""
        self.drop(task)
        minutes = self._tasks[task] = {}
        last = -1
        for key in sorted(key for key in records if key.startswith(_PREFIX)):
            end_ms, _, sequence = key.removeprefix(_PREFIX).partition(b"/")
            header, _ = read_frame(records[key])
            minute = minutes.setdefault(int(end_ms), _Minute())
            minute.written.append(_Written(key, records[key], header["rows"]))
            minute.rows += header["rows"]
            minute.next = int(sequence) + 1
            last = max(last, header["last"])
        return last

    def _write(
        self, end_ms: int, minute: _Minute, replaced: Sequence[_Written]
    ) -> Iterator[_Record]:
        """Writes what is new of a minute, and again what some records hold, in their place."""
        gone = {record.key for record in replaced}
        yield from ((key, None) for key in sorted(gone))
        new = [_part(*part) for part in minute.new]
        joined = _joined([*(self._read(record.value) for record in replaced), *new])
        minute.written = [record for record in minute.written if record.key not in gone]
        minute.new, minute.fresh = [], 0
        yield from self._put(end_ms, minute, joined)

    def _put(self, end_ms: int, minute: _Minute, columns: _Columns) -> Iterator[_Record]:
        count = len(columns[_ORDER])
        for start in range(0, count, self._most):
            stop = min(start + self._most, count)
            value = self._record({name: c[start:stop] for name, c in columns.items()})
            key = b"%s%015d/%08d" % (_PREFIX, end_ms, minute.next)
            minute.next += 1
            minute.written.append(_Written(key, value, stop - start))
            yield key, value

    def _record(self, columns: _Columns) -> bytes:
        """Labels that came one behind the other have one run: order less number of the row."""
        numbers, index = distinct(columns[_NAMED])
        order = columns[_ORDER]
        told = {**columns, _NAMED: index, _ORDER: order - np.arange(len(order))}
        runs, parts = write_columns([told[name] for name in _FIELDS])
        header = {
            "rows": len(order),
            "runs": runs,
            "names": self._names.texts(0, 0, numbers.tolist()),
            "last": int(order.max()),
        }
        return write_frame(_KIND, header, parts)

    def _read(self, value: bytes) -> _Columns:
        header, at = read_frame(value)
        columns: _Columns = {}
        for (name, dtype), runs in zip(_FIELDS.items(), header["runs"], strict=True):
            columns[name], at = read_column(value, at, dtype, header["rows"], runs)
        numbers = np.array(self._names.numbers(0, 0, header["names"]), dtype=np.int32)
        columns[_NAMED] = numbers.take(columns[_NAMED])
        columns[_ORDER] = columns[_ORDER] + np.arange(header["rows"])
        return columns

    def _columns(self, minute: _Minute) -> Iterator[_Columns]:
        yield from (self._read(record.value) for record in minute.written)
        yield from (_part(*part) for part in minute.new)


def _starts(task: npt.NDArray[np.int32], minute: Int64s) -> Int64s:
    """Where rows of another task, or minute, than the row before begin."""
    changed = (task[1:] != task[:-1]) | (minute[1:] != minute[:-1])
    return np.concatenate([np.zeros(1, dtype=np.int64), np.flatnonzero(changed) + 1])


def _part(rows: Archived, start: int, stop: int) -> _Columns:
    """The columns of some of the labels."""
    _, ids, time_ms, watermark_ms, form, bits, model, late, offset = rows.labels
    others = (time_ms, watermark_ms, form, bits, model, late, offset, rows.order)
    whole: list[npt.NDArray[Any]] = [ids[:, 0], ids[:, 1], *others]
    return {name: column[start:stop] for name, column in zip(_FIELDS, whole, strict=True)}


def _joined(parts: list[_Columns]) -> _Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in _FIELDS}


def _archived(task: int, columns: _Columns) -> Archived:
    """The rows that have these columns."""
    first, second, *others, order = (columns[name] for name in _FIELDS)
    tasks = np.full(len(order), task, dtype=np.int32)
    return Archived(LabelColumns(tasks, np.stack([first, second], axis=1), *others), order)
