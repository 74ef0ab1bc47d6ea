"""Outcomes are counted as plain formulas say, to the last bit, by loops that are compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.labels import LabelSpec
from stream.core.ledger import Part, ledger_of
from stream.core.logbins import DELAYS
from stream.core.pane import outcome_tally
from stream.core.pane.outcome_counts import OutcomeRows, count_outcomes
from stream.core.pane.outcome_tally import log
from stream.core.pane.outcomes import OutcomeFold
from stream.core.records import Int64s, Kind
from tests.outcome_rows import BINARY, MULTICLASS, REGRESSION

_Floats = npt.NDArray[np.float64]
_EPSILON = 2.0**-52
_ODD = LabelSpec(BINARY.kind, BINARY.classes, (0.0, 1e-300, 0.1, 0.9, 0.901, 0.9011, 1.0))
_WHOLE = LabelSpec(BINARY.kind, BINARY.classes, (0.0, 1.0))
_SCORES = (
    st.sampled_from([math.nan, math.inf, 0.0, -0.0, 1.0, 5e-324, -5e-324, 0.5, 0.9011])
    | st.sampled_from([1.0 - 2**-53, 1.0 + _EPSILON, _EPSILON, 2**-53])
    | st.integers(-1, 65).map(lambda place: place / 64)
    | st.floats(0.0, 1.0)
    | st.floats()
)
_NUMBERS = st.floats(-1e11, 1e11) | st.floats() | st.sampled_from([0.0, -0.0, 1.5, 1e11, 5e-324])
_DELAYS = st.integers(0, 1 << 40) | st.sampled_from([0, 1, 2, 1 << 62])
_ROW = st.fixed_dictionaries(
    {
        "number": st.integers(0, 2),
        "pane": st.integers(28_000_000, 28_000_002),
        "correction": st.booleans(),
        "out": st.booleans(),
        "late": st.booleans(),
        "code": st.integers(-1, 3),
        "value": _SCORES | _NUMBERS,
        "label": st.integers(0, 3),
        "number_label": _NUMBERS,
        "delay_ms": _DELAYS,
        "probabilities": st.tuples(_SCORES, _SCORES, _SCORES)
        | st.sampled_from([(0.25, 0.5, 0.25), (0.5, 0.5, -0.0), (1.0, 1.0, 1.0)]),
    }
)
_ALIKE = {"number": 0, "pane": 28_000_000, "correction": False, "out": False}


def _rows(spec: LabelSpec, rows: list[dict[str, Any]], shares: bool) -> OutcomeRows:
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["code"] = np.minimum(columns["code"], len(spec.classes)).astype(np.int32)
    numbers = columns.pop("number_label")
    if spec is REGRESSION:
        columns["label"] = numbers
    else:
        columns["label"] = columns["label"] % (len(spec.classes) + (spec is MULTICLASS))
    if not shares:
        columns["probabilities"] = None  # type: ignore[assignment]  # as of a binary model
    return OutcomeRows(**columns)


def _log(x: float) -> float:
    """The logarithm's steps in Python floats, in their order."""
    mantissa, exponent = math.frexp(x)
    if mantissa < math.sqrt(0.5):
        mantissa, exponent = mantissa * 2, exponent - 1
    s = (mantissa - 1) / (mantissa + 1)
    series = 2 / 23
    for odd in range(21, 0, -2):
        series = series * (s * s) + 2 / odd
    return exponent * math.log(2) + s * series


def _wide(x: float) -> Int64s:
    """Eight digits of base 2^32 that carry the value's sign, in units of 2^-96."""
    size = round(Fraction(min(abs(x), math.nextafter(2.0**160, 0.0))) * 2**96)
    digits = np.array([size >> 32 * place & 0xFFFFFFFF for place in range(8)])
    return -digits if x < 0 else digits


