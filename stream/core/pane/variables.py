"""One variable of a reference profile, from one column of values: numeric bins or categories."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.core.numbers import equal_mass, significant
from stream.core.records import Scalar
from stream.core.specs import CategoricalVariable, NumericVariable, Role, category, role_of

__all__ = [
    "Column",
    "Kind",
    "Plain",
    "categorical_variable",
    "kind_of",
    "nameable",
    "numeric_variable",
    "plain_values",
    "tally_of",
]

Column = Sequence[Scalar] | npt.NDArray[np.generic]
Kind = Literal["numeric", "categorical"]
_Floats = npt.NDArray[np.float64]
Plain = _Floats | list[Scalar]

_CLASSES = 20  # a prediction of at most so many whole numbers is a class label
_LONGEST_NAME = 256  # characters of a name that the profile keeps
_TOLERANCE = 2.0**-20  # half the relative width of a constant's bin: float32 fits in


def nameable(name: str) -> bool:
    """False for names that no profile keeps: too long, or no Unicode text."""
    if len(name) > _LONGEST_NAME:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def plain_values(column: Column) -> Plain:
    """Numbers as float64, anything else as a list of scalars."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiu":
            return column.astype(np.float64)
        return list(column.tolist())
    return list(column)


def kind_of(name: str, values: Plain) -> Kind:
    """The kind that a column's values suggest (`build_profile` has the rule)."""
    if isinstance(values, list):
        types = Counter(map(type, values))
        texts = types[str]
        absent = types[type(None)] + sum(1 for value in values if value != value)
        numbers = len(values) - texts - types[bool] - absent
        if numbers == 0 or 10 * texts > len(values) - absent:
            return "categorical"
        values, _ = _floats(values)
    finite = values[np.isfinite(values)]
    if role_of(name) is Role.PREDICTION:
        distinct = np.unique(finite)
        if len(distinct) <= _CLASSES and np.array_equal(distinct, np.floor(distinct)):
            return "categorical"
    return "numeric" if len(finite) else "categorical"


def _floats(values: Plain) -> tuple[_Floats, int]:
    """Numbers with NaN for what is missing, and how many texts there were among them."""
    if not isinstance(values, list):
        return values, 0
    numbers = [_number(value) for value in values if not isinstance(value, str)]
    return np.array(numbers, dtype=np.float64), len(values) - len(numbers)


def _number(value: Scalar) -> float:
    if value is None:
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if isinstance(value, int) and value > 0 else -math.inf


def numeric_variable(name: str, column: Plain, bins: int) -> NumericVariable:
    """The column in at most `bins` bins; a text is mistyped, an infinity out of range."""
    values, mistyped = _floats(column)
    finite = values[np.isfinite(values)] + 0.0  # -0.0 becomes 0.0
    distinct, occurrences = np.unique(finite, return_counts=True)
    occurrences = occurrences.astype(np.int64)
    starts = equal_mass(occurrences, bins)
    edges = _edges(distinct, starts, each=len(distinct) <= bins)
    places = np.searchsorted(edges, distinct, side="right") - 1
    size = len(edges) - 1
    inside = np.zeros(size, dtype=np.int64)
    np.add.at(inside, np.minimum(places, size - 1), occurrences)
    outside = (np.sum(values == -np.inf), np.sum(values == np.inf), np.sum(np.isnan(values)))
    mean, std = _moments(finite)
    return NumericVariable(
        name=name,
        edges=edges,
        counts=(*(int(count) for count in (*inside, *outside)), mistyped),
        mean=mean,
        std=std,
        low=float(distinct[0]) if len(distinct) else 0.0,
        high=float(distinct[-1]) if len(distinct) else 0.0,
    )


def _edges(distinct: _Floats, starts: npt.NDArray[np.int64], *, each: bool) -> tuple[float, ...]:
    """Edges halfway between neighbouring values, so that float32 copies keep their bins.

    A continuous column ends at its smallest and its largest value. Where each value has a bin
    of its own, the outer bins reach as far outwards as inwards; a constant's bin is as wide as
    float32 needs.
    """
    if len(distinct) == 0:
        return (0.0, 1.0)
    values = [float(value) for value in distinct]
    inner = [_between(values[start - 1], values[start]) for start in starts[1:].tolist()]
    low, high = values[0], values[-1]
    if len(values) == 1:
        reach = abs(low) * _TOLERANCE or _TOLERANCE
        wider = (low - reach, high + reach)
    else:
        wider = (2 * low - inner[0], 2 * high - inner[-1]) if each and inner else (low, high)
    if all(map(math.isfinite, wider)):
        low, high = wider
    if low == high:  # a constant at an end of the floats
        inner.append(math.nextafter(low, 0.0))
    return tuple(sorted({low, *inner, high}))


def _between(low: float, high: float) -> float:
    """The midpoint, above `low` even where the two are neighbours among the floats."""
    middle = low / 2 + high / 2
    return middle if low < middle <= high else high


def _moments(finite: _Floats) -> tuple[float, float]:
    """Mean and standard deviation from exactly rounded sums: independent of order."""
    if not len(finite):
        return 0.0, 0.0
    scale = max(math.frexp(float(np.max(np.abs(finite))))[1], -1000)
    if abs(scale) < 300:
        scale = 0
    scaled = np.ldexp(finite, -scale)
    mean = math.fsum(scaled.tolist()) / len(scaled)
    apart = scaled - mean
    std = math.sqrt(math.fsum((apart * apart).tolist()) / len(scaled))
    return significant(math.ldexp(mean, scale)), significant(math.ldexp(std, scale))


def tally_of(values: Plain) -> tuple[Counter[str], int]:
    """Rows a category, and rows without a value."""
    tally: Counter[str] = Counter()
    missing = 0
    plain = values if isinstance(values, list) else values.tolist()
    for value, count in Counter(plain).items():
        name = category(value)
        if name is None:
            missing += count
        else:
            tally[name] += count
    return tally, missing


def categorical_variable(
    name: str, tally: Counter[str], missing: int, most: int, max_others: int, budget: int
) -> CategoricalVariable:
    """The most frequent categories by name; those it can't name count as unseen, here as later."""
    ranked = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    named = [item for item in ranked if nameable(item[0])][: most + max_others]
    lengths = np.cumsum([len(item[0].encode()) + 4 for item in named], dtype=np.int64)
    named = named[: int(np.searchsorted(lengths, budget, side="right"))]
    kept, rest = named[:most], named[most:]
    other = sum(count for _, count in rest)
    counts = [count for _, count in kept]
    unseen = sum(tally.values()) - sum(counts) - other
    return CategoricalVariable(
        name=name,
        categories=tuple(item for item, _ in kept),
        others=tuple(sorted(item for item, _ in rest)),
        counts=(*counts, other, unseen, missing, 0),
    )
