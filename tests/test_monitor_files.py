"""Files of monitors and of column roles: what is read, and how a mistake is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.adapters.monitor_files import read_monitors
from stream.adapters.monitors import decode_monitors, encode_monitors
from stream.adapters.profiles import read_roles
from stream.cli.vocabulary import VOCABULARY
from stream.core.errors import ConfigError
from stream.core.pane.grouping import left_out
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.score.estimate import ESTIMATED
from stream.core.score.performance import METRICS
from stream.core.score.serving import SERVING_METRICS
from stream.core.specs import FeatureRule, MonitorSpec, Severity
from tests.monitor_texts import KNOWN, MINUTE, problem, written

HOUR = 60 * MINUTE

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


RULES = """
model: credit
labels: {kind: binary, classes: [false, true], positive: true, horizon: 3d, sample: 0.05}
segment_by:
  - country
  - tags.channel
  - "age>=65"
  - {by: sex, values: [F, M], protected: true, reference: M}
  - {by: zip, values: [94105, 1.0]}
performance: {accuracy: {min: 0.85}, f1: {max_drop: 0.05, point: true}}
estimated: {roc_auc: {min: 0.8, max_rise: 0.1}}
serving: {latency_p99: {max: 250}, error_share: {max: 0.01}}
fairness: {tpr_difference: {max: 0.1}, tpr_difference.sex=F: {min: -0.1}}
min_coverage: 0.5
joined: true
"""


def test_labels_segments_and_metrics_as_people_write_them(tmp_path: Path) -> None:
    (spec,) = read_monitors(written(tmp_path, RULES), KNOWN, MINUTE)
    assert spec == MonitorSpec(
        model="credit",
        labels=LabelRule(
            kind="binary", classes=("0", "1"), positive="1", horizon_ms=72 * HOUR, sample=0.05
        ),
        segments=(
            SegmentRule("country"),
            SegmentRule("tags.channel"),
            SegmentRule("age >= 65"),
            SegmentRule("sex", ("F", "M"), protected=True, reference="M"),
            SegmentRule("zip", ("94105", "1")),
        ),
        performance={"accuracy": MetricRule(low=0.85), "f1": MetricRule(max_drop=0.05, point=True)},
        estimated={"roc_auc": MetricRule(low=0.8, max_rise=0.1)},
        serving={"latency_p99": MetricRule(high=250), "error_share": MetricRule(high=0.01)},
        fairness={
            "tpr_difference": MetricRule(high=0.1),
            "tpr_difference.sex=F": MetricRule(low=-0.1),
        },
        min_coverage=0.5,
        joined=True,
    )
    assert decode_monitors(encode_monitors((spec,)), MINUTE) == (spec,)


def test_labels_may_be_unwanted(tmp_path: Path) -> None:
    (spec,) = read_monitors(written(tmp_path, "model: m\nlabels: none\n"), KNOWN, MINUTE)
    assert spec.labels == LabelRule(wanted=False)


def test_thresholds_of_a_class(tmp_path: Path) -> None:
    text = "{model: m, labels: {classes: [a, b, c]}, performance: {f1.a: {min: 0.2}}}"
    (spec,) = read_monitors(written(tmp_path, text), KNOWN, MINUTE)
    assert spec.performance == {"f1.a": MetricRule(low=0.2)}
    assert "no class 'd'" in problem(tmp_path, text.replace("f1.a", "f1.d"))


def test_the_examples_in_the_docs_are_right(tmp_path: Path) -> None:
    docs = Path(__file__).parent.parent / "docs"
    (monitor,) = re.findall(r"```yaml\n(.*?)```", (docs / "monitors.md").read_text(), re.DOTALL)
    (spec,) = read_monitors(written(tmp_path, monitor), VOCABULARY, MINUTE)
    assert spec.features["zip"].score == "unseen_ratio"
    assert left_out(spec, None)[0].startswith("country: ")
    told = (docs / "monitors.md").read_text()
    for name in (*METRICS, *ESTIMATED, *SERVING_METRICS):
        base = name.removesuffix("_macro").removesuffix("_micro").removesuffix("_weighted")
        assert re.search(rf"\b{base}\b", told), name
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
