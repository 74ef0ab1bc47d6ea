"""Folding with segments, duplicates and rows that the join lost: as plain counting has it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.catalog import Profiles
from stream.core.pane.fold import Fold
from stream.core.pane.raw import bin_raw
from stream.core.records import CARRIES_COLUMN, Batch, Group, Int64s, Kind, RawBatch
from stream.core.specs import Profile
from tests.pane_rows import as_batch, profile, raw_rows

PANE_MS = 1_000
SEGMENTS = [(), ("country=US",), ("country=US", "age >= 65"), ("country=other", "age >= 65")]
Found = dict[tuple[str, str, int], Counter[str]]


class _Rows(NamedTuple):
    """Rows of one model, and what was decided about each."""

    raw: RawBatch
    time_ms: Int64s
    keep: np.ndarray[tuple[int], np.dtype[np.bool_]]
    unkept: np.ndarray[tuple[int], np.dtype[np.bool_]]
    sets: np.ndarray[tuple[int], np.dtype[np.int32]]


def _rows(known: Profile, rng: np.random.Generator, count: int, spread_ms: int) -> _Rows:
    event = rng.integers(0, spread_ms, count)
    return _Rows(
        raw_rows(known, rng, count, event.tolist()),
        event + rng.integers(0, PANE_MS, count),
        rng.random(count) < 0.7,
        rng.random(count) < 0.3,
        rng.integers(0, len(SEGMENTS), count).astype(np.int32),
    )


def _totals(groups: Iterable[Group]) -> Found:
    """Groups as plain numbers; a group may come in more than one part."""
    found: Found = {}
    for group in groups:
        assert group.kind is Kind.DATA
        numbers = found.setdefault((str(group.model), group.segment, group.pane_ms), Counter())
        for name in (
            "rows",
            "feature_rows",
            "late_rows",
            "unknown_features",
            "duplicate_rows",
            "unkept_rows",
        ):
            numbers[name] += getattr(group, name)
        for slot, count in enumerate(group.count_vector().tolist()):
            numbers[f"slot {slot}"] += count
    return {key: +numbers for key, numbers in found.items()}


def _expected(known: Profile, rows: _Rows) -> Found:
    """Each row on its own, in every segment of its set."""
    found: Found = {}
    for i in range(len(rows.raw)):
        columns = {name: values[i : i + 1] for name, values in rows.raw.columns.items()}
        carries = int(rows.raw.carries[i])
        pane = int(rows.time_ms[i]) // PANE_MS
        one: Counter[str] = Counter()
        if rows.keep[i]:
            counted = bin_raw({**columns, CARRIES_COLUMN: [carries]}, known)
            one.update({f"slot {s}": c for s, c in enumerate(counted.counts.tolist()) if c})
            one["rows"] = carries & 1
            one["feature_rows"] = carries >> 1 & 1
            one["late_rows"] = int(rows.raw.event_time_ms[i]) // PANE_MS < pane
            one["unknown_features"] = counted.unknown_features
            one["unkept_rows"] = int(rows.unkept[i])
        else:
            one["duplicate_rows"] = 1
        for segment in ("", *SEGMENTS[rows.sets[i]]):
            key = (str(known.model), segment, pane * PANE_MS)
            found.setdefault(key, Counter()).update(one)
    return {key: +numbers for key, numbers in found.items()}


def _add(fold: Fold, batch: Batch, rows: _Rows) -> int:
    return fold.add(
        batch,
        rows.time_ms,
        keep=rows.keep,
        unkept=rows.unkept,
        sets=rows.sets,
        segments=SEGMENTS,
    )


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    parts=st.lists(st.integers(1, 120), min_size=1, max_size=4),
    spread_ms=st.sampled_from([1, 3_000, 200_000]),
)
def test_each_row_counts_in_every_segment_of_its_set_once(
    seed: int, parts: list[int], spread_ms: int
) -> None:
    rng = np.random.default_rng(seed)
    profiles = Profiles()
    models = [profile(name, rng) for name in ("credit", "fraud")]
    for known in models:
        profiles.hear(known)
    fold = Fold(profiles, PANE_MS)
    found: Found = {}
    for number, count in enumerate(parts):
        known = models[number % 2]
        rows = _rows(known, rng, count, spread_ms)
        late = _add(fold, as_batch(rows.raw, profiles), rows)
        mine = _expected(known, rows)
        assert late == sum(n["late_rows"] for (_, segment, _), n in mine.items() if not segment)
        for key, numbers in mine.items():
            found[key] = found.get(key, Counter()) + numbers
    groups = fold.take()
    assert _totals(groups) == found
    assert len(fold.take()) == 0


@pytest.mark.parametrize("count", [4_000, 40])
def test_no_segments_are_the_same_as_the_set_zero(count: int) -> None:
    rng = np.random.default_rng(count)
    profiles = Profiles()
    known = profile("credit", rng)
    profiles.hear(known)
    rows = _rows(known, rng, count, 3_000)
    batch = as_batch(rows.raw, profiles)
    nobody, zero = Fold(profiles, PANE_MS), Fold(profiles, PANE_MS)
    nobody.add(batch, rows.time_ms)
    zero.add(batch, rows.time_ms, sets=np.zeros(count, dtype=np.int32), segments=[()])
    assert _totals(nobody.take()) == _totals(zero.take())


def test_many_rows_are_counted_as_they_come_and_spread_over_segments() -> None:
    rng = np.random.default_rng(11)
    profiles = Profiles()
    known = profile("credit", rng)
    profiles.hear(known)
    fold = Fold(profiles, PANE_MS)
    rows = _rows(known, rng, 3_000, 1_000)
    _add(fold, as_batch(rows.raw, profiles), rows)
    groups = list(fold.take())
    assert _totals(groups) == _expected(known, rows)
    assert all(group.counts is not None for group in groups)
    names = Counter((group.segment, group.pane_ms) for group in groups)
    assert set(names.values()) == {1}


def test_duplicates_of_raw_rows_are_counted_and_nothing_else_of_them() -> None:
    rng = np.random.default_rng(2)
    profiles = Profiles()
    known = profile("credit", rng)
    rows = _rows(known, rng, 60, 3_000)
    raw = Fold(profiles, PANE_MS)
    raw.add_raw(rows.raw, rows.time_ms, keep=rows.keep, unkept=rows.unkept)
    groups = list(raw.take())
    assert sum(group.duplicate_rows for group in groups) == int(np.count_nonzero(~rows.keep))
    assert sum(g.unkept_rows for g in groups) == int(np.count_nonzero(rows.unkept & rows.keep))
    profiles.hear(known)
    binned = Fold(profiles, PANE_MS)
    binned.add_raw(rows.raw, rows.time_ms, keep=rows.keep, unkept=rows.unkept)
    whole = {key: n for key, n in _expected(known, rows).items() if not key[1]}
    assert _totals(binned.take()) == whole


def test_a_pane_of_duplicates_alone_is_told() -> None:
    rng = np.random.default_rng(3)
    profiles = Profiles()
    known = profile("credit", rng)
    profiles.hear(known)
    rows = _rows(known, rng, 5, 1)._replace(keep=np.zeros(5, dtype=np.bool_))
    columns, values = Fold(profiles, PANE_MS), Fold(profiles, PANE_MS)
    columns.add(as_batch(rows.raw, profiles), rows.time_ms, keep=rows.keep)
    values.add_raw(rows.raw, rows.time_ms, keep=rows.keep)
    for groups in (list(columns.take()), list(values.take())):
        assert [(g.rows, g.duplicate_rows, int(g.count_vector().sum())) for g in groups] == [
            (0, 5, 0)
        ]


def test_clear_forgets_everything() -> None:
    rng = np.random.default_rng(4)
    profiles = Profiles()
    known = profile("credit", rng)
    profiles.hear(known)
    fold = Fold(profiles, PANE_MS)
    rows = _rows(known, rng, 50, 3_000)
    _add(fold, as_batch(rows.raw, profiles), rows)
    fold.add_raw(dataclasses.replace(rows.raw, model=known.model), rows.time_ms, keep=rows.keep)
    fold.clear()
    assert len(fold.take()) == 0