def _digits(x: _Floats) -> Int64s:
    """Two digits of base 2^32 of each value, in units of 2^-40: (…, 2)."""
    whole = np.rint(x * 2.0**40).astype(np.int64)
    return np.stack([whole % (1 << 32), whole // (1 << 32)], axis=-1)


def _scored(spec: LabelSpec, rows: OutcomeRows) -> tuple[npt.NDArray[np.bool_], list[_Floats]]:
    """Which rows have scores; of all of them P, whether it came, own class's P, and Brier."""
    label, p = rows.label.astype(np.int64), rows.value
    each = np.arange(len(label))
    if spec is not MULTICLASS:
        own = np.abs(p - (1 - label))
        return (p >= 0) & (p <= 1), [p, label.astype(np.float64), own, (p - label) ** 2]
    known = rows.probabilities
    if known is None:
        return np.zeros(len(label), dtype=np.bool_), [p, p, p, p]
    sound = ((known >= 0) & (known <= 1)).all(axis=1) & (label < 3)
    known = np.where(sound[:, None], known, 0.0)
    first, second, third = ((known - (label[:, None] == np.arange(3))) ** 2).T
    top = known.argmax(axis=1)
    own = known[each, np.minimum(label, 2)]
    came = (top == label).astype(np.float64)
    return sound, [known[each, top], came, own, first + second + third]


def _moments(y: float, predicted: float) -> Int64s:
    """What a label and its prediction add to REGRESSION_SUMS, where neither is beyond 1e11."""
    if not (abs(y) <= 1e11 and abs(predicted) <= 1e11):
        return np.zeros((12, 8), dtype=np.int64)
    error = predicted - y
    ratio = abs(error) / abs(y) if y else 0.0
    sums = [y, y * y, y * y * y, y * y * (y * y)]
    sums += [error, error * error, error * error * (error * error)]
    sums += [error * error * y, error * error * (y * y), abs(error), ratio, ratio * ratio]
    return np.stack([_wide(x) for x in sums])


def _used(y: float, predicted: float) -> list[int]:
    inside = abs(y) <= 1e11 and abs(predicted) <= 1e11
    return [inside, inside and y != 0, not inside]


@np.errstate(over="ignore", invalid="ignore")
def _expected(spec: LabelSpec, rows: OutcomeRows) -> Int64s:
    """The vector of rows that are all of one set, pane and kind."""
    ledger, other = ledger_of(spec), len(spec.classes)
    vector = np.zeros(ledger.width + 3, dtype=np.int64)
    sign = np.where(rows.out, -1, 1)
    vector[-3:] = -rows.out.sum(), sign.sum(), sign[rows.late].sum()

    def add(part: Part, *place: Int64s, of: npt.NDArray[np.int64] = sign) -> None:
        np.add.at(ledger.part(vector, part), place, of)

    add(Part.DELAYS, DELAYS.edges[:-1].searchsorted(rows.delay_ms, side="right"))
    if spec is REGRESSION:
        for y, predicted, one in zip(rows.label.tolist(), rows.value.tolist(), sign, strict=True):
            ledger.part(vector, Part.USED)[:] += one * np.array(_used(y, predicted))
            ledger.part(vector, Part.MOMENTS)[:] += one * _moments(y, predicted)
        return vector
    label = rows.label.astype(np.int64)
    add(Part.CONFUSION, np.where(rows.code < 0, other, rows.code), label)
    scored, columns = _scored(spec, rows)
    p, came, own, brier = (column[scored] for column in columns)
    sign = sign[scored]
    if spec is not MULTICLASS:
        inner = np.array(spec.edges[1:-1])
        add(Part.SCORES, inner.searchsorted(p, side="right"), label[scored], of=sign)
    tenth = np.minimum((p * 10).astype(np.int64), 9)
    add(Part.RELIABILITY, tenth, np.zeros_like(tenth), of=sign)
    add(Part.RELIABILITY, tenth, np.ones_like(tenth), of=sign * came.astype(np.int64))
    add(Part.RELIABILITY_SUMS, tenth, of=sign[:, None] * _digits(p))
    loss = np.array([-_log(x) for x in np.clip(own, _EPSILON, 1 - _EPSILON).tolist()])
    sums = np.stack([loss, loss * loss, brier, brier * brier])
    ledger.part(vector, Part.LOSSES)[:] = (sign[:, None] * _digits(sums)).sum(axis=1)
    return vector


@pytest.mark.parametrize("spec", [BINARY, _ODD, _WHOLE, MULTICLASS, REGRESSION])
@given(rows=st.lists(_ROW, min_size=1, max_size=40), alike=st.booleans(), shares=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_group_is_what_plain_formulas_say(
    spec: LabelSpec, rows: list[dict[str, Any]], *, alike: bool, shares: bool
) -> None:
    if alike:
        rows = [row | _ALIKE for row in rows]
    columns = _rows(spec, rows, shares and spec is MULTICLASS)
    kinds = np.where(columns.correction, Kind.CORRECTION, Kind.OUTCOME).tolist()
    keys = list(zip(columns.number.tolist(), columns.pane.tolist(), kinds, strict=True))
    found = {key: vector.tolist() for key, vector in count_outcomes(spec, ledger_of(spec), columns)}
    assert found.keys() == set(keys)
    for key, vector in found.items():
        own = np.array([number for number, other in enumerate(keys) if other == key])
        assert vector == _expected(spec, columns.at(own)).tolist()


def test_of_many_rows_the_sums_are_those_too() -> None:
    rng = np.random.default_rng(11)
    n = 50_000
    none, flags = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    late, label, delay_ms = rng.random(n) < 0.1, rng.integers(0, 2, n), rng.integers(0, 10**8, n)
    code = rng.integers(-1, 2, n).astype(np.int32)
    rows = OutcomeRows(
        none, none, flags, flags, late, code, rng.random(n), label, delay_ms, probabilities=None
    )
    ((key, vector),) = count_outcomes(BINARY, ledger_of(BINARY), rows)
    assert key == (0, 0, Kind.OUTCOME)
    assert vector.tolist() == _expected(BINARY, rows).tolist()


@given(x=st.floats(2.0**-1000, 2.0**1000))
@example(x=1.0)
def test_the_logarithm_is_the_true_one(x: float) -> None:
    assert abs(log(x) - math.log(x)) <= 4e-16 * max(1.0, abs(math.log(x)))


@given(x=st.floats(2.0**-53, 1.0))
def test_the_logarithm_uses_what_is_exact_everywhere(x: float) -> None:
    """The same steps in Python floats give the same bits: nothing was fused or approximated."""
    assert log(x) == _log(x)


def _versions() -> dict[str, int]:
    """How many versions of each loop were compiled, one for each kind of arguments."""
    return {
        name: len(loop.signatures)
        for name, loop in vars(outcome_tally).items()
        if hasattr(loop, "py_func")
    }


def _odd(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values neither in one piece nor writable."""
    apart = np.repeat(values, 2, axis=0)[::2]
    apart.flags.writeable = False
    return apart


@pytest.mark.parametrize("like", [np.ascontiguousarray, _odd])
def test_once_a_fold_is_made_nothing_is_left_to_compile(
    like: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
) -> None:
    OutcomeFold(60_000)
    before = _versions()
    tallies = [before[name] for name in before if name.startswith("tally_")]
    assert tallies == [1] * len(tallies) != []
    numbers, flags = like(np.arange(6) % 2), like(np.arange(6) % 3 == 0)
    code, shares = like(numbers.astype(np.int32)), like(np.full((6, 3), 0.25))
    for spec in (BINARY, _WHOLE, MULTICLASS, REGRESSION):
        label = shares[:, 0] if spec is REGRESSION else numbers
        rows = OutcomeRows(
            numbers, numbers, flags, flags, flags, code, shares[:, 1], label, numbers, shares
        )
        assert list(count_outcomes(spec, ledger_of(spec), rows))
    assert _versions() == before
