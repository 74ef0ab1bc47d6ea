"""`apply`, `monitors` and `profile`, against a real Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.cli.application import run
from stream.cli.deployment import parse_time
from stream.cli.monitor_words import said
from stream.core.errors import ConfigError
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from tests.conftest import Kafka
from tests.kafka_io import Record, create_topic, produce_all, read_all

HOUR = 3_600_000
Command = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def command(
    kafka: Kafka, unique: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command on a deployment of its own; returns what it printed as JSON lines."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("DRIFTSTREAM_TOPIC_PREFIX", unique)
    for topic in ("monitors", "profiles"):
        create_topic(kafka.bootstrap_servers, unique + topic, config={"cleanup.policy": "compact"})
    create_topic(kafka.bootstrap_servers, unique + "windows", 3)

    def call(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
        assert run(arguments) == code, capsys.readouterr().err
        out = capsys.readouterr().out
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    return call


def emit_window(kafka: Kafka, unique: str, model: str, version: str) -> None:
    value = json.dumps({"model": model, "version": version}).encode()
    record = Record(value, f"{model}@{version}".encode())
    produce_all(kafka.bootstrap_servers, unique + "windows", [record])


def test_apply_and_monitors(kafka: Kafka, unique: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "monitors.yaml"
    file.write_text("- {model: a, window: 30m}\n- {model: b, drift_share: 0.5}\n")
    planned = command("apply", "-f", str(file), "--dry-run", "--json")
    assert [(plan["model"], plan["state"], plan["dry_run"]) for plan in planned] == [
        ("a", "new", True),
        ("b", "new", True),
    ]
    assert not read_all(kafka.bootstrap_servers, unique + "monitors")

    applied = command("apply", "-f", str(file), "--json")
    assert [plan["effective_from_ms"] for plan in applied] == [0, 0]
    assert len(read_all(kafka.bootstrap_servers, unique + "monitors")) == 2
    command("apply", "-f", str(file), "--json")
    assert len(read_all(kafka.bootstrap_servers, unique + "monitors")) == 2  # unchanged: not sent

    emit_window(kafka, unique, "a", "1")
    file.write_text("- {model: a, window: 15m}\n- {model: b, drift_share: 0.4}\n")
    before = time.time_ns() // 1_000_000
    first, second = command("apply", "-f", str(file), "--json")
    assert first["effective_from_ms"] % (HOUR // 2) == 0
    assert first["effective_from_ms"] > before + 6 * 60_000
    assert first["changes"]["window_ms"] == {"from": HOUR // 2, "to": HOUR // 4}
    assert second["effective_from_ms"] == 0  # no window of it yet

    shown = command("monitors", "--json")
    assert [(row["model"], row["state"], row["window_ms"]) for row in shown] == [
        ("a", "in force", HOUR // 2),
        ("a", "to come", HOUR // 4),
        ("b", "in force", HOUR),
        ("(any other)", "in force", HOUR),
    ]
    command("monitors")
    command("monitors", "--model", "unknown")


def test_garbage_on_the_topic_hides_no_monitor(
    kafka: Kafka, unique: str, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "monitors.yaml"
    file.write_text("{model: a, window: 30m, segment_by: [age > 3], labels: none}\n")
    command("apply", "-f", str(file))
    produce_all(kafka.bootstrap_servers, unique + "monitors", [Record(b"garbage", b"a")])
    (shown, _) = command("monitors", "--json")
    assert (shown["model"], shown["window_ms"]) == ("a", HOUR // 2)
    (again,) = command("apply", "-f", str(file), "--json")
    assert again["state"] == "unchanged"


def test_apply_refuses(kafka: Kafka, unique: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "monitors.yaml"
    file.write_text("model: a\nwindow: 90s\n")
    command("apply", "-f", str(file), code=2)
    file.write_text("model: a\n")
    command("apply", "-f", str(file), "-f", str(file), code=2)
    emit_window(kafka, unique, "a", "1")
    command("apply", "-f", str(file), "--effective-from", "2026-01-01T00:00Z", code=2)
    (later,) = command("apply", "-f", str(file), "--effective-from", "2126-01-01T00:00Z", "--json")
    assert later["effective_from_ms"] == parse_time("2126-01-01T00:00Z")


def test_a_missing_topic_is_said(
    kafka: Kafka, unique: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("DRIFTSTREAM_TOPIC_PREFIX", unique)
    assert run(["monitors"]) == 1
    assert "driftstream topics create" in capsys.readouterr().err


def test_a_profile_is_built_shown_and_published_once(
    kafka: Kafka, unique: str, command: Command, tmp_path: Path
) -> None:
    rows = "\n".join(f"{n},{n % 3},{n / 100}" for n in range(100))
    (tmp_path / "reference.csv").write_text(f"age,prediction,score\n{rows}\n")
    reference, built = str(tmp_path / "reference.csv"), str(tmp_path / "one.json")
    other = str(tmp_path / "other.json")
    command("profile", "build", reference, "--model", "m", "--version", "1", "-o", built)
    command(
        "profile", "build", reference, "-m", "m", "--version", "1", "--ignore", "age", "-o", other
    )
    (profile,) = command("profile", "show", built, "--json")
    assert [variable["name"] for variable in profile["numeric"]] == ["features.age", "score"]
    command("profile", "show", built)

    command("profile", "publish", built, "--dry-run")
    assert not read_all(kafka.bootstrap_servers, unique + "profiles")
    command("profile", "publish", built)
    command("profile", "publish", built)
    (record,) = read_all(kafka.bootstrap_servers, unique + "profiles")
    assert record.key == f"m@1/{profile['hash']}".encode()
    command("profile", "publish", other, code=1)
    assert len(read_all(kafka.bootstrap_servers, unique + "profiles")) == 1

    (published,) = command("profile", "show", "--model", "m", "--json")
    assert published["effective_from_ms"] == 0
    command("profile", "show")
    command("profile", "show", "--model", "m")
    command("profile", "show", "--model", "none", code=1)


def test_a_profile_of_a_running_model_waits_for_a_boundary(
    kafka: Kafka, unique: str, command: Command, tmp_path: Path
) -> None:
    emit_window(kafka, unique, "m", "1")
    (tmp_path / "reference.csv").write_text("age\n1\n2\n")
    for version in ("1", "2"):
        file = str(tmp_path / f"{version}.json")
        command(
            "profile",
            "build",
            str(tmp_path / "reference.csv"),
            "-m",
            "m",
            "--version",
            version,
            "-o",
            file,
        )
        command("profile", "publish", file)
    first, second = command("profile", "show", "--json")
    assert first["effective_from_ms"] > 0
    assert first["effective_from_ms"] % HOUR == 0
    assert second["effective_from_ms"] == 0


def test_build_says_what_is_wrong(command: Command, tmp_path: Path) -> None:
    command("profile", "build", str(tmp_path / "none.csv"), "-m", "m", code=1)
    (tmp_path / "t.csv").write_text("a\n1\n")
    table, broken = str(tmp_path / "t.csv"), tmp_path / "broken.json"
    command("profile", "build", table, "-m", "m", "--label-column", "b", code=1)
    command("profile", "build", table, "-m", "m", "--ignore", "a", code=1)
    command("profile", "build", table, "-m", "m", "--provenance", "x", code=1)
    broken.write_text("{}")
    command("profile", "show", str(broken), code=1)
    command("profile", "publish", str(broken), code=1)


def test_times_are_read() -> None:
    assert parse_time("1000") == 1000
    assert parse_time("1970-01-01T01:00Z") == parse_time("1970-01-01 01:00") == HOUR
    with pytest.raises(ConfigError, match="no time"):
        parse_time("soon")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (LabelRule(wanted=False), "none"),
        (LabelRule(), "as the profile says, 7d"),
        (
            LabelRule(kind="binary", classes=("no", "yes"), horizon_ms=90_000, sample=0.05),
            "binary, classes no yes, 90s, sample 0.05",
        ),
        ((SegmentRule("age >= 65"), SegmentRule("country")), "age >= 65, country"),
        ((SegmentRule("sex", ("F", "M"), True, "M"),), "sex (F M) protected against M"),
        ({"f1": MetricRule(max_drop=0.05, point=True)}, "f1 max_drop 0.05 by the value alone"),
        ({"tpr": MetricRule(0.1, 0.9)}, "tpr min 0.1 max 0.9"),
        ({}, "{}"),
        ((), "[]"),
        (0.5, "0.5"),
    ],
)
def test_rules_are_said_in_words(value: object, words: str) -> None:
    assert said(value) == words


def test_a_positive_class_that_the_scores_do_not_mean_is_told(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, file = tmp_path / "reference.csv", tmp_path / "monitors.yaml"
    rows = [f"{i / 100},{'approve' if i > 40 else 'deny'},{i % 7}" for i in range(100)]
    table.write_text("\n".join(["score,label,x", *rows]))
    build = ("profile", "build", str(table), "-m", "m", "--version", "1", "-o")
    assert run([*build, str(tmp_path / "right.json"), "--positive", "approve"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert run([*build, str(tmp_path / "wrong.json")]) == 0
    assert "say --positive approve" in capsys.readouterr().err
    command("profile", "publish", str(tmp_path / "wrong.json"))
    for positive in ("deny", "approve"):
        file.write_text(f"{{model: m, labels: {{positive: {positive}}}}}\n")
        assert run(["apply", "-f", str(file), "--dry-run"]) == 0
        assert ("m@1 reads labels otherwise" in capsys.readouterr().err) == (positive == "approve")


@pytest.mark.parametrize(
    ("monitor", "told"),
    [
        ("features: {y: {threshold: 0.3}}", "features.y: the profile of m@1 has no such feature"),
        ("features: {x: {threshold: 0.3}, score: {threshold: 0.3}}", ""),
        ("performance: {mae: {max: 3}}", "performance.mae: is for regression"),
        ("performance: {f1: {min: 0.5}}", ""),
        ("labels: {positive: yes_}", "no performance windows of it: 'yes_' is none of 0 and 1"),
        (
            "severity_by_share: {critical: 0.3, warning: 0.5}",
            "critical begins above 0.3, so that nothing is ever warning",
        ),
        (
            "severity_by_share: {critical: 0.4, warning: 0.6, info: 0.5}",
            "critical begins above 0.4, so that nothing is ever info",
        ),
        ("severity_by_share: {critical: 0.5, warning: 0.3}", ""),
    ],
)
def test_rules_that_apply_to_nothing_are_told(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monitor: str, told: str
) -> None:
    table, profile, file = (tmp_path / name for name in ("r.csv", "p.json", "m.yaml"))
    rows = [f"{i / 100},{int(i > 40)},{i % 7}" for i in range(100)]
    table.write_text("\n".join(["score,label,x", *rows]))
    assert (
        run(["profile", "build", str(table), "-m", "m", "--version", "1", "-o", str(profile)]) == 0
    )
    command("profile", "publish", str(profile))
    file.write_text(f"{{model: m, {monitor}}}\n")
    capsys.readouterr()
    assert run(["apply", "-f", str(file), "--dry-run"]) == 0
    said_there = capsys.readouterr().err
    assert told in said_there
    assert ("warning" in said_there) == bool(told)


@pytest.mark.parametrize("command", [["profile", "build"], ["produce"], ["produce", "--labels"]])
def test_a_model_that_no_monitor_could_name_is_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "r.csv"
    table.write_text("x\n1\n2\n")
    assert run([*command, str(table), "-m", "credit@3"]) == 2
    assert "must not contain @" in capsys.readouterr().err
