"""The examples, run as they are on a real broker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.alert_records import record
from tests.conftest import Kafka
from tests.kafka_io import create_topic, produce_all, read_all

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
APPLICATION = {"age": 41, "income": 52_000, "debt_ratio": 0.2, "state": "CA"}


@pytest.fixture
def environment(kafka: Kafka, unique: str) -> dict[str, str]:
    for name in ("predictions", "labels", "alerts"):
        create_topic(kafka.bootstrap_servers, f"{unique}{name}", 2)
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "DRIFTSTREAM_TOPIC_PREFIX": unique,
    }


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES / "model_server")]
    command += ["server:app", "--port", "0", "--no-access-log"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            running = re.search(r"running on (http://\S+)", line)
            if running:
                yield running[1], process
                break
        else:
            pytest.fail("the server did not start: " + "".join(said))
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


def test_the_model_server_logs_predictions_and_labels(
    kafka: Kafka, unique: str, server: tuple[str, subprocess.Popen[str]]
) -> None:
    url, process = server
    with httpx.Client(base_url=url, timeout=30) as client:
        answers = [client.post("/predict", json=APPLICATION).json() for _ in range(20)]
        named = {**APPLICATION, "request_id": "request-1", "income": None}
        assert client.post("/predict", json=named).json()["request_id"] == "request-1"
        outcome = {"request_id": "request-1", "repaid": True}
        assert client.post("/label", json=outcome).status_code == 202
        for path, body in (("/predict", APPLICATION), ("/label", outcome)):
            for wrong in ("", "é" * 129):  # no byte, and 258 of them
                assert client.post(path, json={**body, "request_id": wrong}).status_code == 422
        longest = client.post("/predict", json={**APPLICATION, "request_id": "é" * 128})
        assert longest.json()["request_id"] == "é" * 128
        assert set(client.get("/healthz").json()) == {"predictions", "labels"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)

    rows = {
        row.key: orjson.loads(row.value or b"")
        for row in read_all(kafka.bootstrap_servers, f"{unique}predictions")
    }
    assert len(rows) == 22
    for answer in answers:
        row = rows[answer["request_id"].encode()]
        assert row["features"] == APPLICATION
        assert (row["model"], row["version"]) == ("credit", "1")
        assert (row["prediction"], row["score"]) == (answer["approved"], answer["score"])
        assert row["tags"] == {"channel": "web"}
    assert rows[b"request-1"]["features"]["income"] is None
    (label,) = read_all(kafka.bootstrap_servers, f"{unique}labels")
    assert label.key == b"request-1"
    assert orjson.loads(label.value or b"")["label"] is True


def test_the_subscriber_prints_alerts_and_runs_a_command(
    kafka: Kafka, unique: str, environment: dict[str, str], tmp_path: Path
) -> None:
    alerts = [record(1), record(2, model="fraud"), record(3, state="resolved")]
    produce_all(kafka.bootstrap_servers, f"{unique}alerts", alerts)
    hook = tmp_path / "hook.py"
    hook.write_text("import sys\nopen(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')\n")
    seen = tmp_path / "seen.jsonl"
    command = [sys.executable, str(EXAMPLES / "subscriber.py"), "--group", f"{unique}pagers"]
    command += ["--from-beginning", "--model", "credit", "--timeout", "8"]
    command += ["--run", f"{sys.executable} {hook} {seen}"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    shown = done.stdout.splitlines()
    assert shown[0] == "2025-10-09T08:53:20+00:00 INFO     opened   credit@3: age drifted"
    assert shown[1] == "    age: psi 0.31 (threshold 0.2)"
    assert "resolved" in shown[2]
    states = [orjson.loads(line)["state"] for line in seen.read_text().splitlines()]
    assert states == ["opened", "resolved"]
