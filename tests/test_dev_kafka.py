"""`driftstream dev kafka` beside a Kafka that KAFKA_BOOTSTRAP_SERVERS names."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.application import run


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "named:9092")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--port", "0"], "--port"),
        (["--port", "9092"], "--port"),
        (["--data", "kept"], "--data"),
        (["--data", "kept", "--brokers", "3"], "--brokers, --data"),
    ],
)
def test_one_that_is_asked_for_all_the_same_is_refused(
    asked: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["dev", "kafka", *asked]) == 2
    said = capsys.readouterr().err
    assert f"for a Kafka that is started here ({told})" in said
    assert "KAFKA_BOOTSTRAP_SERVERS names one already, named:9092" in said
    assert "unset it" in said
    assert not any(tmp_path.iterdir())


def test_where_nothing_is_asked_for_none_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dev", "kafka"]) == 0
    assert "set to named:9092: nothing to start" in capsys.readouterr().err
