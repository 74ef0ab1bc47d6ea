from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.fixed import NARROW, SHARE, WIDE, Form, digits, exact, total

FORMS = (SHARE, NARROW, WIDE)


def _rounded(value: float, form: Form) -> int:
    return round(Fraction(value) * (1 << form.bits))


@pytest.mark.parametrize("form", FORMS)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_sums_are_those_of_exact_fractions_in_any_order(form: Form, values: list[float]) -> None:
    expected = sum(_rounded(value, form) for value in values)
    assert exact(digits(np.array(values), form).sum(axis=0)) == expected
    assert exact(digits(np.array(values[::-1]), form).sum(axis=0)) == expected
    assert total(digits(np.array(values), form).sum(axis=0), form) == expected / (1 << form.bits)


@given(value=st.floats(-1e40, 1e40, allow_subnormal=True))
def test_wide_digits_hold_what_fourth_powers_need(value: float) -> None:
    own = digits(np.array([value]), WIDE)[0]
    assert exact(own) == _rounded(value, WIDE)
    assert max(abs(own)) < 1 << 32
    assert not exact(own + digits(np.array([-value]), WIDE)[0])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_too_large_is_held_at_the_limit(form: Form) -> None:
    low, high, nothing = digits(np.array([-np.inf, 1e300, np.nan]), form)
    assert total(high, form) == pytest.approx(2.0**form.limit_bits)
    assert total(low, form) == -total(high, form)
    assert not nothing.any()


def test_a_million_values_add_up_to_what_they_are() -> None:
    values = np.random.default_rng(5).normal(size=1_000_000)
    assert abs(total(digits(values).sum(axis=0)) - math.fsum(values)) < 1e6 * 2.0**-41
    assert total(digits(np.full(1_000_000, 0.5)).sum(axis=0)) == 500_000.0
