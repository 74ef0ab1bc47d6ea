"""Rows as bytes: format and kind, the length of a JSON header, the header, then the columns.

A column with few runs of equal values is written as its runs (`runs`); the header counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from stream.core.errors import StateError
from stream.core.join.layout import Rows
from stream.core.join.runs import read_column, write_columns
from stream.core.records import Int64s

__all__ = [
    "Chunk",
    "distinct",
    "holds_states",
    "read_frame",
    "read_rows",
    "read_states",
    "rows_of_record",
    "write_frame",
    "write_rows",
    "write_states",
]

_FORMAT = b"\x04"
_ROWS, _STATES = b"r", b"s"

Extras = list[bytes | None] | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one bucket from the ordinal `start` on. `level` says how often they were merged."""

    start: int
    level: int
    rows: Rows
    extras: Extras


def write_rows(
    chunk: Chunk, named: str, texts: Callable[[Sequence[int]], list[str]], at_most: int
) -> list[tuple[int, bytes]]:
    """The rows in records of about `at_most` bytes: how many rows each holds, and its bytes.

    The numbers in the column `named` mean something in this process only: `texts` says what.
    """
    if not len(chunk.rows):
        return []
    if chunk.extras is None:
        most = rows_of_record(chunk.rows.dtype, at_most)
        cuts = [*range(most, len(chunk.rows), most), len(chunk.rows)]
    else:
        whole = _width(chunk.rows.dtype, _written(chunk.rows.dtype))
        cuts = _cuts([whole + 4 + len(extra or b"") for extra in chunk.extras], at_most)
    records = []
    start = 0
    for stop in cuts:
        rows = chunk.rows[start:stop]
        numbers, index = distinct(np.ascontiguousarray(rows[named]))
        written = {name: rows[name] for name in _written(rows.dtype)}
        runs, columns = write_columns(list({**written, named: index}.values()))
        header = {
            "start": chunk.start + start,
            "level": chunk.level,
            "rows": stop - start,
            "runs": runs,
            "names": texts(numbers.tolist()),
            "extras": chunk.extras is not None,
        }
        if chunk.extras is not None:
            extras = chunk.extras[start:stop]
            lengths = [-1 if extra is None else len(extra) for extra in extras]
            columns += [_bytes(np.array(lengths, dtype="<i4")), *(e for e in extras if e)]
        records.append((stop - start, write_frame(_ROWS, header, columns)))
        start = stop
    return records


def rows_of_record(layout: np.dtype[Any], at_most: int) -> int:
    """How many rows without extras a record of so many bytes holds."""
    return max(1, at_most // _width(layout, _written(layout)))


def holds_states(value: bytes) -> bool:
    """Whether a record is one of `write_states`, else of `write_rows`."""
    return value[1:2] == _STATES


def read_rows(
    value: bytes, layout: np.dtype[Any], named: str, numbers: Callable[[Sequence[str]], list[int]]
) -> Chunk:
    """Reads one record of `write_rows`; StateError for what it isn't."""
    header, at = read_frame(value)
    rows = np.zeros(header["rows"], dtype=layout)
    at = _fill(rows, value, at, _written(layout), header["runs"])
    if len(rows):
        rows[named] = np.array(numbers(header["names"]), dtype=np.int32).take(rows[named])
    extras: Extras = None
    if header["extras"]:
        lengths = np.frombuffer(value, "<i4", len(rows), at).tolist()
        ends = list(accumulate((max(0, length) for length in lengths), initial=at + 4 * len(rows)))
        spans = zip(lengths, ends, strict=False)
        extras = [None if length < 0 else value[end : end + length] for length, end in spans]
    return Chunk(header["start"], header["level"], rows, extras)


def write_states(
    ends_ms: Int64s, ordinals: Int64s, rows: Rows, fields: Sequence[str], at_most: int
) -> list[bytes]:
    """Some fields of rows that stand at these ordinals of these buckets, in records."""
    most = max(1, at_most // (8 + _width(rows.dtype, fields)))
    records = []
    for start in range(0, len(rows), most):
        part = slice(start, start + most)
        ends, which = np.unique(ends_ms[part], return_inverse=True)
        places = [_bytes(which.astype("<i4")), _bytes(ordinals[part].astype("<u4"))]
        runs, columns = write_columns([rows[part][name] for name in fields])
        header = {"rows": len(ordinals[part]), "runs": runs, "ends": ends.tolist()}
        records.append(write_frame(_STATES, header, [*places, *columns]))
    return records


def read_states(
    value: bytes, layout: np.dtype[Any], fields: Sequence[str]
) -> tuple[Int64s, Int64s, Rows]:
    """Reads one record of `write_states`: ends, ordinals, rows with these fields alone."""
    header, at = read_frame(value)
    count = header["rows"]
    which = np.frombuffer(value, "<i4", count, at)
    ordinals = np.frombuffer(value, "<u4", count, at + 4 * count).astype(np.int64)
    rows = np.zeros(count, dtype=layout)
    _fill(rows, value, at + 8 * count, fields, header["runs"])
    return np.array(header["ends"], dtype=np.int64).take(which), ordinals, rows


def _written(layout: np.dtype[Any]) -> list[str]:
    return list(layout.names or ())


def distinct(
    numbers: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The numbers there are, ascending, and each one's place among them; small, from -1 on."""
    if bool((numbers == numbers[0]).all()):
        return numbers[:1], np.zeros_like(numbers)
    shifted = numbers + np.int32(1)
    there = np.flatnonzero(np.bincount(shifted))
    places = np.zeros(there[-1] + 1, dtype=np.int32)
    places[there] = np.arange(len(there))
    return there.astype(np.int32) - np.int32(1), places.take(shifted)


def _width(layout: np.dtype[Any], names: Sequence[str]) -> int:
    return sum(layout[name].itemsize for name in names)


def _bytes(column: npt.NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(column).data


def _cuts(sizes: Sequence[int], at_most: int) -> list[int]:
    """Where to cut, so that pieces have at most so many bytes, or one row."""
    cuts, held = [], 0
    for number, size in enumerate(sizes):
        if held and held + size > at_most:
            cuts.append(number)
            held = 0
        held += size
    return [*cuts, len(sizes)] if len(sizes) else []


def write_frame(
    kind: bytes, header: dict[str, Any], columns: Sequence[bytes | memoryview]
) -> bytes:
    """A record of this kind: its header, then the columns' bytes."""
    text = orjson.dumps(header)
    return b"".join([_FORMAT, kind, len(text).to_bytes(4, "little"), text, *columns])


def read_frame(value: bytes) -> tuple[dict[str, Any], int]:
    """A record's header, and where the columns' bytes begin; StateError for another format."""
    if value[:1] != _FORMAT:
        raise StateError(
            f"the join's state has the format {value[:1].hex() or 'none'}, this release reads "
            f"{_FORMAT.hex()}: use the release that wrote it, or `driftstream state reset`"
        )
    at = 6 + int.from_bytes(value[2:6], "little")
    header: dict[str, Any] = orjson.loads(value[6:at])
    return header, at


def _fill(rows: Rows, value: bytes, at: int, names: Sequence[str], runs: Sequence[int]) -> int:
    """Sets the fields from columns that start at a byte; where they end."""
    for name, count in zip(names, runs, strict=True):
        rows[name], at = read_column(value, at, rows.dtype[name], len(rows), count)
    return at
