"""Folding: columns, raw values and plain counting agree, whatever the slices and models."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.catalog import Profiles
from stream.core.pane.binning import Stack, tables_of
from stream.core.pane.fold import Fold
from stream.core.pane.raw import bin_raw
from stream.core.records import CARRIES_COLUMN, Batch, Group, RawColumns
from tests.pane_rows import BOTH, as_batch, numeric, profile, raw_rows

PANE_MS = 1000


def _by_pane(groups: Iterable[Group]) -> dict[tuple[str, str, int], tuple[int, ...]]:
    """The groups as plain values; a group may come in more than one part."""
    found: dict[tuple[str, str, int], Counter[int]] = {}
    for group in groups:
        counter = found.setdefault((str(group.model), group.profile, group.pane_ms), Counter())
        totals = (group.rows, group.feature_rows, group.late_rows, group.unknown_features)
        counter.update(dict(enumerate([*totals, *group.count_vector().tolist()])))
    return {key: tuple(v for _, v in sorted(c.items())) for key, c in found.items()}


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    """Rows start..stop of a batch."""
    overrides = batch.overrides
    if overrides is not None:
        inside = (overrides.row >= start) & (overrides.row < stop)
        overrides = dataclasses.replace(
            overrides,
            variable=overrides.variable[inside],
            row=overrides.row[inside] - start,
            slot=overrides.slot[inside],
        )
    return Batch(
        batch.record[start:stop],
        batch.row[start:stop],
        batch.entry[start:stop],
        batch.event_time_ms[start:stop],
        batch.carries[start:stop],
        batch.numeric[:, start:stop],
        batch.codes[:, start:stop],
        overrides,
        None if batch.unknown is None else batch.unknown[start:stop],
    )


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 200),
    step=st.integers(1, 200),
    spread_ms=st.sampled_from([1, 5_000, 400_000]),
)
def test_columns_in_any_slices_count_as_raw_values_do(
    seed: int, count: int, step: int, spread_ms: int
) -> None:
    rng = np.random.default_rng(seed)
    profiles = Profiles()
    known = profile("credit", rng)
    assert profiles.hear(known) is None
    times = (10_000_000 + rng.integers(0, spread_ms, count)).tolist()
    raw = raw_rows(known, rng, count, times)
    batch = as_batch(raw, profiles)
    effective = np.maximum(raw.event_time_ms, int(rng.integers(10_000_000, 10_000_000 + spread_ms)))
    columns, values = Fold(profiles, PANE_MS), Fold(profiles, PANE_MS)
    for start in range(0, count, step):
        columns.add(_cut(batch, start, start + step), effective[start : start + step])
    values.add_raw(raw, effective)
    folded = _by_pane(columns.take())
    assert folded == _by_pane(values.take())
    assert sum(totals[0] for totals in folded.values()) == int(np.sum(raw.carries & 1))
    assert len(columns.take()) == 0


def test_many_models_in_one_batch_count_as_each_alone() -> None:
    rng = np.random.default_rng(7)
    profiles, together, apart = Profiles(), None, None
    models = [profile(f"m{i}", rng) for i in range(40)]
    for known in models:
        profiles.hear(known)
    together, apart = Fold(profiles, PANE_MS), Fold(profiles, PANE_MS)
    batches, times = [], []
    for known in models:
        time = rng.integers(0, 3 * PANE_MS, 50)
        batches.append(as_batch(raw_rows(known, rng, 50, time.tolist()), profiles))
        times.append(time)
        apart.add(batches[-1], time)
    offsets = np.arange(len(batches)) * 50
    overrides = [b.overrides for b in batches]
    assert all(o is not None for o in overrides)
    merged = Batch(
        record=np.concatenate([b.record for b in batches]),
        row=np.concatenate([b.row for b in batches]),
        entry=np.concatenate([b.entry for b in batches]),
        event_time_ms=np.concatenate([b.event_time_ms for b in batches]),
        carries=np.concatenate([b.carries for b in batches]),
        numeric=np.concatenate([b.numeric for b in batches], axis=1),
        codes=np.concatenate([b.codes for b in batches], axis=1),
        overrides=dataclasses.replace(
            overrides[0],  # type: ignore[type-var]
            variable=np.concatenate([o.variable for o in overrides if o]),
            row=np.concatenate([o.row + at for o, at in zip(overrides, offsets, strict=True) if o]),
            slot=np.concatenate([o.slot for o in overrides if o]),
        ),
        unknown=np.concatenate([b.unknown for b in batches if b.unknown is not None]),
    )
    together.add(merged, np.concatenate(times))
    assert _by_pane(together.take()) == _by_pane(apart.take())


def test_a_profile_that_is_heard_later_is_folded_by_too() -> None:
    rng = np.random.default_rng(3)
    profiles = Profiles()
    profiles.hear(profile("first", rng))
    fold = Fold(profiles, PANE_MS)
    for name in ("first", "second"):
        known = profile(name, rng)
        profiles.hear(known)
        stored = profiles.entries[profiles.latest(known.model) or 0]
        raw = raw_rows(stored, rng, 20, [5] * 20)
        fold.add(as_batch(raw, profiles), raw.event_time_ms)
    assert {group.model.model for group in fold.take()} == {"first", "second"}


def test_raw_rows_are_binned_by_the_profile_of_their_pane_and_stay_raw_before_it() -> None:
    rng = np.random.default_rng(5)
    profiles = Profiles()
    known = profile("credit", rng, effective_from_ms=2 * PANE_MS)
    profiles.hear(known)
    fold = Fold(profiles, PANE_MS)
    raw = raw_rows(known, rng, 30, [PANE_MS] * 15 + [2 * PANE_MS] * 15)
    fold.add_raw(raw, raw.event_time_ms)
    before, after = fold.take()
    assert before.profile == "" and before.raw is not None
    assert after.profile == known.hash
    later = {name: values[15:] for name, values in raw.columns.items()}
    later[CARRIES_COLUMN] = raw.carries[15:].tolist()
    assert (after.count_vector() == bin_raw(later, known).counts).all()


@pytest.mark.parametrize("step", [1_500, 30_000])
@pytest.mark.parametrize("case", ["odd rows", "two panes", "two panes in a slice", "plain rows"])
def test_many_rows_count_as_raw_values_do(case: str, step: int) -> None:
    rng, count = np.random.default_rng(5), 30_000
    profiles = Profiles()
    known = profile("credit", rng)
    profiles.hear(known)
    raw = raw_rows(known, rng, count, [0] * count)
    if case != "odd rows":
        odd = str | bool
        columns: RawColumns = {
            name: [None if isinstance(x, odd) else x for x in values]
            for name, values in raw.columns.items()
        }
        raw = dataclasses.replace(raw, columns=columns, carries=np.full(count, BOTH, np.uint8))
    batch = as_batch(raw, profiles)
    assert (batch.overrides is None) == (case != "odd rows")
    times = np.zeros(count, dtype=np.int64)
    if case == "two panes":
        times[15_000:] = PANE_MS
    elif case == "two panes in a slice":
        times[::2] = PANE_MS
    columns_, values_ = Fold(profiles, PANE_MS), Fold(profiles, PANE_MS)
    late = values_.add_raw(raw, times)
    for start in range(0, count, step):
        late -= columns_.add(_cut(batch, start, start + step), times[start : start + step])
    assert late == 0
    assert _by_pane(columns_.take()) == _by_pane(values_.take())


@pytest.mark.parametrize("seed", range(20))
def test_bins_equal_searchsorted_also_where_edges_nearly_coincide(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = [
        rng.normal(size=500),
        rng.lognormal(0, 4, 500),
        np.append(rng.normal(size=100), [0.0, 5e-324, 1e-300, 1e300, -1e300]),
        rng.integers(0, 5, 500).astype(float),
        np.array([3.0, np.nextafter(3.0, 4.0)]),
        np.array([-1e308, 1e308, 0.0]),
    ]
    variables = [
        numeric(f"features.x{i}", np.unique(np.quantile(x, np.linspace(0, 1, 65))).tolist())
        for i, x in enumerate(samples)
    ]
    known = dataclasses.replace(profile("m", rng), numeric=tuple(variables))
    edges = np.concatenate([v.edges for v in variables])
    around = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)])
    values = np.append(around, [np.inf, -np.inf, np.nan, 0.0, -0.0])
    matrix = np.tile(values, (len(variables), 1))
    for rows in (0, np.zeros(len(values), dtype=np.int64)):
        found = np.empty(matrix.shape, dtype=np.int64)
        Stack([tables_of(known)]).regions(matrix, rows, found)
        for variable, line in zip(variables, found, strict=True):
            bounds = np.append(variable.edges[:-1], np.nextafter(variable.edges[-1], np.inf))
            expected = np.searchsorted(bounds, values, side="right")
            expected[np.isnan(values)] = len(bounds) + 1
            assert (line == expected).all(), variable.name
