"""The wire form of a `Partial`: one columnar Avro record, more than one where it would be large."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import orjson

from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Claim,
    Group,
    ModelKey,
    Partial,
    Progress,
    RawColumns,
    Scalar,
    Source,
    Told,
)

__all__ = ["decode_partial", "encode_partials"]

_RAW = 0
_NOT_FINITE = "not_finite"
_COLUMNS = {  # a column of the schema -> the group's field
    "profiles": "profile",
    "pane_ms": "pane_ms",
    "rows": "rows",
    "feature_rows": "feature_rows",
    "late_rows": "late_rows",
    "unknown_features": "unknown_features",
}
_LONGEST_TEXT = 257  # characters; a profile's categories have at most 256
_GROUP_BYTES = 96  # about what a group's entries in the columns take, names included


def encode_partials(partial: Partial, schema: dict[str, Any], max_bytes: int) -> list[bytes]:
    """Encodes a partial as records of at most about `max_bytes`, to be produced in this order.

    Groups go first; watermarks and claims stand in the last record, so that nothing closes
    before its rows are there. Progress stands in every one. A raw group that is too large is
    split by rows. `schema` is the parsed pane_partial schema.
    """
    packed = [piece for group in partial.groups for piece in _pack(group, max_bytes)]
    shares = list(_shares(packed, max_bytes))
    return [
        _encode(share, partial, schema, last=number == len(shares) - 1)
        for number, share in enumerate(shares)
    ]


def decode_partial(value: bytes, schema: dict[str, Any]) -> Partial:
    """Decodes one record of `partials`; raises what fastavro or numpy raise on other bytes."""
    record: Any = fastavro.schemaless_reader(io.BytesIO(value), schema, None)
    data: bytes = record["data"]
    groups = []
    place = 0
    for index, model in enumerate(record["models"]):
        form, length = record["forms"][index], record["lengths"][index]
        end = place + (length if form == _RAW else length * abs(form))
        key = ModelKey(model, record["versions"][index])
        columns: dict[str, Any] = {field: record[name][index] for name, field in _COLUMNS.items()}
        payload = _unpack(data[place:end], form)
        groups.append(Group(key, width=record["widths"][index], **columns, **payload))
        place = end
    return Partial(
        tuple(groups),
        tuple(Progress(_source(p), p["before"], p["after"]) for p in record["progress"]),
        tuple(Told(_source(t), t["watermark_ms"], t["k_ms"]) for t in record["told"]),
        tuple(Claim(_source(c), c["position"], c["at_ms"]) for c in record["claims"]),
    )


_Packed = tuple[Group, int, int, bytes]  # group, form, length, bytes


def _pack(group: Group, max_bytes: int) -> Iterator[_Packed]:
    if group.raw is not None:
        data = _pack_raw(group.raw)
        count = len(group.raw[CARRIES_COLUMN])
        if len(data) > max_bytes and count > 1:
            for half in _halves(group, group.raw, count):
                yield from _pack(half, max_bytes)
            return
        if len(data) > max_bytes:
            data = _pack_raw(_cut(group.raw, max_bytes))
        yield group, _RAW, len(data), data
        return
    if group.codes is not None:
        codes = group.codes.astype("<u2" if group.width <= 0xFFFF else "<u4")
        yield group, -codes.itemsize, len(codes), codes.tobytes()
        return
    counts = group.count_vector()
    most = int(counts.max(initial=0))
    size = next(size for size in (1, 2, 4, 8) if most < 1 << (8 * size))
    yield group, size, len(counts), counts.astype(f"<u{size}").tobytes()


def _halves(group: Group, raw: RawColumns, count: int) -> Iterator[Group]:
    """Two raw groups of half the rows; the first keeps the late and unknown counts."""
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
        )


def _shares(packed: Sequence[_Packed], max_bytes: int) -> Iterator[list[_Packed]]:
    """Cuts the groups into runs that fit a record; one empty run if there are no groups."""
    share: list[_Packed] = []
    size = 0
    for item in packed:
        cost = _GROUP_BYTES + len(item[3])
        if share and size + cost > max_bytes:
            yield share
            share, size = [], 0
        share.append(item)
        size += cost
    yield share


def _encode(share: list[_Packed], partial: Partial, schema: dict[str, Any], *, last: bool) -> bytes:
    groups = [item[0] for item in share]
    record: dict[str, Any] = {
        "models": [group.model.model for group in groups],
        "versions": [group.model.version for group in groups],
        "widths": [group.width if group.counts is None else len(group.counts) for group in groups],
        "forms": [item[1] for item in share],
        "lengths": [item[2] for item in share],
        "data": b"".join(item[3] for item in share),
        "progress": _rows(("before", "after"), partial.progress),
        "told": _rows(("watermark_ms", "k_ms"), partial.told if last else ()),
        "claims": _rows(("position", "at_ms"), partial.claims if last else ()),
    }
    for name, field in _COLUMNS.items():
        record[name] = [getattr(group, field) for group in groups]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def _rows(names: tuple[str, str], items: Iterable[tuple[Source, int, int]]) -> list[dict[str, Any]]:
    return [
        {"topic": source.topic, "partition": source.partition, names[0]: first, names[1]: second}
        for source, first, second in items
    ]


def _source(row: dict[str, Any]) -> Source:
    return Source(row["topic"], row["partition"])


def _unpack(data: bytes, form: int) -> dict[str, Any]:
    if form == _RAW:
        return {"counts": None, "raw": _unpack_raw(data)}
    array: npt.NDArray[Any] = np.frombuffer(data, dtype=f"<u{abs(form)}")
    return {"counts": None, "codes": array} if form < 0 else {"counts": array.astype(np.int64)}


def _pack_raw(columns: RawColumns) -> bytes:
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
    room = max_bytes - _GROUP_BYTES
    for name in sorted(set(row) - {CARRIES_COLUMN}):
        room -= len(_pack_raw({name: row[name]}))
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


def _unpack_raw(data: bytes) -> RawColumns:
    record = orjson.loads(data)
    columns: RawColumns = record["columns"]
    for name, place, positive in record[_NOT_FINITE]:
        columns[name][place] = float("inf") if positive else float("-inf")
    return columns
