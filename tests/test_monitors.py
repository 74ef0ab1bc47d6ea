"""Monitors as records with their history, and from when a change applies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.adapters.monitor_topic import MonitorRecord, monitors_of_records
from stream.adapters.monitors import (
    HISTORY,
    check_monitor,
    decode_monitors,
    encode_monitors,
    in_force,
    next_boundary_ms,
    with_change,
)
from stream.adapters.profiles import Moment, effective_from_ms, publication
from stream.agents.monitors import hear_monitor
from stream.core.catalog import Monitors
from stream.core.errors import ConfigError, ProfileError
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Broadcast

MINUTE = 60_000
HOUR = 60 * MINUTE
TIME = TimeSpec()


BASE = MonitorSpec(model="credit")


def changed(**fields: Any) -> MonitorSpec:
    return replace(BASE, **fields)


def test_a_change_keeps_what_was_in_force_before() -> None:
    first = with_change((), BASE, 0)
    assert first == (BASE,)
    second = with_change(first, changed(min_rows=7), 5 * HOUR)
    assert second is not None
    assert [spec.min_rows for spec in second] == [500, 7]
    assert in_force(second, 5 * HOUR - 1, MINUTE).min_rows == 500
    assert in_force(second, 5 * HOUR, MINUTE).min_rows == 7
    assert with_change(second, changed(min_rows=7), 9 * HOUR) is None
    assert with_change(second, changed(min_rows=8), 5 * HOUR) == (
        BASE,
        changed(min_rows=8, effective_from_ms=5 * HOUR),
    )


@pytest.mark.parametrize(
    ("pane_ms", "window_ms"),
    [(1, HOUR), (MINUTE, HOUR), (7 * MINUTE, 63 * MINUTE), (2 * HOUR, 2 * HOUR)],
)
def test_the_default_is_an_hour_of_whole_panes(pane_ms: int, window_ms: int) -> None:
    spec = in_force((), 0, pane_ms)
    assert (spec.window_ms, spec.hop_ms) == (window_ms, window_ms)
    check_monitor(replace(spec, model="m"), pane_ms)


def test_history_is_bounded() -> None:
    changes = tuple(changed(min_rows=n + 1, effective_from_ms=n * HOUR) for n in range(300))
    read = decode_monitors(encode_monitors(changes))
    assert read == changes[-(HISTORY + 1) :]


def test_a_record_stays_within_what_kafka_takes() -> None:
    values = tuple(f"value {n}" for n in range(1_000))
    large = tuple(SegmentRule(f"column {n}", values) for n in range(4))
    changes = tuple(
        changed(segments=large, min_rows=n + 1, effective_from_ms=n * HOUR) for n in range(90)
    )
    value = encode_monitors(changes)
    read = decode_monitors(value)
    assert len(value) <= 900_000
    assert 5 < len(read) < 90
    assert read == changes[-len(read) :]
    huge = tuple(SegmentRule(f"column {n}", tuple("x" * 90 + v for v in values)) for n in range(20))
    with pytest.raises(ConfigError, match="is above 900000"):
        encode_monitors((changed(segments=huge),))


def test_a_worker_that_hears_one_record_knows_the_past_too() -> None:
    changes = (BASE, changed(min_rows=7, effective_from_ms=HOUR))
    monitors = Monitors()
    record = Broadcast("monitors", 0, 0, b"credit", encode_monitors(changes))
    assert hear_monitor(monitors, record, MINUTE)
    assert hear_monitor(monitors, record, MINUTE)
    assert monitors.at("credit", HOUR - 1) == BASE
    assert monitors.at("credit", HOUR).min_rows == 7


def _broken(**fields: Any) -> bytes:
    record = json.loads(encode_monitors((BASE, changed(effective_from_ms=HOUR, min_rows=3))))
    return json.dumps(record | fields).encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"model": 3}',
        _broken(window_ms=0),
        _broken(window_ms=90_000),
        _broken(hop_ms=2**60),
        _broken(min_rows=-1),
        _broken(drift_share=7),
        _broken(threshold="x"),
        _broken(severity="loud"),
        _broken(effective_from_ms=-HOUR),
        _broken(effective_from_ms=0),
        _broken(history=[{"window_ms": 1}]),
        _broken(features={"x": {"threshold": -1}}),
        _broken(model=""),
    ],
)
def test_a_record_that_is_no_monitor_is_survived(value: bytes) -> None:
    with pytest.raises(ConfigError):
        decode_monitors(value, MINUTE)


def test_fields_of_a_newer_release_are_passed_over() -> None:
    assert decode_monitors(_broken(colour="blue"))[-1].min_rows == 3


@given(st.integers(0, 10**13), st.sampled_from([MINUTE, 7 * MINUTE, HOUR, 24 * HOUR]))
def test_the_next_boundary_is_safe_and_of_the_grid_in_force(now: int, hop: int) -> None:
    monitor = changed(window_ms=hop, hop_ms=hop)
    start = next_boundary_ms((monitor,), now, TIME)
    assert start % hop == 0
    assert now + TIME.max_clock_skew_ms + TIME.pane_ms < start
    assert start - hop <= now + TIME.max_clock_skew_ms + TIME.pane_ms


def moment(*, windows: bool, now_ms: int = 10 * HOUR) -> Moment:
    return Moment(now_ms=now_ms, time=TIME, changes=(BASE,), has_windows=windows)


def test_a_model_without_windows_changes_from_the_beginning() -> None:
    assert effective_from_ms(moment(windows=False)) == 0
    assert effective_from_ms(moment(windows=False), 3 * HOUR) == 3 * HOUR


def test_a_later_boundary_may_be_asked_for_and_an_earlier_is_refused() -> None:
    assert effective_from_ms(moment(windows=True)) == 11 * HOUR
    assert effective_from_ms(moment(windows=True), 20 * HOUR) == 20 * HOUR
    with pytest.raises(ConfigError, match=f"earliest.*{11 * HOUR}"):
        effective_from_ms(moment(windows=True), 10 * HOUR)
    with pytest.raises(ConfigError, match=f"next one is {13 * HOUR}"):
        effective_from_ms(moment(windows=True), 12 * HOUR + 1)
    late = moment(windows=True, now_ms=10 * HOUR + 55 * MINUTE)
    assert effective_from_ms(late) == 12 * HOUR


def test_a_profile_is_published_once() -> None:
    profile = build_profile(ModelKey("credit", "1"), {"features.x": [1.0, 2.0]})
    other = build_profile(ModelKey("credit", "1"), {"features.x": [1.0, 3.0]})
    warm = replace(other, warmed_up=True)
    assert publication(profile, [], moment(windows=False)) == profile
    late = publication(profile, [warm], moment(windows=True))
    assert late == replace(profile, effective_from_ms=11 * HOUR)
    assert publication(profile, [warm, profile, other], moment(windows=True)) is None
    with pytest.raises(ProfileError, match="immutable"):
        publication(profile, [other], moment(windows=False))


def test_a_monitor_that_breaks_several_rules_lists_them() -> None:
    with pytest.raises(ConfigError, match=r"min_rows.*; drift_share"):
        check_monitor(changed(min_rows=0, drift_share=2))


FULL = changed(
    labels=LabelRule(kind="binary", classes=("deny", "approve"), positive="approve", sample=0.5),
    segments=(SegmentRule("country", ("US",)), SegmentRule("age >= 65", protected=True)),
    performance={"accuracy": MetricRule(low=0.85), "f1": MetricRule(max_drop=0.05, point=True)},
    estimated={"roc_auc": MetricRule(low=0.7)},
    serving={"latency_p99": MetricRule(high=250.0)},
    fairness={"tpr_difference": MetricRule(low=-0.1, high=0.1)},
    min_coverage=0.5,
    joined=True,
)


def test_rules_of_labels_segments_and_metrics_travel_whole() -> None:
    changes = (FULL, changed(labels=LabelRule(wanted=False), effective_from_ms=HOUR))
    assert decode_monitors(encode_monitors(changes), MINUTE) == changes


def test_a_record_of_an_older_release_has_the_defaults() -> None:
    record = json.loads(encode_monitors((BASE,)))
    for name in ("labels", "segments", "performance", "min_coverage", "joined"):
        del record[name]
    assert decode_monitors(json.dumps(record).encode()) == (BASE,)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"model": "a@1"}, "must not contain @"),
        ({"model": " a"}, "must not begin or end with a space"),
        ({"model": "a\n"}, "control characters"),
        ({"model": "é" * 129}, "at most 256 bytes"),
        ({"labels": LabelRule(kind="ordinal")}, "labels.kind must be one of binary"),
        ({"labels": LabelRule(kind="binary", classes=("a",))}, "of a binary model are two"),
        ({"labels": LabelRule(classes=("a",))}, "at least two"),
        ({"labels": LabelRule(classes=("a", "a"))}, "differ"),
        ({"labels": LabelRule(classes=("a", ""))}, "empty"),
        ({"labels": LabelRule(kind="regression", classes=("a", "b"))}, "a regression has none"),
        ({"labels": LabelRule(kind="multiclass", positive="a")}, "binary model's"),
        ({"labels": LabelRule(classes=tuple(map(str, range(101))))}, "at most 100, not 101"),
        ({"labels": LabelRule(classes=("a", "b"), positive="c")}, "none of labels.classes"),
        ({"labels": LabelRule(horizon_ms=0)}, "labels.horizon"),
        ({"labels": LabelRule(horizon_ms=45 * 24 * HOUR + 1)}, "at most 45d"),
        ({"labels": LabelRule(sample=0.0)}, "labels.sample"),
        ({"labels": LabelRule(sample=1.5)}, "labels.sample"),
        ({"segments": (SegmentRule("age >"),)}, "character 6: expected a number"),
        ({"segments": (SegmentRule(" age"),)}, "spaces around"),
        ({"segments": (SegmentRule("a", ("x", "x")),)}, "values must differ"),
        ({"segments": (SegmentRule("a"), SegmentRule("a", ("x",)))}, "stands twice"),
        ({"segments": (SegmentRule("a > 1"), SegmentRule("a>1.0"))}, "stands twice"),
        ({"segments": (SegmentRule("a > 1", ("x",)),)}, "this is an expression"),
        ({"segments": (SegmentRule("a", reference="x"),)}, "add protected"),
        ({"segments": (SegmentRule("a", ("y",), True, "x"),)}, "none of its values"),
        ({"segments": tuple(SegmentRule(f"a{i}") for i in range(21))}, "at most 20"),
        ({"segments": (SegmentRule("a", tuple(map(str, range(1001)))),)}, "at most 1000"),
        ({"segments": (SegmentRule("a" * 201),)}, "at most 200 characters"),
        ({"performance": {"f1": MetricRule()}}, "performance.f1: says no threshold"),
        ({"performance": {"f1": MetricRule(low=float("nan"))}}, "finite"),
        ({"performance": {"f1": MetricRule(low=0.5, high=0.4)}}, "min must not be above max"),
        ({"performance": {"f1": MetricRule(max_drop=-0.1)}}, "max_drop must not be below 0"),
        ({"serving": {"error_share": MetricRule(max_rise=0.1)}}, "against the reference"),
        ({"fairness": {"tpr": MetricRule(low=0.1)}}, "there is none"),
        (
            {"labels": LabelRule(wanted=False), "performance": {"f1": MetricRule(low=0.1)}},
            "performance needs labels",
        ),
        ({"labels": LabelRule(wanted=False), "joined": True}, "joined needs labels"),
        ({"min_coverage": 1.5}, "min_coverage"),
    ],
)
def test_what_a_monitor_cannot_say(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        check_monitor(changed(**fields))


def record(offset: int, key: str, value: bytes | None) -> MonitorRecord:
    return MonitorRecord(offset, key.encode(), value)


def test_garbage_does_not_hide_the_last_valid_monitor() -> None:
    other = replace(BASE, model="b")
    found, skipped = monitors_of_records(
        [
            record(0, "credit", encode_monitors((BASE,))),
            record(1, "b", b"junk"),
            record(2, "credit", b"garbage"),
            record(3, "b", encode_monitors((other,))),
            record(4, "c", _broken(window_ms=90_000)),
        ],
        MINUTE,
    )
    assert found == {"credit": (BASE,), "b": (other,)}
    assert [(s.record.offset, s.kept) for s in skipped] == [(2, True), (4, False)]
    assert "not a monitor" in skipped[0].problem


def test_a_removed_monitor_is_gone() -> None:
    found, skipped = monitors_of_records(
        [
            record(0, "credit", encode_monitors((BASE,))),
            record(1, "credit", b"garbage"),
            record(2, "credit", None),
        ],
        MINUTE,
    )
    assert (found, skipped) == ({}, [])
