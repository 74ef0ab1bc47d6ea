"""Parts of the engine that need no broker: its pace, and the throttled log."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from stream.adapters.kafka.codes import AUTHENTICATION, AWAY
from stream.adapters.kafka.log import ClientErrors, Throttle, kafka_logger
from stream.engine import EngineSettings
from stream.engine.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_commit_is_due_each_interval(clock: Clock) -> None:
    pace = Pace(EngineSettings("broker:1"), clock)
    assert not pace.due()
    clock.seconds += 1
    assert pace.due()
    pace.committed(0.01)
    assert not pace.due()
    assert pace.interval == 1.0


def test_the_interval_grows_where_commits_take_more_than_a_tenth_of_it(clock: Clock) -> None:
    pace = Pace(EngineSettings("broker:1"), clock)
    for _ in range(30):
        pace.committed(0.3)
    assert pace.interval == pytest.approx(3.0, rel=0.01)
    for _ in range(30):
        pace.committed(10.0)
    assert pace.interval == 5.0  # half of the transaction's timeout
    for _ in range(60):
        pace.committed(0.001)
    assert pace.interval == 1.0


def test_a_slice_is_bounded_by_records_bytes_and_the_next_commit(clock: Clock) -> None:
    pace = Pace(EngineSettings("broker:1", slice_bytes=1_000_000), clock)
    assert pace.appetite(100.0) == (2_000, 0.1)
    assert pace.appetite(100_000.0)[0] == 10
    assert pace.appetite(9_000_000.0)[0] == 1
    assert pace.appetite(0.0)[0] == 64
    clock.seconds += 0.95
    assert pace.appetite(100.0)[1] == pytest.approx(0.05)
    clock.seconds += 5
    assert pace.appetite(100.0)[1] == 0.0


def test_waits_double_until_a_commit(clock: Clock) -> None:
    pace = Pace(EngineSettings("broker:1", max_backoff_ms=1_000), clock)
    assert [pace.backoff() for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    pace.committed(0.01)
    assert pace.backoff() == 0.25


def _record(facility: str) -> logging.LogRecord:
    args = (facility, "client", "text")
    return logging.LogRecord("stream.kafka", 30, "", 0, "%s [%s] %s", args, None)


def test_the_log_lets_a_kind_through_now_and_then(clock: Clock) -> None:
    throttle = Throttle(10.0, clock)
    assert [throttle.filter(_record("FAIL")) for _ in range(4)] == [True, False, False, False]
    assert throttle.filter(_record("OTHER"))
    clock.seconds += 10
    again = _record("FAIL")
    assert throttle.filter(again)
    assert again.getMessage() == "FAIL [client] text (3 more of this kind held back)"
    clock.seconds += 10
    quiet = _record("FAIL")
    assert throttle.filter(quiet)
    assert quiet.getMessage() == "FAIL [client] text"


def test_the_throttle_forgets_rather_than_grows(clock: Clock) -> None:
    throttle = Throttle(10.0, clock, kinds=5)
    for number in range(100):
        assert throttle.filter(_record(str(number)))
    assert len(throttle._heard) <= 6


def test_refused_credentials_are_said_in_words(caplog: pytest.LogCaptureFixture) -> None:
    kafka_logger().filters.clear()
    errors = ClientErrors()
    with caplog.at_level(logging.WARNING, "stream.kafka"):
        errors(KafkaError(AUTHENTICATION))
    assert errors.away
    assert "user and password" in caplog.text


def test_a_broken_connection_is_counted() -> None:
    errors = ClientErrors()
    errors(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert (errors.away, errors.breaks) == (False, 0)
    errors(KafkaError(min(AWAY)))
    assert (errors.away, errors.breaks) == (True, 1)
