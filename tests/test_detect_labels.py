"""Rows and labels in any order and any slices: one and the same windows and alerts."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import orjson
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import MonitorSpec
from tests.detect_labels import END, deployed, events_of
from tests.detect_world import PANE
from tests.label_flow import Flow, run

WINDOW = 4 * PANE
MONITORS = {
    "tumbling": MonitorSpec(
        window_ms=WINDOW,
        hop_ms=WINDOW,
        min_rows=5,
        labels=LabelRule(horizon_ms=100 * PANE),
        segments=(SegmentRule("tags.group", ("a", "b"), protected=True),),
        performance={"accuracy": MetricRule(low=0.7, point=True)},
        estimated={"accuracy": MetricRule(low=0.9, point=True)},
        serving={"latency_p50": MetricRule(high=4.0)},
        fairness={"tpr_difference": MetricRule(low=-0.2, point=True)},
        open_within=3,
    ),
    "hopping": MonitorSpec(
        window_ms=3 * PANE,
        hop_ms=PANE,
        min_rows=12,
        labels=LabelRule(horizon_ms=9 * PANE),
        performance={"f1": MetricRule(max_drop=0.1, point=True)},
        min_coverage=0.2,
        resolve_after=1,
    ),
}
SEEDS = st.integers(0, 2**32)
KINDS = st.sampled_from(sorted(MONITORS))


def same(flow: Flow, other: Flow) -> None:
    for topic in ("windows", "alerts"):
        assert other.said(topic) == flow.said(topic)


@settings(max_examples=25, deadline=None)
@given(SEEDS, KINDS, st.integers(10, 150), st.integers(1, 2))
def test_however_topics_are_cut_and_interleaved_windows_are_the_same(
    seed: int, kind: str, count: int, owners: int
) -> None:
    events = events_of(seed, count)
    deployment = deployed(MONITORS[kind])
    straight = run(Random(1), events, deployment, longest=20, lazy=0.0)
    other = run(Random(seed), events, deployment, owners=owners, longest=60)
    same(straight, other)
    alerts = [orjson.loads(value) for value in straight.said("alerts")]
    for name in {alert["kind"] for alert in alerts}:
        event(f"{name}: opened")
    event(f"cites: {any(alert['cites'] for alert in alerts)}")


@settings(max_examples=15, deadline=None)
@given(SEEDS, KINDS, st.integers(10, 100))
def test_after_crashes_anywhere_they_are_the_same(seed: int, kind: str, count: int) -> None:
    events = events_of(seed, count)
    straight = run(Random(1), events, deployed(MONITORS[kind]), longest=60)
    crashed = run(Random(seed), events, deployed(MONITORS[kind]), longest=20, crashes=0.2)
    same(straight, crashed)


@pytest.mark.parametrize("panes", [1, 3, 4, 6, 9])
def test_coverage_counts_whole_windows_however_short_the_horizon(panes: int) -> None:
    events = events_of(panes, 300)
    monitor = replace(MONITORS["tumbling"], labels=LabelRule(horizon_ms=panes * PANE))
    flow = run(Random(1), events, deployed(monitor), longest=60)
    windows = [orjson.loads(value) for value in flow.said("windows")]
    made = {(w["segment"], w["start_ms"]): w["rows"] for w in windows if w["kind"] == "data"}
    told = [w for w in windows if w["kind"] == "performance" and w["start_ms"] < END]
    assert len(told) > 9
    for window in told:
        segment, since = window["segment"], window["coverage_from_ms"]
        horizon_from_ms = max(window["end_ms"] - panes * PANE, 0)
        assert since <= horizon_from_ms < since + WINDOW
        starts = range(since, window["end_ms"], WINDOW)
        assert window["predictions"] == sum(made.get((segment, at), 0) for at in starts)
        rows = [
            w["rows"] for w in told if (w["segment"], w["start_ms"] in starts) == (segment, True)
        ]
        assert window["outcomes"] == sum(rows)
        assert (window["coverage"] is None) == (window["predictions"] == 0)
    assert sum(window["coverage"] is not None for window in told) > 9
