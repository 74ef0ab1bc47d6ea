"""Arrow tables from columns and from rows, and their smallest form on the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from stream.client.columns import Column, check_values, plain_values
from stream.client.encode import within_64_bits
from stream.client.scalars import check_status
from stream.core.errors import SchemaError

__all__ = ["compact", "is_same_type", "rows_to_tables", "table_of"]

_UUID_TEXT = 36
_DASHES = (8, 13, 18, 23)
_SMALL = 127  # categories that an int8 can number
_MISFITS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def table_of(ids: Sequence[str], times: Sequence[int], columns: Mapping[str, Column]) -> Any | None:
    """A table of the columns, float32 kept as such; None where a column mixes types.

    Nothing is shared with the caller's arrays. Raises SchemaError, naming the column, where its
    values cannot be logged.
    """
    arrays = {"prediction_id": pa.array(ids, pa.string()), "event_time_ms": pa.array(times)}
    for path, column in columns.items():
        try:
            arrays[path] = _array(column, path)
        except UnicodeEncodeError as misfit:
            raise SchemaError(f"{path}: has text that is not valid Unicode: {misfit}") from misfit
        except _MISFITS:
            return None
    return pa.table(arrays)


def rows_to_tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """Tables of rows such as the JSON form has; more than one where types are mixed.

    Rows of one id stay in their order.
    """
    if not rows:
        return
    try:
        yield _table(rows)
    except _MISFITS:
        plain = [within_64_bits(row) for row in rows]
        if len({row["prediction_id"] for row in plain}) < len(plain):
            for _, run in groupby(plain, _kinds):
                yield _table(list(run))
            return
        alike: dict[tuple[tuple[str, type], ...], list[Mapping[str, Any]]] = {}
        for row in plain:
            alike.setdefault(_kinds(row), []).append(row)
        for group in alike.values():
            yield _table(group)


def is_same_type(table: Any, other: Any) -> bool:
    """Whether the tables can be put together."""
    same: bool = table.schema.equals(other.schema)
    return same


def compact(table: Any) -> Any:
    """The table with UUIDs as 16 bytes and repeated texts as dictionaries."""
    table = table.combine_chunks()
    columns = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name == "prediction_id":
            column = _packed_ids(column)
        elif pa.types.is_string(column.type):
            column = _dictionary(column)
        columns[name] = column
    return pa.table(columns)


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    flat = [_flat(row) for row in rows]
    paths = dict.fromkeys(path for row in flat for path in row)
    return pa.table({path: pa.array([row.get(path) for row in flat]) for path in paths})


def _kinds(row: Mapping[str, Any]) -> tuple[tuple[str, type], ...]:
    return tuple(sorted(((path, type(value)) for path, value in _flat(row).items()), key=str))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in row.items():
        if isinstance(value, dict):
            for each, item in value.items():
                flat[f"{name}.{each}"] = item
        else:
            flat[name] = value
    return flat


def _array(column: Column, path: str) -> Any:
    if isinstance(getattr(column, "dtype", None), np.dtype) and column.dtype.kind in "fiub":
        numbers = np.array(column)
        check_values(numbers[:1].tolist(), path)
        return _fitting(pa.array(numbers), path)
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        array = _fitting(column, path)
        check_values(array.drop_null().slice(0, 1).to_pylist(), path)
        return array
    values = plain_values(column, path)
    check_values(values, path)
    if path == "status":
        return pa.array([check_status(value) for value in values])
    return _fitting(pa.array(values), path)


def _fitting(array: Any, path: str) -> Any:
    """The array in a type that the worker reads; raises SchemaError where there is none."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _fitting(array.cast(kind.value_type), path)
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return array.cast(pa.float64())
    if pa.types.is_large_string(kind):
        return array.cast(pa.string())
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_null(kind)
    ):
        raise SchemaError(f"{path}: is of the type {kind}, wants numbers, strings or booleans")
    return array


def _packed_ids(ids: Any) -> Any:
    """16 bytes an id where all are UUIDs in their usual form, else as they are."""
    texts = ids.to_pylist()
    if any(len(text) != _UUID_TEXT for text in texts):
        return ids
    joined = "".join(texts)
    if not joined.isascii():
        return ids
    letters = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(len(texts), _UUID_TEXT)
    digits = np.delete(letters, _DASHES, axis=1).tobytes().decode()
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return ids
    if packed.hex() != digits or not (letters[:, _DASHES] == ord("-")).all():
        return ids
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(texts), [None, pa.py_buffer(packed)]
    )


def _dictionary(texts: Any) -> Any:
    """Repeated texts as numbers of a dictionary, else as they are.

    A small dictionary is sorted: batches with the same texts have the same one, in whatever order
    they came, and a worker reads batches with equal dictionaries more than twice as fast.
    """
    encoded = texts.dictionary_encode()
    size = len(encoded.dictionary)
    if size * 2 > len(texts) + 2:
        return texts
    if size > _SMALL:
        return encoded
    known = encoded.dictionary.to_pylist()
    order = sorted(range(size), key=known.__getitem__)
    ranks = pa.array(np.argsort(order).astype(np.int8))
    return pa.DictionaryArray.from_arrays(
        ranks.take(encoded.indices), pa.array([known[place] for place in order], texts.type)
    )
