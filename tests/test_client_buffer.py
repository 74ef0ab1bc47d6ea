"""What the loggers do without a broker: bounded time, bounded memory, everything counted."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, get_args

import numpy as np
import pytest
from confluent_kafka import KafkaError

from stream.client import PredictionLogger
from stream.client.buffer import Buffer, Entry
from stream.client.feeder import Feeder
from stream.client.options import Format, Options
from stream.client.packers import RowPacker
from stream.core.errors import BufferFullError, ConfigError, DriftstreamError, SchemaError
from tests.client_offline import NOWHERE, offline

SLOW_MACHINE_SECONDS = 5.0


def timed(call: Any) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def test_making_a_logger_and_logging_wait_for_nobody() -> None:
    seconds, logger = timed(offline)
    assert seconds < SLOW_MACHINE_SECONDS
    seconds, _ = timed(lambda: [logger.log(features={"x": 1.0}) for _ in range(1_000)])
    assert seconds < SLOW_MACHINE_SECONDS
    assert logger.counters == (0, 0, 0, 1_000, 0)
    seconds, flushed = timed(lambda: logger.flush(0.2))
    assert not flushed
    assert 0.2 <= seconds < 0.2 + SLOW_MACHINE_SECONDS
    seconds, closed = timed(lambda: logger.close(0.2))
    assert not closed
    assert seconds < 0.2 + 2 * SLOW_MACHINE_SECONDS
    assert logger.counters.buffered == 0
    assert logger.counters.failed + logger.counters.dropped == 1_000


def test_drop_oldest_keeps_the_newest() -> None:
    buffer: Buffer[int] = Buffer(10, 10_000, "drop_oldest", 0.0)
    for number in range(25):
        buffer.put([Entry(None, number, 1, 10)])
    assert [entry.value for entry in buffer.take(1, 100, 10_000, 0.0, 0.0)] == list(range(15, 25))
    assert (buffer.accepted, buffer.evicted, buffer.rows, buffer.size) == (25, 15, 0, 0)


def test_a_buffer_is_bounded_in_bytes_too() -> None:
    buffer: Buffer[int] = Buffer(1_000, 100, "drop_oldest", 0.0)
    for number in range(25):
        buffer.put([Entry(None, number, 1, 30)])
    assert [entry.value for entry in buffer.take(1, 100, 10_000, 0.0, 0.0)] == [22, 23, 24]
    with pytest.raises(SchemaError, match="raise buffer_bytes"):
        buffer.put([Entry(None, 0, 1, 101)])


def test_what_was_taken_and_is_held_leaves_no_room() -> None:
    buffer: Buffer[int] = Buffer(10, 100, "raise", 0.0)
    buffer.put([Entry(None, number, 1, 10) for number in range(10)])
    assert len(buffer.take(1, 6, 1_000, 0.0, 0.0)) == 6
    assert (buffer.rows, buffer.held_rows, buffer.size, buffer.held_size) == (4, 6, 40, 60)
    with pytest.raises(BufferFullError, match="10 rows of 100 bytes wait"):
        buffer.put([Entry(None, 10, 1, 1)])
    buffer.hold(5, 50)
    buffer.put([Entry(None, 10, 1, 10)])
    buffer.hold(4, 50)
    with pytest.raises(BufferFullError):
        buffer.put([Entry(None, 11, 1, 1)])
    assert (buffer.accepted, buffer.evicted, buffer.refused) == (11, 0, 0)


def test_a_new_entry_that_dropping_makes_no_room_for_is_dropped_itself() -> None:
    buffer: Buffer[int] = Buffer(10, 10_000, "drop_oldest", 0.0)
    buffer.put([Entry(None, 0, 4, 40), Entry(None, 1, 2, 20), Entry(None, 2, 4, 40)])
    assert [entry.value for entry in buffer.take(1, 1, 10_000, 0.0, 0.0)] == [0]
    buffer.put([Entry(None, 3, 7, 70)])
    assert (buffer.rows, buffer.evicted, buffer.refused) == (6, 0, 7)
    buffer.put([Entry(None, 4, 6, 60)])
    assert (buffer.rows, buffer.evicted, buffer.refused) == (6, 6, 7)
    assert [entry.value for entry in buffer.take(1, 10, 10_000, 0.0, 0.0)] == [4]


def test_no_more_bytes_are_taken_than_asked_for() -> None:
    buffer: Buffer[int] = Buffer(100, 1_000, "raise", 0.0)
    buffer.put([Entry(None, number, 1, 30) for number in range(10)])
    assert len(buffer.take(1, 100, 20, 0.0, 0.0)) == 1
    assert len(buffer.take(1, 100, 100, 0.0, 0.0)) == 3
    assert len(buffer.take(1, 100, 1_000, 0.0, 0.0)) == 6


def test_a_take_waits_for_enough_rows_or_the_linger() -> None:
    buffer: Buffer[int] = Buffer(1_000, 10_000, "raise", 0.0)
    buffer.put([Entry(None, 0, 1, 1)])
    assert buffer.take(10, 100, 10_000, 60.0, 0.0) == []
    seconds, taken = timed(lambda: buffer.take(10, 100, 10_000, 0.05, 10.0))
    assert len(taken) == 1
    assert seconds < SLOW_MACHINE_SECONDS
    buffer.put([Entry(None, number, 1, 1) for number in range(10)])
    assert len(buffer.take(10, 7, 10_000, 60.0, 0.0)) == 7
    buffer.hurry(1)
    assert len(buffer.take(10, 100, 10_000, 60.0, 0.0)) == 3


def test_a_full_buffer_drops_and_never_waits() -> None:
    logger = offline(buffer_rows=100)
    seconds, _ = timed(lambda: [logger.log(features={"x": 1}) for _ in range(1_000)])
    assert seconds < SLOW_MACHINE_SECONDS
    assert logger.counters == (0, 0, 900, 100, 0)
    logger.close(0.0)


def test_block_waits_no_longer_than_asked() -> None:
    logger = offline(buffer_rows=100, on_full="block", block_seconds=0.2)
    while logger.counters.dropped == 0:
        seconds, _ = timed(lambda: logger.log(features={"x": 1}))
        assert seconds < 0.2 + SLOW_MACHINE_SECONDS
    assert seconds >= 0.2
    seconds, _ = timed(lambda: logger.log_columns(features={"x": np.arange(50)}))
    assert 0.2 <= seconds < 0.2 + SLOW_MACHINE_SECONDS
    assert logger.counters == (0, 0, 51, 100, 0)
    logger.close(0.0)


def test_block_goes_on_when_there_is_room_again() -> None:
    buffer: Buffer[int] = Buffer(1, 10_000, "block", 30.0)
    buffer.put([Entry(None, 1, 1, 1)])
    thread = threading.Thread(target=buffer.put, args=([Entry(None, 2, 1, 1)],))
    thread.start()
    taken: list[int] = []
    while len(taken) < 2:
        taken += [entry.value for entry in buffer.take(1, 1, 10_000, 0.0, 5.0)]
        assert buffer.held_rows == 1
        buffer.hold(0, 0)
    thread.join(5)
    assert taken == [1, 2]
    assert buffer.refused == 0


def test_raise_raises_at_once_and_takes_all_or_nothing() -> None:
    logger = offline(buffer_rows=100, on_full="raise")
    with pytest.raises(BufferFullError, match="buffer_rows"):
        logger.log_columns(features={"x": np.arange(10_000)})
    assert logger.counters == (0, 0, 0, 0, 0)
    while logger.counters.buffered < 50:
        logger.log(features={"x": 1})
    with pytest.raises(BufferFullError):
        logger.log_columns(features={"x": np.arange(51)})
    assert logger.counters.buffered == 50
    logger.close(0.0)


@pytest.mark.parametrize("wire", get_args(Format))
@pytest.mark.parametrize("at_once", [1, 100])
def test_a_buffer_is_full_at_buffer_rows_wherever_they_are(wire: Format, at_once: int) -> None:
    logger = offline(format=wire, buffer_rows=100, on_full="raise", linger_seconds=0.0)
    for _ in range(0, 100, at_once):
        logger.log_columns(features={"x": np.arange(at_once)})
    feeder = logger._outbox._feeder
    assert feeder is not None
    deadline = time.monotonic() + 20
    while True:
        outstanding = feeder._deliveries.outstanding
        with pytest.raises(BufferFullError, match="100 rows of"):
            logger.log(features={"x": 1})
        assert time.monotonic() < deadline
        if outstanding or wire == "arrow":  # which asks the broker for the partitions first
            break
        logger.flush(0.02)
    assert logger.counters == (0, 0, 0, 100, 0)
    logger.close(0.0)


def test_many_threads_lose_no_row() -> None:
    logger = offline()

    def work() -> None:
        for _ in range(500):
            logger.log(features={"x": 1.0})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logger.counters.buffered == 4_000
    logger.close(0.0)


def test_a_fatal_error_begins_a_new_producer() -> None:
    options = Options(topic="t", kafka={"bootstrap.servers": NOWHERE})
    feeder = Feeder(options, RowPacker())
    first = feeder.producer
    feeder.buffer.put([Entry(b"k", b"v", 1, 2)])
    feeder._hear_error(KafkaError(KafkaError._FATAL, "out of sequence", True))
    assert not feeder.flush(0.5) or feeder.counters.failed == 1
    deadline = time.monotonic() + 10
    while feeder.producer is first:
        assert time.monotonic() < deadline
        feeder.flush(0.05)
    feeder.retire(0.0)
    assert feeder.join(10)
    assert sum(feeder.counters[:3]) == 1


def test_a_closed_logger_says_so() -> None:
    logger = offline()
    assert logger.close(1.0)
    assert logger.close(1.0)
    with pytest.raises(DriftstreamError, match="closed"):
        logger.log(features={"x": 1})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bootstrap_servers": None}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"model": ""}, "model"),
        ({"model": "credit@3"}, "model must not contain @"),
        ({"model": "credit\n"}, "control characters"),
        ({"model": " credit"}, "begin or end with a space"),
        ({"model": "é" * 129}, "at most 256 bytes"),
        ({"version": 3}, "version"),
        ({"version": "3" * 257}, "version must be at most 256 characters"),
        ({"version": "\ud800"}, "version must be valid Unicode"),
        ({"format": "xml"}, "format: is 'xml', wants one of json, avro, arrow"),
        ({"on_full": "explode"}, "on_full"),
        ({"buffer_rows": 0}, "buffer_rows"),
        ({"buffer_bytes": 1.5}, "buffer_bytes"),
        ({"block_seconds": -1}, "block_seconds"),
        ({"linger_seconds": math.nan}, "linger_seconds"),
        ({"registry_url": "http://127.0.0.1:1"}, "registry_url"),
        ({"format": "avro", "registry_url": "file:///etc"}, "registry_url"),
        ({"kafka": {"no.such.property": 1}}, "no.such.property"),
        ({"kafka": {"acks": 1}}, "acks"),
        ({"kafka": {"max.in.flight": 5}}, "kafka: max.in.flight: is 5, .*: leave it out"),
        ({"kafka": {"max.in.flight": None}}, "max.in.flight: is None"),
        ({"kafka": {"max.in.flight.requests.per.connection": "2"}}, "connection: is '2'"),
        ({"kafka": {"enable.idempotence": False}}, "enable.idempotence: is False"),
        ({"kafka": {"enable.idempotence": "false"}}, "enable.idempotence: is 'false'"),
        ({"kafka": {"delivery.report.only.error": True}}, "only.error: is True"),
        ({"kafka": {"message.max.bytes": "much"}}, "message.max.bytes"),
    ],
)
def test_wrong_settings_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(ConfigError, match=said):
        offline(**settings)


@pytest.mark.parametrize("one", [1, "1"])
@pytest.mark.parametrize("name", ["max.in.flight", "max.in.flight.requests.per.connection"])
def test_delivery_may_be_asked_for_as_it_is(name: str, one: object) -> None:
    for true in (True, "true", "True", "1"):
        offline(kafka={name: one, "enable.idempotence": true}).close(0.0)


def test_librdkafka_may_hold_half_of_the_buffer_in_every_format() -> None:
    for form in get_args(Format):
        options = Options("t", {}, format=form, buffer_rows=100_000, buffer_bytes=8_000_000)
        properties = options.producer_properties()
        assert options.outstanding_rows == properties["queue.buffering.max.messages"] == 50_000
        assert options.outstanding_bytes == 4_000_000
        assert properties["queue.buffering.max.kbytes"] == 4_000_000 // 1_024 + 1


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("DRIFTSTREAM_TOPIC_PREFIX", "acme.")
    logger = PredictionLogger(model="m", exit_seconds=0.0)
    assert logger._options.topic == "acme.predictions"
    logger.close(0.0)


def test_passwords_are_not_shown() -> None:
    options = Options(topic="t", kafka={"sasl.password": "secret"})
    assert "secret" not in repr(options)
