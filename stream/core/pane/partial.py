"""The wire form of a `Partial`: one columnar Avro record, more than one where it would be large."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import fastavro
import numpy as np

from stream.core.pane.block import COLUMNS, Groups, Name
from stream.core.pane.packing import (
    COUNTS,
    PLACES,
    item_sizes,
    pack_column,
    pack_items,
    unpack_column,
    unpack_items,
)
from stream.core.pane.payload import Payload, starts_of
from stream.core.pane.rawbytes import pack_raw, unpack_raw
from stream.core.pane.seal import seal, unseal
from stream.core.records import (
    Claim,
    Int64s,
    Kind,
    ModelKey,
    Partial,
    Progress,
    RawColumns,
    Source,
    Told,
)

__all__ = ["decode_partial", "encode_partials"]

_GROUP_BYTES = 96  # about what a group's entries in the columns take at most, names included
_MOST_SLOTS = 1 << 24  # of one vector: a thousand features of 16,000 categories
_PACKED = (*COLUMNS, "length", "place_size", "count_size")


def encode_partials(partial: Partial, schema: dict[str, Any], max_bytes: int) -> list[bytes]:
    """Encodes a partial as records of at most about `max_bytes`, to be produced in this order.

    Groups go first; watermarks and claims stand in the last record, so that nothing closes
    before its rows are there. Progress stands in every one. A raw group that is too large is
    split by rows. `schema` is the parsed pane_partial schema.
    """
    groups, texts = _with_texts(Groups.of(partial.groups), max_bytes)
    sizes = item_sizes(groups.payload)
    length = groups.payload.length.copy()
    for number, text in texts.items():
        length[number] = len(text)
    cost = _GROUP_BYTES + length * np.maximum(1, sizes.sum(axis=0))
    ends = _ends(cost, max_bytes)
    records = []
    for start, end in zip([0, *ends], ends, strict=False):
        share = groups if len(ends) == 1 else groups[start:end]
        data = b"".join(texts[number] for number in sorted(texts) if start <= number < end)
        fields = _fields(share, length[start:end], sizes[:, start:end])
        last = end == len(groups)
        records.append(_encode(fields | {"raw": data}, partial, schema, last=last))
    return records


def decode_partial(value: bytes, schema: dict[str, Any]) -> Partial:
    """Decodes one record of `partials`; takes no more than some hundred times its memory.

    Raises ValueError for bytes that no release wrote and where the parts disagree; StateError for
    another release's;
    of a body that was sealed and is no partial what fastavro, orjson or numpy raise.
    """
    body = io.BytesIO(unseal(value))
    record: Any = fastavro.schemaless_reader(body, schema, None)
    if body.read(1):
        raise ValueError("a partial has bytes behind its end")
    # No two groups have the same name and pane: together they take a byte each, or more.
    columns = {name: unpack_column(record[name], len(value)) for name in _PACKED}
    size = len(columns["name"])
    if any(len(column) != size for column in columns.values()):
        raise ValueError("the columns of a partial have different lengths")
    names = tuple(
        Name(ModelKey(model, version), profile, segment)
        for model, version, profile, segment in zip(
            record["models"],
            record["versions"],
            record["profiles"],
            record["segments"],
            strict=True,
        )
    )
    _check(columns, len(names))
    groups = Groups(
        names,
        np.stack([columns[name] for name in COLUMNS]),
        _payload(record, columns),
        _raw(record["raw"], columns),
    )
    return Partial(
        record["width_ms"],
        groups,
        tuple(Progress(_source(p), p["before"], p["after"]) for p in record["progress"]),
        tuple(Told(_source(t), t["watermark_ms"], t["k_ms"]) for t in record["told"]),
        tuple(Claim(_source(c), c["position"], c["at_ms"]) for c in record["claims"]),
    )


def _with_texts(groups: Groups, max_bytes: int) -> tuple[Groups, dict[int, bytes]]:
    """The groups, raw ones cut into pieces that fit and put last, and each piece's bytes."""
    if not groups.raw:
        return groups, {}
    raw = np.zeros(len(groups), dtype=np.bool_)
    raw[list(groups.raw)] = True
    pieces = [p for n in sorted(groups.raw) for p in pack_raw(groups[n], max_bytes)]
    binned = groups.take(np.flatnonzero(~raw))
    texts = {len(binned) + number: text for number, (_, text) in enumerate(pieces)}
    return Groups.joined([binned, Groups.of([group for group, _ in pieces])]), texts


