"""Monitor files, records with their history, and from when a change applies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.adapters.monitor_files import read_monitors
from stream.adapters.monitors import (
    HISTORY,
    check_monitor,
    decode_monitors,
    encode_monitors,
    in_force,
    next_boundary_ms,
    with_change,
)
from stream.adapters.profiles import Moment, effective_from_ms, publication, read_roles
from stream.agents.detect.broadcasts import hear_monitor
from stream.core.catalog import Monitors
from stream.core.errors import ConfigError, ProfileError
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey
from stream.core.specs import FeatureRule, MonitorSpec, Severity, TimeSpec
from stream.engine.agent import Broadcast

MINUTE = 60_000
HOUR = 60 * MINUTE
TIME = TimeSpec()
SCORES = ("psi", "ks", "js", "unseen_ratio")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "monitors.yaml"
    path.write_text(text)
    return path


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read_monitors(written(tmp_path, text), SCORES, MINUTE)
    return str(refused.value).replace(str(tmp_path) + "/", "")


FULL = """
model: credit
window: 30m
hop: 10m
min_rows: 200
warmup_rows: 5000
score: ks
threshold: 0.1
drift_share: 0.3
features:
  age: {threshold: 0.05, alert: true}
  zip: {ignore: true}
  score: {score: js}
