"""What a reference's labels say: the classes, and what the scores were worth (calibration)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stream.core.errors import ProfileError
from stream.core.labels import MAX_CLASSES, LabelKind, scored_classes
from stream.core.numbers import significant
from stream.core.pane.variables import Column, Plain, kind_of, nameable, plain_values
from stream.core.records import Int64s, Scalar
from stream.core.rules import OutcomeReference
from stream.core.specs import SCORE_PREFIX, NumericVariable, Profile, category

__all__ = ["LabelColumn", "class_codes", "isotonic", "numbers_of", "outcome_of"]

_THRESHOLD = 0.5  # of rows whose prediction isn't known

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """The reference's labels, one a row (None and NaN: not known), and what was said of them.

    `kind` is a labels.LabelKind, `positive` the positive class; "" leaves them to the labels.
    """

    values: Column
    kind: str = ""
    positive: str = ""


def outcome_of(
    label: LabelColumn, outputs: Mapping[str, Plain], profile: Profile
) -> OutcomeReference:
    """What the labels say, with calibration where a classifier has scores.

    `outputs` are the rows' columns `prediction`, `score` and `score.<class>`, as far as there are
    any; `profile` has their bins. Unless the kind is given, numbers that aren't classes are a
    regression's, two classes binary and more multiclass; the classes are those of the labels,
    the predictions and the columns of scores. The positive class, unless given, is the greater
    (1 of 0 and 1). The metrics are left empty (`baseline`).

    Raises ProfileError where the labels make no outcome.
    """
    values = plain_values(label.values)
    kind, classes = _kind_and_classes(label, values, outputs)
    if kind is LabelKind.REGRESSION:
        rows = int(np.count_nonzero(np.isfinite(numbers_of(values))))
        codes = np.zeros(0, dtype=np.int64)
    else:
        codes = class_codes(values, classes)
        rows = int(np.count_nonzero(codes >= 0))
    if not rows:
        raise ProfileError("the column of labels holds none; leave it out, or name another")
    reference = OutcomeReference(kind.value, classes, rows)
    return _calibrated(reference, codes, outputs, scored_classes(profile, kind, classes))


def _calibrated(
    reference: OutcomeReference,
    codes: Int64s,
    outputs: Mapping[str, Plain],
    scored: Sequence[tuple[str, NumericVariable]],
) -> OutcomeReference:
    """With what the scores of these classes were worth; `codes` (n,) are the rows' true classes.

    As it is where there are none, or where a class's scores tell nothing.
    """
    classes = reference.classes
    called = class_codes(outputs["prediction"], classes) if "prediction" in outputs else None
    calibration: list[float] = []
    predicted: list[float] = []
    for name, variable in scored:
        code = classes.index(name)
        scores = numbers_of(outputs[variable.name])
        bins = _bins(scores, variable)
        fitted = isotonic(
            np.bincount(bins[(bins >= 0) & (codes == code)], minlength=variable.size),
            np.bincount(bins[(bins >= 0) & (codes >= 0)], minlength=variable.size),
        )
        if not fitted:
            return reference
        calibration.extend(fitted)
        positive = scores >= _THRESHOLD
        if called is not None:
            positive = np.where(called >= 0, called == code, positive)
        predicted.extend(_shares(bins, positive, variable))
    return replace(reference, calibration=tuple(calibration), predicted_positive=tuple(predicted))


def isotonic(positives: Int64s, rows: Int64s) -> tuple[float, ...]:
    """P(positive) a bin, never falling from bin to bin, closest to what the bins hold.

    `positives` of the `rows` in each of k bins. Least squares weighted by rows (Ayer et al. 1955,
    pool adjacent violators), in exact integers; a bin without rows has its lower neighbour's
    value, the lowest ones the next above. () where there are no rows at all.

    >>> isotonic(np.array([1, 0, 0, 3]), np.array([2, 2, 0, 4]))
    (0.25, 0.25, 0.25, 0.75)
    """
    pools: list[tuple[int, int, int]] = []  # positives, rows, end
    for place, (hits, count) in enumerate(zip(positives.tolist(), rows.tolist(), strict=True)):
        if not count:
            continue
        pool = (hits, count, place + 1)
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            below = pools.pop()
            pool = (below[0] + pool[0], below[1] + pool[1], pool[2])
        pools.append(pool)
    if not pools:
        return ()
    pools[-1] = (*pools[-1][:2], len(rows))
    ends = [pool[2] for pool in pools]
    starts = [0, *ends[:-1]]
    fitted: list[float] = []
    for (hits, count, _), start, end in zip(pools, starts, ends, strict=True):
        fitted.extend([significant(hits / count)] * (end - start))
    return _carried(fitted, rows)


def _carried(fitted: list[float], rows: Int64s) -> tuple[float, ...]:
    """Bins without rows take their lower neighbour's value; the lowest stay."""
    first = int(np.flatnonzero(rows)[0])
    for place in range(first + 1, len(fitted)):
        if not rows[place]:
            fitted[place] = fitted[place - 1]
    return tuple(fitted)


