"""Loggers whose broker is absent, dies or refuses: what arrives, how often, and what is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from stream.client import LabelLogger, PredictionLogger
from stream.client.logger import RowLogger
from stream.client.options import Format
from stream.core.errors import BufferFullError
from tests.client_offline import held
from tests.client_rows import rows_of
from tests.conftest import Kafka, OwnKafka
from tests.kafka_io import create_topic, read_all

OUTAGE_SECONDS = 6.0
SLOW_MACHINE_SECONDS = 5.0
QUICK = {"reconnect.backoff.max.ms": 500}


def ids(servers: str, topic: str) -> list[str]:
    """The ids on a topic, in each partition's order."""
    return [row["prediction_id"] for record in read_all(servers, topic) for row in rows_of(record)]


def numbered(prefix: str, rows: int) -> list[str]:
    return [f"{prefix}-{number:05}" for number in range(rows)]


def log_all(logger: RowLogger, names: list[str]) -> int:
    """Logs a row for each name; returns how many the full buffer refused with an error."""
    refused = 0
    for name in names:
        try:
            if isinstance(logger, LabelLogger):
                logger.log(name, 1)
            elif isinstance(logger, PredictionLogger):
                logger.log(features={"x": 1.0}, prediction_id=name)
        except BufferFullError:
            refused += 1
    return refused


def timed(call: Callable[[], int]) -> tuple[float, int]:
    begun = time.monotonic()
    return_value = call()
    return time.monotonic() - begun, return_value


def test_rows_logged_before_there_is_a_broker_arrive_in_order_once(
    own_kafka: OwnKafka, unique: str
) -> None:
    broker = own_kafka()
    servers = broker.bootstrap_servers
    forms: tuple[Format, ...] = ("json", "avro", "arrow")
    for form in forms:
        create_topic(servers, f"{unique}{form}.predictions")
    create_topic(servers, f"{unique}labels")
    broker.kill()
    loggers: dict[str, RowLogger] = {
        f"{form}.predictions": PredictionLogger(
            model="m",
            bootstrap_servers=servers,
            topic_prefix=f"{unique}{form}.",
            format=form,
            kafka=QUICK,
        )
        for form in forms
    }
    loggers["labels"] = LabelLogger(bootstrap_servers=servers, topic_prefix=unique, kafka=QUICK)
    names = numbered("row", 2_000)
    for logger in loggers.values():
        seconds, _ = timed(lambda each=logger: log_all(each, names))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        assert seconds < SLOW_MACHINE_SECONDS
        assert logger.counters.buffered == 2_000
    broker.restart()
    for topic, logger in loggers.items():
        assert logger.flush(60), (topic, logger.counters)
        assert logger.counters == (2_000, 0, 0, 0, 0)
        assert logger.close(10)
        assert held(logger) == (0, 0)
        assert ids(servers, f"{unique}{topic}") == names


