"""A worker on a real Kafka: windows come out, SIGTERM ends it well, health says what is so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection

import orjson
import pytest

from stream.cli.reading import read_topic
from stream.client import PredictionLogger
from stream.core.errors import ConfigError, TopicError
from stream.settings import Settings, load_settings
from stream.topics import real_name
from stream.worker import Worker
from tests.conftest import Kafka
from tests.kafka_io import Record, create_topic, produce_all

_QUICK = {
    "pane": "1s",
    "out_of_orderness": "200ms",
    "idle_after": "1s",
    "commit_interval": "100ms",
    "partitions": "2",
    "sources": "predictions",
    "http_port": "0",
}


def _settings(bootstrap_servers: str, prefix: str) -> Settings:
    options = {"bootstrap_servers": bootstrap_servers, "topic_prefix": prefix, **_QUICK}
    return load_settings(options, environ={})


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """True as soon as the condition holds, False at the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()  # never set: the worker's threads get their turn
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def _get(address: str, path: str) -> tuple[int, str]:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    told = answer.status, answer.read().decode()
    connection.close()
    return told


def _log_two_hours(settings: Settings) -> int:
    """Logs a row for each second of two whole hours of the past; returns how many."""
    hour = 3_600_000
    start = time.time_ns() // 1_000_000 // hour * hour - 2 * hour
    times = [start + second * 1000 for second in range(7200)]
    with PredictionLogger(
        model="m",
        bootstrap_servers=settings.bootstrap_servers,
        topic_prefix=settings.topic_prefix,
    ) as logger:
        logger.log_columns(features={"x": list(range(7200))}, event_time_ms=times)
        assert logger.flush(10)
    return len(times)


def _window_rows(settings: Settings, wanted: int) -> int:
    """The rows of all windows, as soon as they are as many as wanted, or after 30 s."""
    rows = 0
    for record in read_topic(settings, "windows", from_beginning=True, follow=True, timeout=30):
        rows += orjson.loads(record.value() or b"")["rows"]
        if rows >= wanted:
            break
    return rows


def test_rows_become_windows(kafka: Kafka, unique: str) -> None:
    settings = _settings(kafka.bootstrap_servers, unique)
    worker = Worker(settings)
    worker.start()
    try:
        assert _get(worker.address, "/livez")[0] == 200
        assert _until(lambda: not worker.unready())
        assert _get(worker.address, "/readyz")[0] == 200
        logged = _log_two_hours(settings)
        assert _window_rows(settings, logged) == logged
        assert (
            'driftstream_rows_consumed_total{topic="predictions"} 7200.0'
            in (_get(worker.address, "/metrics")[1])
        )
    finally:
        worker.stop()
    assert worker.error is None
    assert worker.unready()


def test_agents_may_run_apart(kafka: Kafka, unique: str) -> None:
    settings = _settings(kafka.bootstrap_servers, unique)
    workers = [Worker(settings, (agent,)) for agent in ("observe", "detect")]
    for worker in workers:
        worker.start()
    try:
        assert _until(lambda: not any(worker.unready() for worker in workers))
        logged = _log_two_hours(settings)
        assert _window_rows(settings, logged) == logged
    finally:
        for worker in workers:
            worker.stop()
    assert [worker.error for worker in workers] == [None, None]


def test_too_much_that_is_invalid_turns_readiness_off(kafka: Kafka, unique: str) -> None:
    settings = _settings(kafka.bootstrap_servers, unique)
    worker = Worker(settings)
    worker.start()
    try:
        assert _until(lambda: not worker.unready())
        junk = [Record(b"{junk", partition=0)] * 2000
        produce_all(kafka.bootstrap_servers, real_name(unique, "predictions"), junk)
        assert _until(lambda: "predictions/0" in " ".join(worker.unready()))
        assert worker.dead() == []
        status, said = _get(worker.address, "/readyz")
        assert (status, "too many of its records are invalid" in said) == (503, True)
    finally:
        worker.stop()


def test_a_topic_of_the_wrong_shape_ends_the_worker(kafka: Kafka, unique: str) -> None:
    for name, partitions in (("predictions", 2), ("labels", 3)):
        create_topic(kafka.bootstrap_servers, real_name(unique, name), partitions)
    worker = Worker(_settings(kafka.bootstrap_servers, unique))
    worker.start()
    try:
        assert worker.ended.wait(30)
        assert isinstance(worker.error, TopicError)
        assert worker.dead()
    finally:
        worker.stop()


def test_a_broker_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(_settings("127.0.0.1:1", "x."))
    worker.start()
    try:
        assert _get(worker.address, "/livez")[0] == 200
        assert _get(worker.address, "/readyz")[0] == 503
        assert _until(lambda: "waiting for Kafka" in caplog.text)
        assert not worker.ended.is_set()
    finally:
        worker.stop()


def test_unknown_agents_are_refused() -> None:
    settings = _settings("127.0.0.1:1", "x.")
    for agents in (("observe", "act"), ()):
        with pytest.raises(ConfigError, match="observe, detect"):
            Worker(settings, agents)


def test_sigterm_ends_the_command_with_0_within_ten_seconds(kafka: Kafka, unique: str) -> None:
    sets = [argument for name, value in _QUICK.items() for argument in ("--set", f"{name}={value}")]
    command = [sys.executable, "-c", "from stream.cli.entry import main; main()", "worker", *sets]
    environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    environ |= {"DRIFTSTREAM_TOPIC_PREFIX": unique, "DRIFTSTREAM_LOG_FORMAT": "json"}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(orjson.loads(line))
            if lines[-1]["message"].startswith("tasks of observe running"):
                break
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(15) == 0
        assert time.monotonic() - began < 10
        lines += [orjson.loads(line) for line in process.stderr]
    assert lines[-1]["message"] == "stopped"
