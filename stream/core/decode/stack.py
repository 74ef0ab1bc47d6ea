"""Rows that were read by plans of one shape, taken apart into the columns of one Batch."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat, starmap
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from stream.core.decode.plan import Plan, Shape
from stream.core.records import Batch, Int64s, Overrides, Scalar, Served
from stream.core.specs import MISTYPED, SCORE_PREFIX

__all__ = ["Planned", "batch_of", "columns_of", "feature_of", "numbers_of"]

_Values = tuple[Any, ...]
_astuple: Final = msgspec.structs.astuple


@dataclass(frozen=True, slots=True)
class Planned:
    """n rows in columns of equal length, each with the plan that read it.

    `plans` has one element where all rows were read by one plan. `features` are the plans'
    structs (the plan's `empty` where the row has none), `unknown` what was counted so far.
    """

    record: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    entry: npt.NDArray[np.int32]
    event_time_ms: Int64s
    carries: npt.NDArray[np.uint8]
    plans: Sequence[Plan]
    features: Sequence[Any]
    predictions: Sequence[Scalar]
    scores: Sequence[float | dict[str, float | None] | None]
    unknown: npt.NDArray[np.int32] | None


def columns_of(rows: Sequence[Any], width: int) -> list[list[Any]]:
    """The fields of structs as `width` columns; what a `zip` of them does, in half the time."""
    flat = list(chain.from_iterable(map(_astuple, rows)))
    return [flat[place::width] for place in range(width)]


def batch_of(shape: Shape, rows: Planned, served: Served | None = None) -> Batch:
    """The rows as a Batch, in the order given."""
    mistyped: list[tuple[int, int]] = []
    values = list(map(_astuple, rows.features))
    return Batch(
        record=rows.record,
        row=rows.row,
        entry=rows.entry,
        event_time_ms=rows.event_time_ms,
        carries=rows.carries,
        numeric=_numeric(shape, rows, values, mistyped),
        codes=_codes(shape, rows, values),
        overrides=_overrides(rows, mistyped),
        unknown=_unknown(rows, values),
        served=served,
    )


def feature_of(rows: Planned, name: str) -> list[Scalar]:
    """The values of a feature that the plans read; None where a plan doesn't."""
    fields = [plan.field_of(name) for plan in rows.plans]
    if len(set(fields)) == 1:
        (field,) = set(fields)
        return (
            [None] * len(rows.features)
            if field is None
            else list(map(attrgetter(field), rows.features))
        )
    return [
        None if field is None else getattr(features, field)
        for field, features in zip(fields, rows.features, strict=True)
    ]


def numbers_of(values: Sequence[Any]) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Scalars as (n,) float64, NaN where null, and the places of those that are no numbers."""
    try:
        return np.frombuffer(array("d", values)), []
    except (TypeError, OverflowError):
        pass
    column = np.empty(len(values), dtype=np.float64)
    mistyped = []
    for i, value in enumerate(values):
        if isinstance(value, str):
            mistyped.append(i)
            column[i] = math.nan
        else:
            column[i] = math.nan if value is None else _float(value)
    return column, mistyped


def _numeric(
    shape: Shape, rows: Planned, values: list[_Values], mistyped: list[tuple[int, int]]
) -> npt.NDArray[np.float64]:
    """(Fn, n) in the profile's order; the numeric features are the first fields of a struct."""
    places = [j for j, name in enumerate(shape.numeric) if not name]
    packed = _packed(len(places), values)
    if packed is not None and len(places) == len(shape.numeric):
        return packed
    columns = np.empty((len(shape.numeric), len(values)), dtype=np.float64)
    if packed is not None:
        columns[places] = packed
    else:
        for j, column in zip(places, zip(*values, strict=True), strict=False):
            columns[j], odd = numbers_of(column)
            mistyped.extend((j, i) for i in odd)
    for j, name in enumerate(shape.numeric):
        if name:
            columns[j], odd = numbers_of(_plain(name, rows))
            mistyped.extend((j, i) for i in odd)
    return columns


def _packed(count: int, values: list[_Values]) -> npt.NDArray[np.float64] | None:
    """The first `count` fields of every row as (count, n), or None where one isn't a number.

    Packing a row's doubles in C is the fastest way from tuples to an array by far.
    """
    pack = struct.Struct(f"{count}d").pack
    try:
        packed = b"".join(starmap(pack, map(itemgetter(slice(count)), values)))
    except (struct.error, OverflowError):
        return None
    return np.ascontiguousarray(np.frombuffer(packed).reshape(len(values), count).T)


def _codes(shape: Shape, rows: Planned, values: list[_Values]) -> Int64s:
    """(Fc, n) in the profile's order; the categorical features follow the numeric ones."""
    count = len(values)
    codes = np.empty((len(shape.categorical), count), dtype=np.int64)
    if not shape.categorical:
        return codes
    one = len(rows.plans) == 1
    book = rows.plans[0].book
    known = None if one else book.rows_of(rows.entry)
    place = shape.numeric.count("")
    for j, name in enumerate(shape.categorical):
        if name:
            plain = _plain(name, rows)
            column, value_of = iter(plain), _value_of(plain)
        else:
            column, value_of = map(itemgetter(place), values), _field_of(values, place)
            place += 1
        if one:
            slots = map(rows.plans[0].lookups[j].__getitem__, column)
            codes[j] = np.fromiter(slots, np.int64, count)
        elif known is not None:
            codes[j] = book.slots(j, known, rows.plans, column, value_of)
        else:
            lookups = [plan.lookups[j] for plan in rows.plans]
            codes[j] = np.fromiter(map(dict.__getitem__, lookups, column), np.int64, count)
    return codes


def _value_of(column: Sequence[Scalar]) -> Callable[[int], Scalar]:
    return lambda i: column[i]


def _field_of(values: list[_Values], place: int) -> Callable[[int], Scalar]:
    return lambda i: values[i][place]


def _plain(name: str, rows: Planned) -> Sequence[Scalar]:
    """The values of a variable that isn't a feature: a score of another kind is absent."""
    if name == "prediction":
        return rows.predictions
    if name == "score":
        if dict not in set(map(type, rows.scores)):
            return rows.scores  # type: ignore[return-value]  # no dict among them
        return [None if isinstance(score, dict) else score for score in rows.scores]
    wanted = name.removeprefix(SCORE_PREFIX)
    return [s.get(wanted) if isinstance(s, dict) else None for s in rows.scores]


def _overrides(rows: Planned, mistyped: list[tuple[int, int]]) -> Overrides | None:
    if not mistyped:
        return None
    variable, row = np.array(mistyped, dtype=np.int64).T
    one = len(rows.plans) == 1
    sizes = [rows.plans[0 if one else i].sizes[j] for j, i in mistyped]
    return Overrides(variable, row, np.array(sizes, dtype=np.int64) + MISTYPED)


def _unknown(rows: Planned, values: list[_Values]) -> npt.NDArray[np.int32] | None:
    """What the slow road counted, and the extras of plans that learned some."""
    if not any(map(attrgetter("extras"), rows.plans)):
        return rows.unknown
    plans = rows.plans if len(rows.plans) > 1 else repeat(rows.plans[0])
    counted = [
        (i, plan.extras_of(fields))
        for i, (plan, fields) in enumerate(zip(plans, values, strict=False))
        if plan.extras
    ]
    counts = np.zeros(len(values), dtype=np.int32) if rows.unknown is None else rows.unknown
    for i, extras in counted:
        counts[i] += extras
    return counts if counts.any() else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
