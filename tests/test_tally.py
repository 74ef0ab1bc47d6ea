"""Counts by the compiled loop: those of searching and counting, whatever the values are like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.catalog import Profiles
from stream.core.pane import tally
from stream.core.pane.binning import Table
from stream.core.pane.fold import Fold
from stream.core.pane.tally import add_regions
from stream.core.records import Batch, Int64s
from stream.core.specs import Profile
from tests.pane_rows import BOTH, numeric, profile

Floats = npt.NDArray[np.float64] | npt.NDArray[np.float32]

_ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 2.5e-308, 1.7e308, -1.7e308)
_EDGES = st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=70, unique=True).map(sorted)
_NORMAL = np.random.default_rng(2).normal(size=1_000)
_EVEN = st.builds(
    lambda low, width, count: [low + width * i for i in range(count)],
    st.floats(-10, 10),
    st.floats(1e-3, 10),
    st.integers(2, 66),
)


def _expected(edges: list[float], values: Floats) -> Int64s:
    """Under the first edge, in each bin (the last is closed), over the last edge, missing."""
    bounds = np.append(edges[:-1], np.nextafter(edges[-1], np.inf))
    regions = bounds.searchsorted(values.astype(np.float64), side="right")
    regions[np.isnan(values)] = len(bounds) + 1
    return np.bincount(regions, minlength=len(bounds) + 2)


def _found(table: Table, *columns: Floats) -> Int64s:
    found = np.zeros(len(table.boundaries) + 2, dtype=np.int64)
    for values in columns:
        add_regions(values, table, found)
    return found


def _around(edges: list[float]) -> Floats:
    places = np.array(edges)
    return np.concatenate([places, np.nextafter(places, np.inf), np.nextafter(places, -np.inf)])


@settings(deadline=None)
@given(edges=st.one_of(_EDGES, _EVEN), values=st.lists(st.floats(width=64), max_size=60))
@example(edges=[0.0, 1.0], values=[])
@example(edges=[3.0, float(np.nextafter(3.0, 4.0))], values=[3.0])
def test_counts_are_those_of_searching(edges: list[float], values: list[float]) -> None:
    table = Table(edges)
    columns: list[Floats] = [np.array(values), _around(edges), np.array(_ODD)]
    with np.errstate(over="ignore"):
        columns += [column.astype(np.float32) for column in columns]
    expected = sum(_expected(edges, column) for column in columns)
    assert (_found(table, *columns) == expected).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_value_finds_the_cell_that_its_edge_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(200):  # edges where cells meet: what is rounded otherwise ends in another cell
        low, high = np.sort(rng.normal(size=2) * 10.0 ** rng.integers(-3, 4))
        edges = np.unique(np.linspace(low, high, int(rng.choice([5, 17, 33, 65])))).tolist()
        table, values = Table(edges), _around(edges)
        assert table.cells
        assert (_found(table, values) == _expected(edges, values)).all()


def test_edges_that_no_table_serves_are_searched() -> None:
    table = Table([-1e308, 0.0, 1e308])
    assert not table.cells
    values = np.random.default_rng(1).normal(0, 1e308, 40_000)
    values[::3] = np.nan
    assert (_found(table, values) == _expected([-1e308, 0.0, 1e308], values)).all()


def _kinds(values: Floats) -> list[Floats]:
    """The values as arrays of every kind."""
    fixed = values.copy()
    fixed.flags.writeable = False
    unaligned = np.frombuffer(b"." + values.tobytes(), dtype=values.dtype, offset=1)
    assert not unaligned.flags.aligned
    return [
        values,
        fixed,
        unaligned,
        np.repeat(values, 2)[::2],
        values[::-1],
        np.asfortranarray(np.tile(values, (2, 1)))[1],
        values.astype(values.dtype.newbyteorder()),
        values[:0],
    ]


def _versions() -> list[int]:
    """How many versions of each loop were compiled, one for each kind of arguments."""
    return [len(loop.signatures) for loop in vars(tally).values() if hasattr(loop, "py_func")]


@pytest.mark.parametrize("values", [_NORMAL, _NORMAL.astype(np.float32)])
def test_after_warming_up_nothing_is_left_to_compile_whatever_the_columns_are_like(
    values: Floats,
) -> None:
    tally.warm_up()
    assert _versions() == [2]
    columns = _kinds(values)
    expected = (len(columns) - 1) * _expected([-1.0, 0.0, 1.0], values)  # one of them is empty
    assert (_found(Table([-1.0, 0.0, 1.0]), *columns) == expected).all()
    assert values.flags.writeable
    assert _versions() == [2]


def _batch(numeric: Floats, categorical: int) -> Batch:
    """Rows of the first profile that carry everything."""
    count = numeric.shape[1]
    zeros = np.zeros(count, dtype=np.int32)
    return Batch(
        record=zeros,
        row=zeros,
        entry=zeros,
        event_time_ms=zeros.astype(np.int64),
        carries=np.full(count, BOTH, dtype=np.uint8),
        numeric=numeric,
        codes=np.zeros((categorical, count), dtype=np.int64),
    )


def _folded(known: Profile, batch: Batch) -> Int64s:
    profiles = Profiles()
    assert profiles.hear(known) is None
    fold = Fold(profiles, 1_000)
    fold.add(batch, batch.event_time_ms)
    (group,) = fold.take()
    return group.count_vector()


def test_a_fold_warms_up_before_rows_come() -> None:
    tally.warm_up.cache_clear()
    Fold(Profiles(), 1_000)
    assert tally.warm_up.cache_info().misses == 1
    assert _versions() == [2]


@pytest.mark.parametrize("count", [3_000, 30_000])
def test_float32_counts_as_the_float64_that_it_equals(count: int) -> None:
    rng = np.random.default_rng(count)
    known = profile("credit", rng)
    searched = numeric("score", [-1e308, 0.0, 1e308])
    known = replace(known, numeric=(*known.numeric[:-1], searched))
    values = rng.normal(size=(len(known.numeric), count)).astype(np.float32)
    values[:, ::7] = np.nan
    values.view(np.uint32)[:, 1::7] = 0x7F800001  # a signalling NaN
    values[:, 2::7] = np.array(known.numeric[0].edges[3], dtype=np.float32)
    with np.errstate(invalid="ignore"):
        widened = values.astype(np.float64)
    narrow, wide = (_folded(known, _batch(v, len(known.categorical))) for v in (values, widened))
    assert narrow.tolist() == wide.tolist()
    assert narrow.sum() == count * len(known.variables)
    assert _versions() == [2]