def _ends(cost: Int64s, max_bytes: int) -> list[int]:
    """Where to cut the groups so that each run fits a record; one empty run of no groups."""
    total = np.cumsum(cost)
    ends = [0] if not len(cost) else []
    start = done = 0
    while start < len(cost):
        fitting = int(np.searchsorted(total, done + max_bytes, side="right"))
        start = max(fitting, start + 1)
        done = int(total[start - 1])
        ends.append(start)
    return ends


def _fields(groups: Groups, length: Int64s, sizes: Int64s) -> dict[str, Any]:
    """The groups as the record's fields, without the raw ones' bytes."""
    used, index = np.unique(groups.column("name"), return_inverse=True)
    names = [groups.names[number] for number in used.tolist()]
    fields: dict[str, Any] = {
        "models": [name.model.model for name in names],
        "versions": [name.model.version for name in names],
        "profiles": [name.profile for name in names],
        "segments": [name.segment for name in names],
    }
    columns = {name: groups.column(name) for name in COLUMNS}
    columns |= {"name": index, "length": length, "place_size": sizes[0], "count_size": sizes[1]}
    fields |= {name: pack_column(column) for name, column in columns.items()}
    payload = groups.payload
    fields |= pack_items(payload.places, payload.length, sizes[0], PLACES)
    fields |= pack_items(payload.counts, payload.length, sizes[1], COUNTS)
    return fields


def _payload(record: Mapping[str, Any], columns: Mapping[str, Int64s]) -> Payload:
    length = columns["length"]
    place_size, count_size = columns["place_size"], columns["count_size"]
    places = unpack_items(record, length, place_size, PLACES)
    counts = unpack_items(record, length, count_size, COUNTS)
    placed = place_size > 0
    if bool((places >= np.repeat(columns["width"][placed], length[placed])).any()):
        raise ValueError("a partial names places beyond its vectors")
    raw = (place_size == 0) & (count_size == 0)
    whole = (count_size > 0) & ~placed
    if bool((length[whole] != columns["width"][whole]).any()):
        raise ValueError("a partial's vectors are not as long as said")
    return Payload(
        places.astype(np.uint32),
        counts,
        starts_of(length, placed),
        starts_of(length, count_size > 0),
        np.where(raw, 0, length),
    )


def _raw(data: bytes, columns: Mapping[str, Int64s]) -> dict[int, RawColumns]:
    raw = np.flatnonzero((columns["place_size"] == 0) & (columns["count_size"] == 0))
    ends = np.cumsum(columns["length"][raw])
    if len(data) != (int(ends[-1]) if len(ends) else 0):
        raise ValueError(f"a partial has {len(data)} bytes of raw rows, not as said")
    starts = (ends - columns["length"][raw]).tolist()
    bounds = zip(raw.tolist(), starts, ends.tolist(), strict=True)
    return {number: unpack_raw(data[start:end]) for number, start, end in bounds}


def _check(columns: Mapping[str, Int64s], names: int) -> None:
    """Raises ValueError for numbers that no group can have."""
    limits = {
        "name": (0, names - 1),
        "kind": (min(Kind), max(Kind)),
        "width": (0, _MOST_SLOTS),
        "length": (0, 1 << 32),
        "place_size": (0, 4),
        "count_size": (0, 8),
    }
    for name, (low, high) in limits.items():
        column = columns[name]
        if len(column) and not low <= int(column.min()) <= int(column.max()) <= high:
            raise ValueError(f"a partial's {name} is out of range")


def _encode(
    fields: Mapping[str, Any], partial: Partial, schema: dict[str, Any], *, last: bool
) -> bytes:
    record = {
        "width_ms": partial.width_ms,
        **fields,
        "progress": _rows(("before", "after"), partial.progress),
        "told": _rows(("watermark_ms", "k_ms"), partial.told if last else ()),
        "claims": _rows(("position", "at_ms"), partial.claims if last else ()),
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return seal(out.getvalue())


def _rows(names: tuple[str, str], items: Iterable[tuple[Source, int, int]]) -> list[dict[str, Any]]:
    return [
        {"topic": source.topic, "partition": source.partition, names[0]: first, names[1]: second}
        for source, first, second in items
    ]


def _source(row: dict[str, Any]) -> Source:
    return Source(row["topic"], row["partition"])
