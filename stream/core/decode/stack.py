"""Rows that were read by plans of one shape, taken apart into the columns of one Batch."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat, starmap
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream.core.decode.plan import Plan, Shape
from stream.core.records import Batch, Int64s, Overrides, Scalar
from stream.core.specs import MISTYPED, SCORE_PREFIX

__all__ = ["Planned", "batch_of", "codes_of", "numbers_of"]

_NOWHERE: Final = -1


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


def batch_of(shape: Shape, rows: Planned) -> Batch:
    """The rows as a Batch, in the order given."""
    mistyped: list[tuple[int, int]] = []
    return Batch(
        record=rows.record,
        row=rows.row,
        entry=rows.entry,
        event_time_ms=rows.event_time_ms,
        carries=rows.carries,
        numeric=_numeric(shape, rows, mistyped),
        codes=_codes(shape, rows),
        overrides=_overrides(rows, mistyped),
        unknown=_unknown(rows),
    )


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


def codes_of(
    values: Iterable[Any], lookups: Iterable[dict[Scalar, int]], unseen: Int64s | int, count: int
) -> Int64s:
    """The slots of n categorical values, each by its own look-up; what it lacks is `unseen`."""
    slots = np.fromiter(map(dict.get, lookups, values, repeat(_NOWHERE)), np.int64, count)
    return np.where(slots < 0, unseen, slots) if slots.size and slots.min() < 0 else slots


def _numeric(
    shape: Shape, rows: Planned, mistyped: list[tuple[int, int]]
) -> npt.NDArray[np.float64]:
    fields = shape.numeric_fields
    count = len(rows.record)
    if len(fields) == len(shape.numeric) and fields:
        whole = _packed(fields, rows.features)
        if whole is not None:
            return whole
    columns = np.empty((len(shape.numeric), count), dtype=np.float64)
    places = [j for j, name in enumerate(shape.numeric) if not name]
    packed = _packed(fields, rows.features) if fields else None
    if packed is not None:
        columns[places] = packed
    else:
        for j, field in zip(places, fields, strict=True):
            columns[j], odd = numbers_of(list(map(attrgetter(field), rows.features)))
            mistyped.extend((j, i) for i in odd)
    for j, name in enumerate(shape.numeric):
        if name:
            columns[j], odd = numbers_of(_plain(name, rows))
            mistyped.extend((j, i) for i in odd)
    return columns


def _packed(fields: tuple[str, ...], features: Sequence[Any]) -> npt.NDArray[np.float64] | None:
    """The fields as (len(fields), n) float64, or None where one isn't a number."""
    if len(fields) < 2:
        return None
    pack = struct.Struct(f"{len(fields)}d").pack
    try:
        packed = b"".join(starmap(pack, map(attrgetter(*fields), features)))
    except (struct.error, OverflowError):
        return None
    by_row = np.frombuffer(packed).reshape(len(features), len(fields))
    return np.ascontiguousarray(by_row.T)


def _codes(shape: Shape, rows: Planned) -> Int64s:
    count = len(rows.record)
    codes = np.empty((len(shape.categorical), count), dtype=np.int64)
    if not shape.categorical:
        return codes
    one = rows.plans[0] if len(rows.plans) == 1 else None
    by_row = None if one else list(zip(*[plan.lookups for plan in rows.plans], strict=True))
    unseen = None if one else np.array([plan.unseen for plan in rows.plans]).T
    for j, name in enumerate(shape.categorical):
        values = _plain(name, rows) if name else map(attrgetter(f"c{j}"), rows.features)
        if one is not None:
            codes[j] = codes_of(values, repeat(one.lookups[j]), int(one.unseen[j]), count)
        elif by_row is not None and unseen is not None:
            codes[j] = codes_of(values, by_row[j], unseen[j], count)
    return codes


def _plain(name: str, rows: Planned) -> Sequence[Scalar]:
    """The values of a variable that isn't a feature: a score of another kind is absent."""
    if name == "prediction":
        return rows.predictions
    if name == "score":
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


def _unknown(rows: Planned) -> npt.NDArray[np.int32] | None:
    """What the slow road counted, and the extras of plans that learned some."""
    if len(rows.plans) == 1:
        learned = list(range(len(rows.features))) if rows.plans[0].extra_fields else []
    else:
        has_extras = [bool(plan.extra_fields) for plan in rows.plans]
        learned = list(compress(range(len(has_extras)), has_extras))
    if not learned:
        return rows.unknown
    counts = np.zeros(len(rows.features), dtype=np.int32) if rows.unknown is None else rows.unknown
    one = len(rows.plans) == 1
    for i in learned:
        counts[i] += rows.plans[0 if one else i].extras_of(rows.features[i])
    return counts if counts.any() else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
