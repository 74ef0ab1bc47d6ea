"""Counts by the compiled loop: those of searching and counting, whatever the values are like."""

from __future__ import annotations

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
from tests.pane_rows import BOTH, profile

Floats = npt.NDArray[np.float64]

_ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 2.5e-308, 1.7e308, -1.7e308)
_EDGES = st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=70, unique=True).map(sorted)
_EVEN = st.builds(
    lambda low, width, count: [low + width * i for i in range(count)],
    st.floats(-10, 10),
    st.floats(1e-3, 10),
    st.integers(2, 66),
)


def _expected(edges: list[float], values: Floats) -> Int64s:
    """Under the first edge, in each bin (the last is closed), over the last edge, missing."""
    bounds = np.append(edges[:-1], np.nextafter(edges[-1], np.inf))
    regions = bounds.searchsorted(values, side="right")
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
    columns = [np.array(values), _around(edges), np.array(_ODD)]
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
    unaligned = np.frombuffer(b"." + values.tobytes(), dtype=np.float64, offset=1)
    assert not unaligned.flags.aligned
    return [
        values,
        fixed,
        unaligned,
        np.repeat(values, 2)[::2],
        values[::-1],
        np.asfortranarray(np.tile(values, (2, 1)))[1],
        values.astype(">f8"),
        values[:0],
    ]


def _versions() -> list[int]:
    """How many versions of each loop were compiled, one for each kind of arguments."""
    return [len(loop.signatures) for loop in vars(tally).values() if hasattr(loop, "py_func")]


def test_after_warming_up_nothing_is_left_to_compile_whatever_the_columns_are_like() -> None:
    tally.warm_up()
    assert _versions() == [1]
    values = np.random.default_rng(2).normal(size=1_000)
    kinds = _kinds(values)
    expected = (len(kinds) - 1) * _expected([-1.0, 0.0, 1.0], values)  # one of them is empty
    assert (_found(Table([-1.0, 0.0, 1.0]), *kinds) == expected).all()
    assert values.flags.writeable
    assert _versions() == [1]


def test_a_fold_warms_up_before_rows_come_and_then_compiles_nothing() -> None:
    tally.warm_up.cache_clear()
    profiles, known = Profiles(), profile("credit", np.random.default_rng(3))
    assert profiles.hear(known) is None
    fold = Fold(profiles, 1_000)
    assert tally.warm_up.cache_info().misses == 1
    values = np.random.default_rng(4).normal(size=6_000)
    rows = 0
    for kind in _kinds(values):
        zeros = np.zeros(len(kind), dtype=np.int32)
        batch = Batch(
            record=zeros,
            row=zeros,
            entry=zeros,
            event_time_ms=zeros.astype(np.int64),
            carries=np.full(len(kind), BOTH, dtype=np.uint8),
            numeric=np.broadcast_to(kind, (len(known.numeric), len(kind))),
            codes=np.zeros((len(known.categorical), len(kind)), dtype=np.int64),
        )
        fold.add(batch, batch.event_time_ms)
        rows += len(kind)
    (group,) = fold.take()
    assert group.rows == rows
    assert group.count_vector().sum() == rows * len(known.variables)
    assert _versions() == [1]