def class_codes(values: Plain, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """The index of each value's class, -1 for what is none of them."""
    place: dict[str | None, int] = {name: index for index, name in enumerate(classes)}
    if isinstance(values, list):
        return np.array([place.get(_category(value), -1) for value in values], dtype=np.int64)
    distinct, inverse = np.unique(values, return_inverse=True)
    known = [place.get(_category(value), -1) for value in distinct.tolist()]
    return np.array(known, dtype=np.int64)[inverse]


def numbers_of(values: Plain) -> _Floats:
    """The values as numbers, NaN for what isn't one, in their places."""
    if isinstance(values, list):
        return np.array([_number(value) for value in values], dtype=np.float64)
    return values


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if value > 0 else -math.inf


def _kind_and_classes(
    label: LabelColumn, values: Plain, outputs: Mapping[str, Plain]
) -> tuple[LabelKind, tuple[str, ...]]:
    """How the labels are to be read. Raises ProfileError where that can't be."""
    if label.kind not in {"", *LabelKind}:
        raise ProfileError(f"no kind {label.kind!r}; there are {', '.join(LabelKind)}")
    numeric = kind_of("prediction", values) == "numeric"
    if label.kind == LabelKind.REGRESSION or (not label.kind and numeric and not label.positive):
        return LabelKind.REGRESSION, ()
    labelled = _distinct(values)
    predictions = outputs.get("prediction", [])
    predicted: set[str] = set()
    if len(predictions) and kind_of("prediction", predictions) == "categorical":
        predicted = _distinct(predictions)
        if labelled and predicted and not labelled & predicted:
            raise ProfileError(
                f"labels are {_listed(labelled)} and predictions {_listed(predicted)}: they share "
                f"no class; write both the same way"
            )
    elif len(predictions) and len(labelled) > 2 and not label.kind and _are_numbers(values):
        return LabelKind.REGRESSION, ()
    scored = {name.removeprefix(SCORE_PREFIX) for name in outputs if name.startswith(SCORE_PREFIX)}
    classes = labelled | predicted | scored
    if len(classes) == 1 and label.positive:
        classes |= {label.positive}
    elif classes in ({"0"}, {"1"}):
        classes = {"0", "1"}
    kind = LabelKind(label.kind or ("binary" if len(classes) == 2 else "multiclass"))
    return kind, _ordered(kind, classes, label.positive)


def _ordered(kind: LabelKind, classes: set[str], positive: str) -> tuple[str, ...]:
    """(negative, positive), or all, sorted."""
    ordered = tuple(sorted(classes))
    if not 2 <= len(ordered) <= MAX_CLASSES:
        raise ProfileError(
            f"{len(ordered)} classes among the labels ({_listed(classes)}); 2 to {MAX_CLASSES} are "
            f"told apart: give the kind regression for numbers, or leave the labels out"
        )
    if kind is LabelKind.BINARY and len(ordered) > 2:
        raise ProfileError(f"a binary model has two classes, not {_listed(classes)}")
    if positive and positive not in classes:
        raise ProfileError(f"the positive class {positive!r} is none of {_listed(classes)}")
    if positive and kind is not LabelKind.BINARY:
        raise ProfileError(f"a positive class is a binary model's; this one is {kind}")
    return ordered[::-1] if positive == ordered[0] and kind is LabelKind.BINARY else ordered


def _category(value: Scalar) -> str | None:
    """The value's class; infinities are none."""
    return None if isinstance(value, float) and math.isinf(value) else category(value)


def _distinct(values: Plain) -> set[str]:
    """The classes among the values."""
    plain = values if isinstance(values, list) else np.unique(values).tolist()
    return {name for name in map(_category, set(plain)) if name is not None and nameable(name)}


def _are_numbers(values: Plain) -> bool:
    return not isinstance(values, list) or not any(isinstance(v, str | bool) for v in values)


def _listed(classes: Iterable[str]) -> str:
    names = sorted(classes)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _bins(scores: _Floats, variable: NumericVariable) -> npt.NDArray[np.int64]:
    """The regular bin of each score, those out of range in the outermost; -1 where none is."""
    inner = np.asarray(variable.edges[1:-1], dtype=np.float64)
    bins = np.searchsorted(inner, scores, side="right")
    return np.where(np.isfinite(scores), bins, -1)


def _shares(
    bins: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_], variable: NumericVariable
) -> list[float]:
    """The share of each bin's rows that are called positive; the threshold's where it has none."""
    hits = np.bincount(bins[(bins >= 0) & positive], minlength=variable.size).tolist()
    rows = np.bincount(bins[bins >= 0], minlength=variable.size).tolist()
    return [
        significant(hit / count) if count else float((low + high) / 2 >= _THRESHOLD)
        for hit, count, (low, high) in zip(hits, rows, pairwise(variable.edges), strict=True)
    ]
