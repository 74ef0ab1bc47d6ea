"""A worker that is told to stop while its Kafka is away ends soon, and says nothing untrue."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_BROKER = """
import sys
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock:0", "log_level": 3})
[broker] = producer.list_topics(timeout=10).brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""
_WORKER = """
import sys, threading
from stream.cli.logs import configure_logs
from stream.client import PredictionLogger
from stream.settings import load_settings
from stream.worker import run_worker
configure_logs("info", "text")
options = {"bootstrap_servers": sys.argv[1], "sources": "predictions", "http_port": "0"}
never = threading.Event()
def produce():
    with PredictionLogger(model="m", bootstrap_servers=sys.argv[1], exit_seconds=0.1) as logger:
        for row in range(10_000):
            logger.log(features={"x": row})
            never.wait(0.005)
threading.Thread(target=produce, daemon=True).start()
run_worker(load_settings(options, environ={}), embedded=True)
"""
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Started:
    broker: subprocess.Popen[str]
    worker: subprocess.Popen[str]
    log: Path

    def says(self, what: str) -> bool:
        """True as soon as the worker's log holds the words, False at the deadline."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if what in self.log.read_text():
                return True
            with suppress(subprocess.TimeoutExpired):
                self.worker.wait(0.05)
                return False
        return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[_Started]:
    log = tmp_path / "worker.log"
    pipe = subprocess.PIPE  # the broker lives for as long as its standard input is open
    broker = subprocess.Popen([sys.executable, "-c", _BROKER], stdin=pipe, stdout=pipe, text=True)
    assert broker.stdout is not None
    address = broker.stdout.readline().strip()
    with log.open("w") as file:
        command = [sys.executable, "-c", _WORKER, address]
        worker = subprocess.Popen(command, stderr=file, text=True)
    yield _Started(broker, worker, log)
    for process in (worker, broker):
        process.kill()
        process.communicate()


@pytest.mark.parametrize("heard", ["_ALL_BROKERS_DOWN", "more of this kind held back"])
def test_a_worker_whose_kafka_is_away_ends_soon_with_true_words(
    started: _Started, heard: str
) -> None:
    assert started.says("tasks of detect running"), started.log.read_text()
    assert started.says("tasks of observe running"), started.log.read_text()
    started.broker.kill()
    assert started.says(heard), started.log.read_text()
    began = time.monotonic()
    started.worker.send_signal(signal.SIGINT)
    code = started.worker.wait(30)
    said = started.log.read_text()
    assert time.monotonic() - began < 5, said
    assert code == 0, said
    assert "another worker" not in said
    assert "Traceback" not in said
    assert "leaves without a last commit: Kafka is away" in said
