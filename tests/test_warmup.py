"""Warm-up: which pane cuts a profile depends on the rows, not on the groups they come in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.pane.warmup import WarmUp
from stream.core.records import (
    CARRIES_COLUMN,
    CARRIES_FEATURES,
    CARRIES_PREDICTION,
    Group,
    ModelKey,
)

MODEL = ModelKey("price", "2")


def _group(pane_ms: int, carries: list[int]) -> Group:
    """A raw group of rows that are predictions, features, or both."""
    return Group(
        MODEL,
        profile="",
        pane_ms=pane_ms,
        rows=sum(bits & CARRIES_PREDICTION != 0 for bits in carries),
        feature_rows=sum(bits & CARRIES_FEATURES != 0 for bits in carries),
        late_rows=0,
        unknown_features=0,
        counts=None,
        raw={CARRIES_COLUMN: list(carries), "features.x": [1.0] * len(carries)},
    )


def _cut(groups: list[Group], wanted: int) -> int | None:
    warm_up = WarmUp()
    for group in groups:
        warm_up.add(group)
    return warm_up.cut(lambda _: True, lambda _: wanted)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=12), max_size=6),
    st.integers(1, 30),
)
def test_groups_may_be_cut_anyhow(panes: list[list[int]], wanted: int) -> None:
    whole = [_group(pane, carries) for pane, carries in enumerate(panes)]
    single = [_group(pane, [bits]) for pane, carries in enumerate(panes) for bits in carries]
    parted = [
        _group(pane, part)
        for pane, carries in enumerate(panes)
        for part in ([b for b in carries if b == kind] for kind in (1, 2, 3))
        if part
    ]
    assert _cut(whole, wanted) == _cut(single, wanted) == _cut(parted[::-1], wanted)


def test_features_that_come_apart_are_no_further_rows() -> None:
    apart = [_group(0, [CARRIES_PREDICTION] * 5), _group(0, [CARRIES_FEATURES] * 5)]
    assert _cut(apart, 6) is None
    assert _cut(apart, 5) == 0
    assert _cut([*apart, _group(60, [CARRIES_FEATURES])], 6) == 60