def test_a_buffer_filled_by_an_outage_is_counted_exactly(own_kafka: OwnKafka, unique: str) -> None:
    broker = own_kafka()
    servers = broker.bootstrap_servers
    modes = ("drop_oldest", "block", "raise")
    for mode in modes:
        create_topic(servers, f"{unique}{mode}.predictions")
    loggers = {
        mode: PredictionLogger(
            model="m",
            bootstrap_servers=servers,
            topic_prefix=f"{unique}{mode}.",
            on_full=mode,  # type: ignore[arg-type]  # one of the literals
            block_seconds=0.01,
            buffer_rows=200,
            kafka=QUICK,
        )
        for mode in modes
    }
    for logger in loggers.values():
        log_all(logger, ["first"])
        assert logger.flush(30)
    broker.kill()
    names = numbered("row", 500)
    refused = {mode: log_all(logger, names) for mode, logger in loggers.items()}
    assert refused["drop_oldest"] == refused["block"] == 0
    broker.restart()
    for mode, logger in loggers.items():
        assert logger.flush(60), logger.counters
        counters = logger.counters
        logger.close(10)
        found = ids(servers, f"{unique}{mode}.predictions")
        assert found[0] == "first"
        assert (counters.delivered, counters.failed, counters.buffered) == (len(found), 0, 0)
        assert counters.dropped + refused[mode] == 300
        assert counters.delivered == 201  # the buffer, and what was sent before
        assert found == sorted(found) and len(set(found)) == len(found)
        newest = names[-100:] == found[-100:]
        assert newest == (mode == "drop_oldest")
        assert (names[:100] == found[1:101]) or mode == "drop_oldest"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()  # never set: the threads get their turn
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_rows_of_many_threads_while_the_broker_is_lost_arrive_once(
    own_kafka: OwnKafka, unique: str
) -> None:
    broker = own_kafka()
    servers = broker.bootstrap_servers
    create_topic(servers, f"{unique}predictions", 3)
    create_topic(servers, f"{unique}labels", 3)
    predictions = PredictionLogger(
        model="m", bootstrap_servers=servers, topic_prefix=unique, kafka=QUICK
    )
    labels = LabelLogger(
        bootstrap_servers=servers, topic_prefix=unique, format="arrow", kafka=QUICK
    )
    done = threading.Event()
    slowest, logged = [0.0] * 16, [0] * 16

    def work(number: int) -> None:
        while not done.wait(0.005):
            name = f"{number}-{logged[number]}"
            begun = time.monotonic()
            predictions.log(features={"x": 1.0}, prediction_id=name)
            labels.log(name, True)
            slowest[number] = max(slowest[number], time.monotonic() - begun)
            logged[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: predictions.counters.delivered > 100)
        broker.kill()
        back = time.monotonic() + OUTAGE_SECONDS
        wait_until(lambda: time.monotonic() > back)
        broker.restart()
        before = predictions.counters.delivered
        wait_until(lambda: predictions.counters.delivered > before)
    finally:
        done.set()
        for thread in threads:
            thread.join(10)
    expected = Counter(f"{number}-{row}" for number in range(16) for row in range(logged[number]))
    for logger, topic in ((predictions, "predictions"), (labels, "labels")):
        assert logger.flush(60), logger.counters
        assert logger.counters == (expected.total(), 0, 0, 0, 0)
        logger.close(10)
        assert Counter(ids(servers, f"{unique}{topic}")) == expected
    assert max(slowest) < SLOW_MACHINE_SECONDS


def test_rows_of_a_missing_topic_fail_in_time_and_later_ones_arrive(
    kafka: Kafka, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{unique}predictions"
    with PredictionLogger(
        model="m",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        kafka={"topic.metadata.propagation.max.ms": 1_000, "message.timeout.ms": 5_000},
    ) as logger:
        log_all(logger, ["lost"])
        wait_until(lambda: logger.counters.failed == 1)
        assert "1 rows were not delivered" in caplog.text and "nknown topic" in caplog.text
        create_topic(kafka.bootstrap_servers, topic)
        later = 0

        def one_more_arrives() -> bool:  # the client asks for the topic now and then
            nonlocal later
            later += 1
            log_all(logger, [f"later-{later:05}"])
            assert logger.flush(30)
            return logger.counters.delivered > 0

        wait_until(one_more_arrives)
        assert logger.counters == (1, later, 0, 0, 0)
    assert ids(kafka.bootstrap_servers, topic) == [f"later-{later:05}"]


@pytest.mark.parametrize("wire", ["json", "arrow"])
def test_a_row_too_large_for_the_broker_fails_and_later_ones_arrive(
    kafka: Kafka, unique: str, wire: Format, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{unique}predictions"
    create_topic(kafka.bootstrap_servers, topic, config={"max.message.bytes": "20000"})
    incompressible = "".join(f"{number * 7919 % 1_000_003:x}" for number in range(20_000))
    with PredictionLogger(
        model="m",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        format=wire,
    ) as logger:
        logger.log(features={"x": incompressible}, prediction_id="large")
        assert logger.flush(30)
        assert logger.counters.failed == 1, logger.counters
        assert "too large" in caplog.text
        log_all(logger, numbered("row", 50))
        assert logger.flush(30)
        assert logger.counters == (50, 1, 0, 0, 0)
    assert sorted(ids(kafka.bootstrap_servers, topic)) == numbered("row", 50)
