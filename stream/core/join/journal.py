"""A table's state as changelog records: chunks of rows by bucket, and what was written to since.

    join/NAME/END/SEQUENCE      rows of the bucket that ends at END, or what became of some
    join/NAME/states/SEQUENCE   what became of rows of any buckets within one commit

A bucket's chunks are merged when there are many, the records of states handed on to their
buckets when there are many, and all that a bucket has is removed when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from stream.core.join.arena import Bucket
from stream.core.join.book import Names
from stream.core.join.chunk import (
    Chunk,
    holds_states,
    read_rows,
    read_states,
    rows_of_record,
    write_rows,
    write_states,
)
from stream.core.join.layout import Slots
from stream.core.join.table import Table

__all__ = ["Journal"]

_CROWDED = 64  # records of a kind before they are merged
_MANY = 1 << 19  # rows in records of states before these are handed on

_Record = tuple[bytes, bytes | None]


@dataclass(slots=True)
class _Part:
    key: bytes
    start: int
    level: int


@dataclass(slots=True)
class _Written:
    """What the changelog has of a bucket: chunks in the order of their rows, then states."""

    rows: int = 0
    parts: list[_Part] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    next: int = 0
    base: int = 0  # merged chunks that the last rewriting of everything made


@dataclass(slots=True)
class _Task:
    buckets: dict[int, _Written] = field(default_factory=dict)
    states: list[tuple[bytes, Slots]] = field(default_factory=list)
    next: int = 0
    looked: int = 0  # rows that there were when spilling was last thought of


class Journal:
    """Writes what changed in a table since the last time, and gives all of it back.

    `fields` are those that are written to after a row was kept; the column `named` holds
    numbers that `names` can explain. A record has about `record_bytes` at most.
    """

    def __init__(
        self,
        name: str,
        table: Table,
        fields: Sequence[str],
        named: str,
        names: Names,
        record_bytes: int,
    ) -> None:
        self._prefix = b"join/%s/" % name.encode()
        self._table = table
        self._fields = tuple(fields)
        self._named = named
        self._names = names
        self._bytes = record_bytes
        self._most = rows_of_record(table.arena.layout, record_bytes)
        self._tasks: dict[int, _Task] = {}

    def drop(self, task: int) -> None:
        """Forgets what was written of a task."""
        self._tasks.pop(task, None)

    def changes(self, task: int) -> Iterator[_Record]:
        """The records to be written, None removes one."""
        told = self._tasks.setdefault(task, _Task())
        for end_ms in self._table.released.pop(task, ()):
            gone = told.buckets.pop(end_ms, _Written())
            yield from ((key, None) for key in (*(p.key for p in gone.parts), *gone.states))
        if not told.buckets:
            yield from ((key, None) for key, _ in told.states)
            told.states.clear()
        yield from self._states(told, task)
        for bucket in self._table.arena.buckets.get(task, {}).values():
            written = told.buckets.setdefault(bucket.end_ms, _Written())
            yield from self._bucket(bucket, written)

    def spill(self, task: int) -> Iterator[_Record]:
        """Records of many rows, ahead of `changes`; of the newest none, much becomes of those."""
        told, arena = self._tasks.setdefault(task, _Task()), self._table.arena
        rows = arena.count(task)
        if rows - told.looked < self._most:
            return
        told.looked = rows
        for bucket in arena.buckets.get(task, {}).values():
            written = told.buckets.setdefault(bucket.end_ms, _Written())
            count = (bucket.rows - written.rows) // self._most - 1
            if count > 0 and sum(part.level == 0 for part in written.parts) < _CROWDED:
                stop = written.rows + count * self._most
                yield from self._write(bucket, written, written.rows, stop, level=0)

    def restore(self, task: int, records: Mapping[bytes, bytes]) -> Slots:
        """Puts a task's live records into the table, not into its index; the rows' slots."""
        told = self._tasks[task] = _Task()
        mine = (key for key in records if key.startswith(self._prefix))
        found: dict[bytes, list[tuple[int, bytes]]] = {}
        for key in mine:
            name, _, sequence = key.removeprefix(self._prefix).partition(b"/")
            found.setdefault(name, []).append((int(sequence), key))
        arena, later = self._table.arena, sorted(found.pop(b"states", []))
        for name in sorted(found, key=int):
            bucket = arena.bucket(task, int(name))
            self._restore_bucket(bucket, told, sorted(found[name]), records)
        for number, key in later:
            told.states.append((key, self._apply(task, records[key])))
            told.next = number + 1
        return self._table.slots_of(task)

    def _states(self, told: _Task, task: int) -> Iterator[_Record]:
        """What became of rows that are written already."""
        slots = self._table.taken(task)
        told.looked = self._table.arena.count(task)
        held = len(slots) + sum(len(part) for _, part in told.states)
        if len(told.states) < _CROWDED and held <= _MANY:
            ends, ordinals = self._table.arena.place_of(slots)
            rows = self._table.arena.take(slots)
            values = write_states(ends, ordinals, rows, self._fields, self._bytes)
            for value in values:
                key = b"%sstates/%08d" % (self._prefix, told.next)
                told.next += 1
                told.states.append((key, slots if value is values[0] else slots[:0]))
                yield key, value
            return
        slots = np.concatenate([slots, *(part for _, part in told.states)])
        slots = self._table.arena.told_of(task, slots)
        yield from ((key, None) for key, _ in told.states)
        told.states.clear()
        ends, ordinals = self._table.arena.place_of(slots)
        for end_ms in np.unique(ends).tolist():
            chosen = np.flatnonzero(ends == end_ms)
            written = told.buckets[end_ms]
            rows = self._table.arena.take(slots.take(chosen))
            for value in write_states(
                ends.take(chosen), ordinals.take(chosen), rows, self._fields, self._bytes
            ):
                written.states.append(self._key(end_ms, written))
                yield written.states[-1], value

    def _bucket(self, bucket: Bucket, written: _Written) -> Iterator[_Record]:
        merged = sum(part.level > 0 for part in written.parts)
        fresh = len(written.parts) - merged
        whole = merged - written.base > _CROWDED or len(written.states) > _CROWDED
        if bucket.rows == written.rows and not whole:
            return
        replaced: list[_Part] = []
        level, start = 0, written.rows
        if whole:
            replaced, written.parts = written.parts, []
            yield from ((key, None) for key in written.states)
            written.states = []
            level, start = 1, 0
        elif fresh >= _CROWDED:
            replaced, written.parts = written.parts[merged:], written.parts[:merged]
            level, start = 1, replaced[0].start
        yield from ((part.key, None) for part in replaced)
        yield from self._write(bucket, written, start, bucket.rows, level)
        if whole:
            written.base = len(written.parts)

    def _write(
        self, bucket: Bucket, written: _Written, start: int, stop: int, level: int
    ) -> Iterator[_Record]:
        slots = self._table.arena.slots_of(bucket, start, stop)
        chunk = Chunk(start, level, self._table.arena.take(slots), self._table.extras_of(slots))
        written.rows = stop
        self._table.arena.tell(bucket, start, stop)
        texts = partial(self._names.texts, bucket.task, bucket.end_ms)
        for count, value in write_rows(chunk, self._named, texts, self._bytes):
            key = self._key(bucket.end_ms, written)
            written.parts.append(_Part(key, start, level))
            start += count
            yield key, value

    def _key(self, end_ms: int, written: _Written) -> bytes:
        written.next += 1
        return b"%s%015d/%08d" % (self._prefix, end_ms, written.next - 1)

    def _restore_bucket(
        self,
        bucket: Bucket,
        told: _Task,
        keys: Sequence[tuple[int, bytes]],
        records: Mapping[bytes, bytes],
    ) -> None:
        arena, written = self._table.arena, told.buckets.setdefault(bucket.end_ms, _Written())
        numbers = partial(self._names.numbers, bucket.task, bucket.end_ms)
        # The last states of a row are its latest ones, whichever chunk the row itself is in now.
        written.next = keys[-1][0] + 1
        written.states = [key for _, key in keys if holds_states(records[key])]
        for _, key in keys:
            if holds_states(records[key]):
                continue
            chunk = read_rows(records[key], arena.layout, self._named, numbers)
            stop = chunk.start + len(chunk.rows)
            arena.extend(bucket, max(0, stop - bucket.rows))
            slots = arena.slots_of(bucket, chunk.start, stop)
            self._table.write(slots, chunk.rows)
            if chunk.extras is not None:
                self._table.keep_extras(slots, chunk.extras)
            written.parts.append(_Part(key, chunk.start, chunk.level))
        for key in written.states:
            self._apply(bucket.task, records[key])
        written.rows = bucket.rows
        arena.tell(bucket, 0, bucket.rows)
        written.base = sum(part.level > 0 for part in written.parts)

    def _apply(self, task: int, value: bytes) -> Slots:
        """Writes states to their rows; the rows' slots. Of buckets that are gone, nothing."""
        arena = self._table.arena
        ends, ordinals, rows = read_states(value, arena.layout, self._fields)
        parts = [np.zeros(0, dtype=np.int64)]
        for end_ms in np.unique(ends).tolist():
            bucket = arena.buckets.get(task, {}).get(end_ms)
            chosen = np.flatnonzero(ends == end_ms)
            if bucket is None:
                continue
            slots = arena.slots_at(bucket, ordinals.take(chosen))
            for name in self._fields:
                arena.rows[name][slots] = rows[name].take(chosen)
            parts.append(slots)
        return np.concatenate(parts)
