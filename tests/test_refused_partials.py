"""Records on `partials` that no worker wrote: a line in the log now and then, and all counted."""

from __future__ import annotations

import logging
import time
from http.client import HTTPConnection

import numpy as np
import orjson
import pytest

from stream.agents.detect.refusing import RefusedPartials
from stream.cli.reading import read_topic
from stream.core.records import Source
from stream.settings import Settings, load_settings
from stream.worker import Worker
from tests.conftest import Kafka
from tests.deployment import MODEL, row
from tests.detect_agents import Observer, agent_of
from tests.detect_world import records_slice
from tests.engine_setup import until
from tests.kafka_io import Record, produce_all

_LOGGER = "stream.agents.detect"
_PLACE = Source("partials", 3)
_GARBAGE = 500


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name.startswith(_LOGGER)]


def test_a_flood_of_garbage_is_one_line_without_a_traceback_and_each_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    agent.step(records_slice([b"garbage"] * _GARBAGE, 17), 0)
    agent.step(records_slice([b"garbage"] * _GARBAGE, 17 + _GARBAGE), 0)
    assert observer.refusals == ["partials"] * (2 * _GARBAGE)
    [told] = [each for each in caplog.records if each.name.startswith(_LOGGER)]
    assert told.levelno == logging.WARNING
    assert told.exc_info is None
    assert "partials partition 0 offset 17 is no partial" in told.getMessage()
    assert "something else writes here" in told.getMessage()


def test_a_minute_later_it_is_said_again_with_how_many_were_held_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    refused = RefusedPartials(clock)
    for offset in range(1_002):
        refused.say(_PLACE, offset, ValueError("broken"))
    clock.now += 59
    refused.say(_PLACE, 1_002, ValueError("broken"))
    clock.now += 1
    refused.say(_PLACE, 1_003, ValueError("broken"))
    first, again = _lines(caplog)
    assert first == "partials partition 3 offset 0 is no partial and is left out: broken"
    assert again.endswith("offset 1003 is no partial and is left out: broken (1,002 more before)")


def test_another_reason_is_said_at_once_but_not_without_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = RefusedPartials(Clock())
    for number in range(100):
        refused.say(_PLACE, number, ValueError(f"format {number}"))
        refused.say(_PLACE, number, ValueError("broken"))
    assert [line.rpartition(": ")[2] for line in _lines(caplog)] == [
        "format 0",
        "broken",
        "format 1",
        "format 2 (1 more before)",
        "format 3 (1 more before)",
    ]


def test_a_reason_is_one_short_line_whatever_it_is(caplog: pytest.LogCaptureFixture) -> None:
    refused = RefusedPartials(Clock())
    refused.say(_PLACE, 1, KeyError("a\nb\x1b[31m" + "x" * 9_999))
    [line] = _lines(caplog)
    assert "KeyError: " in line
    assert line.isprintable()
    assert len(line) < 400


def _settings(kafka: Kafka, prefix: str) -> Settings:
    options = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "topic_prefix": prefix,
        "pane": "1s",
        "out_of_orderness": "200ms",
        "idle_after": "1s",
        "commit_interval": "100ms",
        "partitions": "1",
        "sources": "predictions",
        "http_port": "0",
    }
    return load_settings(options, environ={})


def _refused(worker: Worker) -> str:
    connection = HTTPConnection(worker.address.removeprefix("http://"), timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    name = 'driftstream_records_refused_total{agent="detect",topic="partials"} '
    return next((line.removeprefix(name) for line in text.splitlines() if name in line), "")


def test_a_worker_goes_on_beside_garbage(
    kafka: Kafka, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = _settings(kafka, unique)
    worker = Worker(settings)
    worker.start()
    try:
        until(lambda: not worker.unready(), 60.0)
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        rng = np.random.default_rng(3)
        rows = [row(number, start_ms + 50 * number, rng) for number in range(600)]
        garbage = [Record(b"\xff garbage", MODEL.model.encode())] * _GARBAGE
        produce_all(kafka.bootstrap_servers, f"{unique}partials", garbage)
        produce_all(kafka.bootstrap_servers, f"{unique}predictions", rows)
        produce_all(kafka.bootstrap_servers, f"{unique}partials", garbage)
        counted = 0
        for record in read_topic(settings, "windows", from_beginning=True, follow=True, timeout=60):
            counted += orjson.loads(record.value() or b"")["rows"]
            if counted == len(rows):
                break
        until(lambda: _refused(worker) == f"{2 * _GARBAGE}.0", 60.0)
        assert not worker.unready()
    finally:
        worker.stop()
    assert worker.error is None
    assert counted == len(rows)
    assert len(_lines(caplog)) == 1
    assert not [each for each in caplog.records if each.exc_info]