open_after: 2
open_within: 3
resolve_after: 4
cooldown: 1h
severity: warning
severity_by_share: {critical: 0.6, info: 0}
"""


def test_a_monitor_as_people_write_it(tmp_path: Path) -> None:
    (spec,) = read_monitors(written(tmp_path, FULL), SCORES, MINUTE)
    assert spec == MonitorSpec(
        model="credit",
        window_ms=30 * MINUTE,
        hop_ms=10 * MINUTE,
        min_rows=200,
        warmup_rows=5000,
        score="ks",
        threshold=0.1,
        drift_share=0.3,
        features={
            "age": FeatureRule(threshold=0.05, alert=True),
            "zip": FeatureRule(ignore=True),
            "score": FeatureRule(score="js"),
        },
        open_after=2,
        open_within=3,
        resolve_after=4,
        cooldown_ms=HOUR,
        severity=Severity.WARNING,
        severity_by_share=((Severity.INFO, 0), (Severity.CRITICAL, 0.6)),
    )
    assert decode_monitors(encode_monitors((spec,)), MINUTE) == (spec,)


def test_the_examples_in_the_docs_are_right(tmp_path: Path) -> None:
    docs = Path(__file__).parent.parent / "docs"
    (monitor,) = re.findall(r"```yaml\n(.*?)```", (docs / "monitors.md").read_text(), re.DOTALL)
    (spec,) = read_monitors(written(tmp_path, monitor), SCORES, MINUTE)
    assert spec.features["zip"].score == "unseen_ratio"
    (roles,) = re.findall(r"```yaml\n(.*?)```", (docs / "profiles.md").read_text(), re.DOTALL)
    assert read_roles(written(tmp_path, roles)).ignore == ["batch", "year"]


def test_what_is_left_out_is_the_default(tmp_path: Path) -> None:
    (spec,) = read_monitors(written(tmp_path, "model: credit\n"), SCORES, MINUTE)
    assert spec == MonitorSpec(model="credit")
    (spec,) = read_monitors(
        written(tmp_path, "{model: m, window: 5m, open_after: 3}"), SCORES, MINUTE
    )
    assert (spec.hop_ms, spec.open_within) == (5 * MINUTE, 3)


@pytest.mark.parametrize(
    "text",
    [
        "model: a\n---\nmodel: b\n---\n",
        "- model: a\n- model: b\n",
        "monitors:\n  - model: a\n  - model: b\n",
        "monitors:\n  - model: a\n---\nmodel: b\n",
    ],
)
def test_several_models_in_one_file(tmp_path: Path, text: str) -> None:
    specs = read_monitors(written(tmp_path, text), SCORES, MINUTE)
    assert [spec.model for spec in specs] == ["a", "b"]


def test_words_are_words(tmp_path: Path) -> None:
    specs = read_monitors(
        written(tmp_path, "- {model: no, features: {on: {alert: true}}}\n- model: 2024-01-01\n"),
        SCORES,
        MINUTE,
    )
    assert [spec.model for spec in specs] == ["no", "2024-01-01"]
    assert specs[0].features == {"on": FeatureRule(alert=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model: m\ntreshold: 1\n",
            "monitors.yaml, treshold: there is no such key; did you mean 'threshold'?",
        ),
        (
            "model: a\n---\nmodel: b\nfeatures: {age: {alerts: true}}\n",
            "document 2, features.age.alerts: there is no such key; did you mean 'alert'?",
        ),
        (
            "monitors: [{model: a}, {model: b, min_row: 3}]",
            "monitors.yaml, monitor 2, min_row: there is no such key; did you mean 'min_rows'?",
        ),
        ("window: 1h\n", "monitors.yaml, model: is missing"),
        ("model: m\nwindow: 90\n", "monitors.yaml, window: 90 is no duration"),
        ("model: m\nwindow: 90s\n", "window of 90000 ms must be a whole number of panes of 60000"),
        ("model: m\nhop: 2h\n", "hop must be longer than 0, at most the window"),
        ("model: m\nscore: kz\n", "monitors.yaml, score: no score 'kz'; did you mean 'ks'?"),
        ("model: m\nfeatures: {x: {score: pssi}}\n", "features.x.score: no score 'pssi'"),
        ("model: m\nseverity: warn\n", "severity: no severity 'warn'; did you mean 'warning'?"),
        ("model: m\nmin_rows: 0\n", "min_rows must be at least 1"),
        ("model: m\nmin_rows: many\n", "monitors.yaml, min_rows: "),
        ("model: m\ndrift_share: 1.5\n", "drift_share must be from 0 to 1"),
        ("model: m\nthreshold: .nan\n", "threshold must be a number from 0 on"),
        ("model: m\nopen_after: 3\nopen_within: 2\n", "open_after must be 1 to open_within"),
        (
            "model: m\nmodel: n\n",
            "monitors.yaml, line 2: is not YAML: the key 'model' stands twice",
        ),
        ("model: [\n", "is not YAML"),
        (
            "- model: a\n- model: a\n",
            "monitor 2: model 'a' was already in monitors.yaml, monitor 1",
        ),
        ("monitors: []\n", "holds no monitor"),
        ("", "holds no monitor"),
        ("just text", "monitors.yaml: "),
        ("monitors: []\nmodel: m\n", "model stands beside `monitors`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in problem(tmp_path, text)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    told = problem(tmp_path, "- {model: a, windw: 1h}\n- {model: b, min_rows: 0}\n- {}\n")
    assert [line.split(": ")[0] for line in told.splitlines()] == [
        "monitors.yaml, monitor 1, windw",
        "monitors.yaml, monitor 2",
        "monitors.yaml, monitor 3, model",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        read_monitors(tmp_path / "none.yaml", SCORES, MINUTE)


BASE = MonitorSpec(model="credit")


def changed(**fields: Any) -> MonitorSpec:
    return replace(BASE, **fields)


def test_a_change_keeps_what_was_in_force_before() -> None:
    first = with_change((), BASE, 0)
    assert first == (BASE,)
    second = with_change(first, changed(min_rows=7), 5 * HOUR)
    assert second is not None
    assert [spec.min_rows for spec in second] == [500, 7]
    assert in_force(second, 5 * HOUR - 1).min_rows == 500
    assert in_force(second, 5 * HOUR).min_rows == 7
    assert with_change(second, changed(min_rows=7), 9 * HOUR) is None
    assert with_change(second, changed(min_rows=8), 5 * HOUR) == (
        BASE,
        changed(min_rows=8, effective_from_ms=5 * HOUR),
    )


def test_history_is_bounded() -> None:
    changes = tuple(changed(min_rows=n + 1, effective_from_ms=n * HOUR) for n in range(300))
    read = decode_monitors(encode_monitors(changes))
    assert read == changes[-(HISTORY + 1) :]


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


def test_roles_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text("prediction: p\nscores: {yes: sy}\nkinds: {zip: categorical}\nbins: 32\n")
    roles = read_roles(path)
    assert (roles.options().prediction, roles.options().scores) == ("p", {"yes": "sy"})
    assert (roles.kinds, roles.bins, roles.categories) == ({"zip": "categorical"}, 32, 50)
    assert read_roles(None).bins == 64
    path.write_text("predicton: p\n")
    with pytest.raises(ConfigError, match="did you mean 'prediction'"):
        read_roles(path)
    path.write_text("kinds: {zip: text}\n")
    with pytest.raises(ConfigError, match=r"kinds\.zip"):
        read_roles(path)


def test_a_monitor_that_breaks_several_rules_lists_them() -> None:
    with pytest.raises(ConfigError, match=r"min_rows.*; drift_share"):
        check_monitor(changed(min_rows=0, drift_share=2))
