"""Mistakes in files of monitors are told with their place, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitor_texts import problem


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
        ("model: m\nlabels: all\n", "labels: write none, or what labels are"),
        ("model: m\nlabels: {king: binary}\n", "labels.king: there is no such key; did you mean"),
        ("model: m\nlabels: {classes: [{}]}\n", "labels.classes.0: {} is no class"),
        ("model: m\nlabels: {horizon: 46d}\n", "labels.horizon must be longer than 0, at most 45d"),
        (
            "model: m\nsegment_by: [{by: sex, value: [F]}]\n",
            "segment_by.0.value: there is no such key; did you mean 'values'?",
        ),
        ("model: m\nsegment_by: ['age >=']\n", "'age >=', character 7: expected a number"),
        ("model: m\nperformance: {acuracy: {min: 1}}\n", "did you mean 'accuracy'?"),
        (
            "model: m\nperformance: {f1: 0.8}\n",
            "performance.f1: must be keys with values, not 0.8",
        ),
        (
            "model: m\nperformance: {f1: {minimum: 1}}\n",
            "performance.f1.minimum: there is no such key; did you mean 'min'?",
        ),
        (
            "model: m\nlabels: {kind: binary}\nperformance: {rmse: {max: 1}}\n",
            "performance.rmse: is for regression, not for binary",
        ),
        ("model: m\nestimated: {f1: {min: 0.5}}\n", "estimated.f1: no metric 'f1'"),
        ("model: m\nserving: {latency_p9: {max: 1}}\n", "did you mean 'latency_p99'?"),
        (
            "{model: m, segment_by: [{by: s, protected: true}], fairness: {tpr: {min: 0.1}}}\n",
            "fairness.tpr: no metric 'tpr'",
        ),
        (
            "{model: m, segment_by: [{by: s, protected: true}], fairness: {tpr_difference.t: {}}}",
            "no protected rule of segment_by has a group 't'",
        ),
        ("model: m\nperformance: {accuracy: {max: 1}}\n", "max 1 can never be passed"),
        ("model: m\nperformance: {accuracy: {min: 0}}\n", "min 0 can never be passed"),
        ("model: m\nperformance: {accuracy: {min: 1.5}}\n", "min 1.5 is always passed"),
        ("model: m\nperformance: {accuracy: {max_drop: 1}}\n", "max_drop 1 can never be passed"),
        ("model: m\nserving: {error_share: {max: 1.0}}\n", "max 1 can never be passed"),
        ("model: m\nserving: {latency_p99: {max: -1}}\n", "max -1 is always passed"),
        ("model: m\ndrift_share: 1\n", "drift_share must be below 1"),
        (
            "model: m\nseverity_by_share: {critical: 1}\n",
            "severity_by_share.critical must be below",
        ),
        ("model: m\nscore: ks\nthreshold: 1\n", "threshold must be below 1: ks never is above"),
        (
            "model: m\nfeatures: {x: {score: unseen_ratio, threshold: 2}}\n",
            "features.x.threshold must be below 1",
        ),
        ("model: a@b\n", "model must not contain @"),
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
