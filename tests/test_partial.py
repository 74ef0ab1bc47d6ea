"""The wire form of partials: nothing is lost, whatever the size limit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.catalog import Profiles
from stream.core.pane.partial import decode_partial, encode_partials
from stream.core.pane.raw import bin_raw
from stream.core.records import (
    CARRIES_COLUMN,
    Claim,
    Group,
    ModelKey,
    Partial,
    Progress,
    Source,
    Told,
)
from tests.pane_rows import profile, raw_rows

SOURCE = Source("predictions", 3)
POSITIONS = (Progress(SOURCE, 5, 105),)
SCHEMA: dict[str, Any] = schemas.schema("pane_partial")


def _dense(counts: list[int]) -> Group:
    return Group(ModelKey("m", "1"), "h", 60_000, 3, 2, 1, 0, np.array(counts, dtype=np.int64))


def _round_trip(groups: list[Group], max_bytes: int) -> list[Partial]:
    told, claims = (Told(SOURCE, 120_000, 121_000),), (Claim(SOURCE, 105, 130_000),)
    partial = Partial(60_000, tuple(groups), POSITIONS, told, claims)
    return [decode_partial(v, SCHEMA) for v in encode_partials(partial, SCHEMA, max_bytes)]


COUNTS = st.one_of(
    st.just(0), st.integers(-3, 3), st.integers(-200, 200), st.integers(-(2**63), 2**63 - 1)
)


@given(st.lists(st.lists(COUNTS, max_size=30), max_size=8), st.integers(1, 400))
def test_counts_of_any_size_survive_any_record_limit(counts: list[list[int]], limit: int) -> None:
    back = _round_trip([_dense(line) for line in counts], limit)
    groups = [group for partial in back for group in partial.groups]
    assert [group.count_vector().tolist() for group in groups] == counts
    assert [(g.rows, g.feature_rows, g.late_rows, g.pane_ms) for g in groups] == [
        (3, 2, 1, 60_000)
    ] * len(counts)
    assert all(partial.progress == POSITIONS for partial in back)
    assert [bool(partial.told) for partial in back] == [False] * (len(back) - 1) + [True]
    assert back[-1].claims == (Claim(SOURCE, 105, 130_000),)


def test_few_rows_travel_as_codes() -> None:
    codes = np.array([0, 7, 7, 99_999], dtype=np.uint32)
    group = Group(ModelKey("m", ""), "h", 0, 1, 1, 0, 0, None, codes=codes, width=100_000)
    (small,) = _round_trip([group], 10**6)
    assert small.groups[0].count_vector()[[0, 7, 99_999]].tolist() == [1, 2, 1]
    assert len(encode_partials(small, SCHEMA, 10**6)[0]) < 250


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(600, 20_000))
def test_raw_values_bin_the_same_after_the_journey(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    known = profile("m", rng)
    Profiles().hear(known)
    raw = raw_rows(known, rng, 40, [0] * 40)
    columns = {**raw.columns, CARRIES_COLUMN: raw.carries.tolist()}
    rows, feature_rows = int(np.sum(raw.carries & 1)), int(np.sum(raw.carries & 2)) // 2
    group = Group(known.model, "", 0, rows, feature_rows, 4, 0, None, raw=columns)
    back = [group for partial in _round_trip([group], limit) for group in partial.groups]
    total = sum((bin_raw(part.raw or {}, known).counts for part in back), np.zeros(known.width))
    assert (total == bin_raw(columns, known).counts).all()
    assert sum(part.rows for part in back) == rows
    assert sum(part.feature_rows for part in back) == feature_rows
    assert sum(part.late_rows for part in back) == 4
    ends = (math.inf, -math.inf)
    infinite = [v for part in back for v in (part.raw or {}).get("features.x0", []) if v in ends]
    assert len(infinite) == sum(v in (*ends, 10**400) for v in raw.columns["features.x0"])
