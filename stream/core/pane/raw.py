"""Counts of rows that travelled as plain values, by a profile that became known later.

This is the plain form of what `fold` does with columns: for the same rows and profile both
count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Int64s,
    RawColumns,
    Scalar,
)
from stream.core.specs import (
    ABOVE,
    BELOW,
    FEATURE_PREFIX,
    MISSING,
    MISTYPED,
    OTHER,
    UNSEEN,
    CategoricalVariable,
    NumericVariable,
    Profile,
    Role,
    category,
)

__all__ = ["RawCounts", "bin_raw"]


@dataclass(frozen=True, slots=True)
class RawCounts:
    """Counts over the profile's slots (`Profile.width` int64), and what it doesn't know.

    `unknown_features` counts the values, nulls apart, of features that the profile lacks.
    """

    counts: Int64s
    unknown_features: int


def bin_raw(columns: RawColumns, profile: Profile) -> RawCounts:
    """Counts raw columns of n rows by a profile.

    Absent values are MISSING where the row carries their kind: a features row has no
    prediction to miss.
    """
    bits = np.array([int(value or 0) for value in columns[CARRIES_COLUMN]], dtype=np.uint8)
    carried = {role: _carries(bits, role) for role in Role}
    counts = np.zeros(profile.width, dtype=np.int64)
    nothing: list[Scalar] = [None] * len(bits)
    for variable, start in zip(profile.variables, profile.starts.tolist(), strict=False):
        values = columns.get(variable.name, nothing)
        if isinstance(variable, NumericVariable):
            slots = _bins(values, variable)
        else:
            slots = _categories(values, variable)
        found = np.bincount(slots[carried[variable.role]], minlength=variable.width)
        counts[start : start + variable.width] = found
    return RawCounts(counts, _unknown(columns, profile))


def _carries(bits: npt.NDArray[np.uint8], role: Role) -> npt.NDArray[np.bool_]:
    bit = np.uint8(CARRIES_FEATURES if role is Role.FEATURE else CARRIES_PREDICTION)
    carried: npt.NDArray[np.bool_] = (bits & bit) != 0
    return carried


def _bins(values: Sequence[Scalar], variable: NumericVariable) -> Int64s:
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    edges = np.array(variable.edges)
    slots = np.searchsorted(edges, numbers, side="right") - 1
    slots[numbers == edges[-1]] = variable.size - 1
    slots[numbers < edges[0]] = variable.size + BELOW
    slots[numbers > edges[-1]] = variable.size + ABOVE
    slots[np.isnan(numbers)] = variable.size + MISSING
    slots[[isinstance(value, str) for value in values]] = variable.size + MISTYPED
    return slots


def _number(value: Scalar) -> float:
    if value is None or isinstance(value, str):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _categories(values: Sequence[Scalar], variable: CategoricalVariable) -> Int64s:
    slot_of: dict[str | None, int] = dict.fromkeys(variable.others, variable.size + OTHER)
    slot_of.update({name: slot for slot, name in enumerate(variable.categories)})
    slot_of[None] = variable.size + MISSING
    unseen = variable.size + UNSEEN
    return np.array([slot_of.get(category(value), unseen) for value in values], dtype=np.int64)


def _unknown(columns: RawColumns, profile: Profile) -> int:
    known = {variable.name for variable in profile.variables}
    return sum(
        value is not None
        for name, values in columns.items()
        if name.startswith(FEATURE_PREFIX) and name not in known
        for value in values
    )
