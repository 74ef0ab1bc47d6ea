"""Columns as callers have them: numpy arrays, lists, pandas series, pyarrow arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stream.client.scalars import PLAIN, check_status, check_time, id_bytes, new_ids, scalar
from stream.core.errors import SchemaError
from stream.core.records import Scalar

__all__ = [
    "Column",
    "check_lengths",
    "check_values",
    "event_times",
    "gather",
    "length_of",
    "plain_values",
    "prediction_ids",
    "rows_of",
    "table_columns",
]

_NUMBER = (frozenset({int, float, type(None)}), "a number or None")
_TEXT = (frozenset({str, type(None)}), "a string or None")
_WANTED = {"score": _NUMBER, "latency_ms": _NUMBER, "attributions": _NUMBER, "tags": _TEXT}
_TABLES = frozenset({"features", "tags", "attributions"})
_WITHOUT_NONE = frozenset({"score", "attributions", "tags"})

Column = Any
"""A one-dimensional numpy array, a list or tuple, a pandas Series, or a pyarrow array."""


def table_columns(table: object, path: str) -> dict[str, Column]:
    """A table's columns by name: of a mapping, a pandas frame, a pyarrow table or batch.

    Raises SchemaError for anything else, and for a name that isn't a string.
    """
    if isinstance(table, Mapping):
        columns = dict(table)
    else:
        names = getattr(table, "column_names", None)  # pyarrow's
        if names is None:
            names = getattr(table, "columns", None)  # pandas'
        if names is None or not hasattr(table, "__getitem__"):
            kind = type(table).__name__
            raise SchemaError(
                f"{path}: is a {kind}, wants a mapping of names to columns or a table"
            )
        columns = {name: table[name] for name in names}
    for name in columns:
        if not isinstance(name, str):
            raise SchemaError(f"{path}: has the column {name!r}, and names are strings")
    return columns


def gather(**given: Column | Mapping[str, Column] | None) -> dict[str, Column]:
    """All columns by path (`prediction`, `features.age`) of what was given by name.

    `features`, `tags` and `attributions` are tables; `score` may be one.
    """
    columns: dict[str, Column] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _TABLES or isinstance(value, Mapping):
            named = table_columns(value, name)
            columns.update({f"{name}.{each}": column for each, column in named.items()})
        else:
            columns[name] = value
    return columns


def check_lengths(rows: int, columns: Mapping[str, Column]) -> None:
    """Raises SchemaError, naming the column, where one does not have that many values."""
    for name, column in columns.items():
        if length_of(column, name) != rows:
            raise SchemaError(f"{name}: has {len(column)} values, where there are {rows} rows")


def length_of(column: Column, path: str) -> int:
    """How many values the column has; raises SchemaError where it is no column."""
    if isinstance(column, (str, bytes, Mapping)) or not hasattr(column, "__len__"):
        raise SchemaError(f"{path}: is a {type(column).__name__}, wants a column of values")
    if getattr(column, "ndim", 1) != 1:
        raise SchemaError(f"{path}: has {column.ndim} dimensions, wants 1")
    return len(column)


def plain_values(column: Column, path: str) -> list[Scalar]:
    """The column's values as text, numbers, booleans and None."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        numbers: list[Scalar] = column.tolist()
        return numbers
    if isinstance(column, np.ndarray) and column.dtype.kind in "mM":
        raise SchemaError(
            f"{path}: is of the type {column.dtype}, wants numbers: write the unit out"
        )
    values = _listed(column)
    if PLAIN.issuperset(map(type, values)):
        return values
    return [scalar(value, f"{path}[{row}]") for row, value in enumerate(values)]


def rows_of(columns: Mapping[str, Column], rows: int) -> Iterator[dict[str, Any]]:
    """The columns' values, a dict a row; `features.age` becomes `age` of the dict `features`."""
    flat: dict[str, list[Any]] = {}
    nested: dict[str, dict[str, list[Any]]] = {}
    for path, column in columns.items():
        group, dot, name = path.partition(".")
        values: list[Any] = plain_values(column, path)
        check_values(values, path)
        if path == "status":
            values = [check_status(value) for value in values]
        if dot:
            nested.setdefault(group, {})[name] = values
        else:
            flat[path] = values
    for group, named in nested.items():
        flat[group] = [
            dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)
        ]
        if group in _WITHOUT_NONE:
            flat[group] = [_present(row) for row in flat[group]]
    if not flat:
        return iter([{} for _ in range(rows)])
    return (dict(zip(flat, row, strict=True)) for row in zip(*flat.values(), strict=True))


def check_values(values: Sequence[Any], path: str) -> None:
    """Raises SchemaError where a plain value is not of the type that its path calls for."""
    wanted = _WANTED.get(path.partition(".")[0])
    if wanted is None:
        return
    allowed, called = wanted
    if allowed.issuperset(map(type, values)):
        return
    for row, value in enumerate(values):
        if type(value) not in allowed:
            raise SchemaError(f"{path}[{row}]: is {value!r}, wants {called}")


def _present(row: dict[str, Any]) -> dict[str, Any]:
    """Without what is missing: a map of numbers or texts has no null."""
    return {name: value for name, value in row.items() if value is not None and value == value}


def prediction_ids(ids: Column | None, rows: int) -> tuple[list[str], list[bytes]]:
    """Ids as text and as keys; new UUIDs where None is given."""
    if ids is None:
        texts = new_ids(rows)
        return texts, [text.encode() for text in texts]
    listed = _listed(ids)
    return [str(value) for value in listed], [id_bytes(value) for value in listed]


def event_times(times: Column | int | None, rows: int) -> list[int]:
    """Event times in UTC milliseconds: a column's, or one for all rows (None: now)."""
    if times is None or not hasattr(times, "__len__"):
        return [check_time(times)] * rows
    listed: Iterable[Any] = _listed(times)
    if any(value is None for value in listed):
        raise SchemaError("event_time_ms: has a missing value, wants integers throughout")
    return [check_time(value) for value in listed]


def _listed(column: Column) -> list[Any]:
    for name in ("to_pylist", "tolist"):  # pyarrow's; numpy's and pandas'
        listed = getattr(column, name, None)
        if listed is not None:
            values: list[Any] = listed()
            return values
    return list(column)
