"""Files of monitors and of column roles: what is read, and how a mistake is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.adapters.monitor_files import read_monitors
from stream.adapters.monitors import decode_monitors, encode_monitors
from stream.adapters.profiles import read_roles
from stream.adapters.vocabulary import Vocabulary
from stream.core.errors import ConfigError
from stream.core.specs import FeatureRule, MonitorSpec, Severity

MINUTE = 60_000
HOUR = 60 * MINUTE
KNOWN = Vocabulary(
    scores=("psi", "ks", "js", "unseen_ratio"),
    performance={
        "accuracy": ("binary", "multiclass"),
        "f1": ("binary", "multiclass"),
        "rmse": ("regression",),
    },
    estimated=("accuracy", "roc_auc"),
    serving=("latency_p99", "error_share"),
    fairness=("tpr_difference",),
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "monitors.yaml"
    path.write_text(text)
    return path


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read_monitors(written(tmp_path, text), KNOWN, MINUTE)
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
    (spec,) = read_monitors(written(tmp_path, FULL), KNOWN, MINUTE)
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
    (spec,) = read_monitors(written(tmp_path, monitor), KNOWN, MINUTE)
    assert spec.features["zip"].score == "unseen_ratio"
    (roles,) = re.findall(r"```yaml\n(.*?)```", (docs / "profiles.md").read_text(), re.DOTALL)
    assert read_roles(written(tmp_path, roles)).ignore == ["batch", "year"]


def test_what_is_left_out_is_the_default(tmp_path: Path) -> None:
    (spec,) = read_monitors(written(tmp_path, "model: credit\n"), KNOWN, MINUTE)
    assert spec == MonitorSpec(model="credit")
    (spec,) = read_monitors(
        written(tmp_path, "{model: m, window: 5m, open_after: 3}"), KNOWN, MINUTE
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
    specs = read_monitors(written(tmp_path, text), KNOWN, MINUTE)
    assert [spec.model for spec in specs] == ["a", "b"]


def test_words_are_words(tmp_path: Path) -> None:
    specs = read_monitors(
        written(tmp_path, "- {model: no, features: {on: {alert: true}}}\n- model: 2024-01-01\n"),
        KNOWN,
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
        read_monitors(tmp_path / "none.yaml", KNOWN, MINUTE)


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
