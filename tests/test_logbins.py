from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.logbins import ACCURACY, DELAYS, LATENCIES, LogBins


@pytest.mark.parametrize("bins", [DELAYS, LATENCIES, LogBins(1e-3, 10.0)])
def test_a_value_is_in_the_bin_whose_edges_hold_it(bins: LogBins) -> None:
    spread = np.exp(np.random.default_rng(1).uniform(math.log(1e-6), math.log(1e13), 50_000))
    x = np.concatenate([spread, bins.edges, np.nextafter(bins.edges, 0), [0.0, -3.0, np.inf]])
    expected = np.minimum(np.searchsorted(bins.edges, x, side="right"), bins.size - 1)
    assert np.array_equal(bins.bin_of(x), expected)


@pytest.mark.parametrize("bins", [DELAYS, LATENCIES])
@given(
    logs=st.lists(st.floats(0.0, 14.0), min_size=1, max_size=60),
    q=st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_quantiles_are_within_two_percent_of_the_ordered_values(
    bins: LogBins, logs: list[float], q: float
) -> None:
    values = np.exp(np.array(logs))
    counts = np.bincount(bins.bin_of(values), minlength=bins.size)
    told = bins.quantile(counts, q)
    real = float(np.quantile(values, q, method="inverted_cdf"))
    assert told is not None
    assert abs(told - real) <= ACCURACY * real * (1 + 1e-9)


def test_nothing_has_no_quantile_and_below_the_lowest_is_zero() -> None:
    assert DELAYS.quantile(np.zeros(DELAYS.size, dtype=np.int64), 0.5) is None
    assert DELAYS.quantile(np.bincount([0], minlength=DELAYS.size), 0.5) == 0.0
    last = np.bincount([DELAYS.size - 1], minlength=DELAYS.size)
    assert DELAYS.quantile(last, 0.5) == DELAYS.edges[-2]
