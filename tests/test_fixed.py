from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.core.fixed import SHARE, WIDE, Form, exact, total
from stream.core.pane.outcome_tally import Digits, add, add_share
from stream.core.records import Int64s

FORMS = (SHARE, WIDE)


def _rounded(value: float, form: Form) -> int:
    return round(Fraction(value) * (1 << form.bits))


def _sum(values: Sequence[float], form: Form, sign: int = 1) -> Int64s:
    """The digits of the values' sum; nothing but 0 is added to what comes behind them."""
    cells, digits = np.zeros(form.digits + 2, dtype=np.int64), Digits.of(form)
    for value in values:
        add(cells, 0, value, sign, digits)
    assert not cells[form.digits :].any()
    return cells[: form.digits]


@pytest.mark.parametrize("form", FORMS)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_sums_are_those_of_exact_fractions_in_any_order(form: Form, values: list[float]) -> None:
    expected = sum(_rounded(value, form) for value in values)
    assert exact(_sum(values, form)) == expected
    assert exact(_sum(values[::-1], form)) == expected
    assert exact(_sum(values, form, sign=-1)) == -expected
    assert total(_sum(values, form), form) == expected / (1 << form.bits)


@given(value=st.floats(-1e40, 1e40, allow_subnormal=True))
@example(value=2.0**-97)  # half of what is held: a tie
@example(value=-(2.0**-43 + 2.0**-96))
def test_wide_digits_hold_what_fourth_powers_need(value: float) -> None:
    own = _sum([value], WIDE)
    assert exact(own) == _rounded(value, WIDE)
    assert max(abs(own)) < 1 << 32
    assert all(digit * value >= 0 for digit in own.tolist())
    assert not (own + _sum([-value], WIDE)).any()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_too_large_is_held_at_the_limit(form: Form) -> None:
    high, low = _sum([1e300], form), _sum([-np.inf], form)
    assert exact(high) == _rounded(math.nextafter(2.0**form.limit_bits, 0.0), form)
    assert total(low, form) == -total(high, form)


@given(values=st.lists(st.floats(0.0, 2.0**20), min_size=1, max_size=30))
def test_digits_of_shares_are_the_digits(values: list[float]) -> None:
    cells = np.zeros(SHARE.digits, dtype=np.int64)
    for value in values:
        add_share(cells, 0, value, 1, Digits.of(SHARE))
    assert cells.tolist() == _sum(values, SHARE).tolist()


def test_many_values_add_up_to_what_they_are() -> None:
    values = np.random.default_rng(5).normal(size=100_000).tolist()
    assert abs(total(_sum(values, WIDE), WIDE) - math.fsum(values)) < 1e-10
    assert total(_sum([0.5] * 100_000, SHARE), SHARE) == 50_000.0
