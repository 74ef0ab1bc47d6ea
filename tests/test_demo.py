"""The demo: what it shows, that it finds the change it makes, and none where there is none."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from confluent_kafka.admin import AdminClient
from rich.console import Console

from stream.cli.demo.broker import embedded_broker, own_prefix, removed_afterwards
from stream.cli.demo.example import ExampleTraffic
from stream.cli.demo.play import Plan, play
from stream.cli.demo.run import QUICK
from stream.cli.demo.scene import Scene
from stream.cli.demo.screen import LiveScreen, PlainScreen, picture, summary
from stream.cli.demo.shapes import axis_of, bars, shape
from stream.cli.demo.table import TableTraffic
from stream.cli.demo.traffic import Traffic
from stream.cli.demo.verdict import performance_line, verdict
from stream.core.baseline import with_metrics
from stream.core.pane.reference import LabelColumn, build_profile
from stream.core.records import ModelKey
from stream.core.specs import CategoricalVariable, NumericVariable
from stream.settings import load_settings
from tests.conftest import Kafka
from tests.kafka_io import create_topic

_AGE = NumericVariable(
    "features.age", (0.0, 1.0, 2.0, 4.0), (10, 10, 20, 0, 0, 0, 0), 2.0, 1.0, 0.0, 4.0
)
_STATE = CategoricalVariable("features.state", ("CA", "NY"), ("TX",), (60, 30, 10, 0, 0, 0))


def _console(*, terminal: bool = False) -> tuple[Console, Callable[[], str]]:
    file = io.StringIO()
    return Console(file=file, width=110, force_terminal=terminal), file.getvalue


def _scene() -> Scene:
    profile = build_profile(ModelKey("m", ""), ExampleTraffic().reference.chunk.columns())
    return Scene(profile, "here", "it changes")


def _labelled_scene() -> Scene:
    traffic = ExampleTraffic()
    columns, labels = traffic.reference.chunk.columns(), traffic.reference.labels
    assert labels is not None
    label = LabelColumn(labels, positive="approve")
    profile = with_metrics(build_profile(ModelKey("m", ""), columns, label=label), columns, labels)
    return Scene(profile, "here", "it changes")


def _performance(value: float, estimated: float) -> dict[str, Any]:
    return {
        "model": "m", "version": "", "kind": "performance", "start_ms": 5_000, "end_ms": 10_000,
        "rows": 900, "scored": True, "coverage": 0.5,
        "metrics": {"accuracy": {"value": value, "low": value - 0.02, "high": value + 0.02}},
        "estimated": {"accuracy": {"value": estimated, "low": None, "high": None}},
    }  # fmt: skip


def _window(scene: Scene, *, drifted: bool) -> dict[str, Any]:
    features = {
        variable.label: {
            "score": "psi",
            "scores": {"psi": 0.5 if drifted and variable.label == "age" else 0.01},
            "threshold": 0.2,
            "drifted": drifted and variable.label == "age",
            "counts": list(variable.counts),
        }
        for variable in scene.profile.variables
    }
    return {
        "model": "m",
        "version": "",
        "start_ms": 0,
        "end_ms": 5000,
        "rows": 100,
        "scored": True,
        "drift_share": 0.125 if drifted else 0.0,
        "drifted": ["age"] if drifted else [],
        "features": features,
    }


def test_a_shape_is_shares_along_the_axis() -> None:
    cells = shape(_AGE, _AGE.counts)
    assert cells.sum() == pytest.approx(1.0)
    assert np.allclose(cells, cells[0], rtol=0.35)
    outside = shape(_AGE, (0, 0, 0, 30, 10, 5, 5))
    assert (outside[0], outside[-1]) == (0.75, 0.25)
    assert not shape(_AGE, (0,) * 7).any()


def test_a_categorical_shape_has_a_cell_for_the_others() -> None:
    assert shape(_STATE, (5, 3, 1, 1, 9, 9)).tolist() == [0.5, 0.3, 0.2]
    assert axis_of(_STATE) == "CA NY"


def test_bars_are_as_high_as_their_shares() -> None:
    assert bars(np.array([0.0, 0.001, 0.5, 1.0]), 1.0) == " ▁▄█"
    assert bars(np.array([0.0, 0.0]), 0.0) == "  "


def test_the_verdict_says_whether_the_drift_did_harm() -> None:
    assert verdict(_scene()) == "Whether it does harm isn't known: there are no labels."
    assert performance_line(_scene()) == ""
    scene = _labelled_scene()
    assert "labels come later" in performance_line(scene)
    assert "too few labels have come" in verdict(scene)
    reference = dict(scene.profile.outcome.metrics)["accuracy"] if scene.profile.outcome else 0.0
    scene.hear_window(_performance(reference, reference))
    assert verdict(scene).startswith(f"No harm seen: accuracy is {reference:.3f} [")
    scene.hear_window(_performance(reference - 0.03, reference))
    assert verdict(scene).startswith("Some harm, though less than makes an incident: accuracy is")
    scene.tick(20.0, 100)
    scene.hear_alert({"state": "opened", "kind": "drift", "summary": "", "severity": "warning"})
    scene.tick(31.0, 100)
    harm = {"state": "opened", "kind": "performance", "summary": "worse", "severity": "critical"}
    scene.hear_alert(harm)
    scene.hear_window(_performance(0.6, reference))
    assert (scene.counted, scene.outcomes, scene.closed, scene.heard) == (0, 2700, 0, 3)
    assert "by labels 0.600 [0.580, 0.620]" in performance_line(scene)
    said = verdict(scene)
    assert said.startswith("It did harm: by its labels accuracy is 0.600 [0.580, 0.620], and was")
    assert "Labels told it 11 s after the drift was found." in said
    assert "concept drift" in said
    scene.hear_window(_performance(0.6, 0.61))
    assert "concept drift" not in verdict(scene)


@pytest.mark.parametrize("height", [24, 30, 50])
def test_the_picture_fits_the_terminal(height: int) -> None:
    scene = _labelled_scene()
    for number in range(6):
        window = _window(scene, drifted=True)
        window["estimated"] = {"accuracy": {"value": 0.7, "low": 0.6, "high": 0.8}}
        scene.hear_window(window if number % 2 else _performance(0.6, 0.7))
    scene.changed_at = 17.0
    scene.tick(30.0, 15_000)
    text = "credit@3: 3 of 8 features drifted (age, channel, income), also score, prediction"
    scene.hear_alert({"state": "opened", "severity": "warning", "summary": text})
    text = "credit@3: poor performance: accuracy 0.5933 is below 0.6281; the data has drifted too"
    harm = {"state": "opened", "kind": "performance", "severity": "critical", "summary": text}
    scene.hear_alert(harm)
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=True)
    lines = console.render_lines(picture(scene, height), pad=False)
    assert len(lines) <= height - 1


def test_the_scene_knows_the_rate_and_the_first_alert() -> None:
    scene = _scene()
    for second in range(10):
        scene.tick(float(second), second * 50)
    assert scene.rate == 50
    for state in ("updated", "opened", "opened"):
        scene.hear_alert({"state": state, "summary": state, "n": scene.seconds})
        scene.tick(scene.seconds + 1, scene.sent)
    assert scene.found_at == 10


def test_rows_counted_at_the_alert_hold_the_window_that_alarmed_whichever_is_heard_first() -> None:
    scene = _scene()
    quiet, alarming, later = (_window(scene, drifted=drifted) for drifted in (False, True, True))
    alarming |= {"end_ms": 10_000, "rows": 70}
    later |= {"end_ms": 15_000, "rows": 999}
    scene.hear_window(quiet)
    scene.hear_alert({"state": "opened", "summary": "", "window_end_ms": 10_000})
    assert scene.found_rows == 100
    scene.hear_window(alarming)
    scene.hear_window(later)
    assert scene.found_rows == 170


def test_screens_show_windows_and_the_alert() -> None:
    scene = _scene()
    scene.tick(1.0, 10)
    scene.hear_window(_window(scene, drifted=False))
    scene.hear_window(_window(scene, drifted=True))
    scene.hear_alert({"state": "opened", "severity": "warning", "summary": "age moved"})
    scene.changed_at = 0.5
    assert scene.moved()[0].variable.label == "age"
    console, printed = _console()
    with PlainScreen(console) as plain:
        plain.show(scene)
        plain.show(scene)
    assert printed().count("ALERT") == 1
    assert printed().count("100 rows") == 2
    assert "it changes" in printed()
    console, printed = _console(terminal=True)
    with LiveScreen(console) as live:
        live.show(scene)
    assert "psi 0.500" in printed()
    assert "an incident was opened" in printed()
    console, printed = _console()
    console.print(summary(scene))
    assert "Drift found in m" in printed()
    assert "> 0.2 drifted" in printed()


def test_a_summary_without_a_find_says_so() -> None:
    console, printed = _console()
    console.print(summary(_scene()))
    assert "No drift found" in printed()


def _write(path: Path, **columns: object) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def _played(traffic: Traffic, plan: Plan) -> tuple[Scene, str]:
    console, printed = _console()
    with embedded_broker() as address:
        options = {"bootstrap_servers": address, "topic_prefix": own_prefix()}
        settings = load_settings(options, environ={}).model_copy(update=QUICK)
        with PlainScreen(console) as screen:
            scene = play(settings, traffic, plan, screen, "embedded", embedded=True)
    return scene, printed()


def test_the_examples_change_is_found_and_explained() -> None:
    plan = Plan(rate=400, window_ms=2_000, calm=5, give_up=60, linger=0.0)
    scene, printed = _played(ExampleTraffic(), plan)
    assert scene.alert is not None
    assert scene.found_at is not None
    assert scene.found_at > plan.calm
    assert "ALERT" in printed
    named = {one["name"] for one in scene.alert["evidence"] if one["drifted"]}
    assert named & {"age", "channel", "income"}
    assert not named & {"purpose", "state", "loan_amount", "debt_ratio", "years_employed"}
    assert scene.harm is not None
    assert scene.harm["severity"] == "critical"
    assert scene.judged is not None
    accuracy = scene.judged["metrics"]["accuracy"]["value"]
    assert accuracy < scene.judged["reference_metrics"]["accuracy"] - 0.05
    assert scene.judged["estimated"]["accuracy"]["value"] > accuracy + 0.05
    assert scene.harmed_at is not None
    assert scene.harmed_at >= scene.found_at
    console, said = _console()
    console.print(summary(scene))
    assert "It did harm: by its labels accuracy is 0." in said()


def test_a_table_like_its_reference_raises_no_alert(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    data = _write(tmp_path / "data.parquet", x=random.normal(size=2400), y=random.random(2400))
    reference = _write(
        tmp_path / "reference.parquet", x=random.normal(size=9000), y=random.random(9000)
    )
    plan = Plan(rate=400, window_ms=2_000, calm=0.0, give_up=0.0)
    scene, _ = _played(TableTraffic(data, reference), plan)
    assert scene.alert is None
    assert (scene.sent, scene.counted) == (2400, 2400)


def test_a_real_kafka_is_left_as_it_was(kafka: Kafka) -> None:
    options = {"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": own_prefix()}
    settings = load_settings(options, environ={})
    with removed_afterwards(settings):
        create_topic(kafka.bootstrap_servers, f"{settings.topic_prefix}windows")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    names = admin.list_topics(timeout=10).topics
    assert not [name for name in names if name.startswith(settings.topic_prefix)]
