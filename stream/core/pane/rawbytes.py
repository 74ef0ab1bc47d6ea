"""Raw groups as bytes: the JSON of their columns, cut by rows where they are too large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import orjson

from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Group,
    RawColumns,
    Scalar,
)

__all__ = ["pack_raw", "unpack_raw"]

_NOT_FINITE = "not_finite"
_LONGEST_TEXT = 257  # characters; a profile's categories have at most 256
_FRAME_BYTES = 96  # about what stands around the columns


def pack_raw(group: Group, max_bytes: int) -> Iterator[tuple[Group, bytes]]:
    """The group as pieces of at most `max_bytes` each, halved by rows as often as it takes.

    Of a single row that is larger, what doesn't fit counts as missing.
    """
    raw = group.raw or {}
    data, count = _packed(raw), len(raw[CARRIES_COLUMN])
    if len(data) > max_bytes and count > 1:
        for half in _halves(group, raw, count):
            yield from pack_raw(half, max_bytes)
        return
    yield group, data if len(data) <= max_bytes else _packed(_cut(raw, max_bytes))


def unpack_raw(data: bytes) -> RawColumns:
    """The columns again; raises what orjson raises, ValueError or KeyError on other bytes."""
    record = orjson.loads(data)
    columns: RawColumns = record["columns"]
    if not {list}.issuperset(map(type, columns.values())):
        raise ValueError("a partial's raw columns aren't lists")
    for name, place, positive in record[_NOT_FINITE]:
        columns[name][place] = float("inf") if positive else float("-inf")
    return columns


def _halves(group: Group, raw: RawColumns, count: int) -> Iterator[Group]:
    """Two raw groups of half the rows; the first keeps the counts of late rows and the like."""
    for start, stop in ((0, count // 2), (count // 2, count)):
        columns = {
            name: values[start:stop]
            for name, values in raw.items()
            if name == CARRIES_COLUMN or any(v is not None for v in values[start:stop])
        }
        carries = [int(bits or 0) for bits in columns[CARRIES_COLUMN]]
        yield replace(
            group,
            raw=columns,
            rows=sum(bits & CARRIES_PREDICTION != 0 for bits in carries),
            feature_rows=sum(bits & CARRIES_FEATURES != 0 for bits in carries),
            late_rows=0 if start else group.late_rows,
            unknown_features=0 if start else group.unknown_features,
            duplicate_rows=0 if start else group.duplicate_rows,
            unkept_rows=0 if start else group.unkept_rows,
        )


def _packed(columns: RawColumns) -> bytes:
    """JSON of the columns; JSON has no infinities, so those stand apart with their places."""
    plain: dict[str, list[Scalar]] = {}
    apart: list[tuple[str, int, bool]] = []
    for name, values in columns.items():
        kept: list[Scalar] = []
        for place, value in enumerate(values):
            number = _bounded(value)
            if isinstance(number, float) and number in (float("inf"), float("-inf")):
                apart.append((name, place, number > 0))
                number = None
            kept.append(number)
        plain[name] = kept
    return orjson.dumps({"columns": plain, _NOT_FINITE: apart})


def _cut(row: RawColumns, max_bytes: int) -> RawColumns:
    """As much of one row as fits, in the order of its names; the rest counts as missing."""
    kept: RawColumns = {CARRIES_COLUMN: row[CARRIES_COLUMN]}
    room = max_bytes - _FRAME_BYTES
    for name in sorted(set(row) - {CARRIES_COLUMN}):
        room -= len(_packed({name: row[name]}))
        if room < 0:
            break
        kept[name] = row[name]
    return kept


def _bounded(value: Scalar) -> Scalar:
    """A value as it travels: long texts cut, integers beyond 64 bits as the nearest float.

    No profile names a category that long, so a cut text counts as the whole one does.
    """
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if not isinstance(value, int) or -(1 << 63) <= value < 1 << 64:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
