"""What users' callbacks raise, and errors beyond repair, cost no row that waits to be sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.client import PredictionLogger
from stream.client import feeder as feeders
from stream.client.buffer import Entry
from stream.client.feeder import Feeder
from stream.client.options import Options
from stream.client.packers import RowPacker
from tests.client_offline import NOWHERE, offline
from tests.conftest import Kafka
from tests.kafka_io import create_topic, read_all

ROWS = 400
SLOW_MACHINE_SECONDS = 5.0


def raises(_: object) -> None:
    raise RuntimeError("the user's callback")


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()  # never set: the threads get their turn
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


@pytest.mark.parametrize(
    "said", [RuntimeError("no"), KafkaException("no error"), KafkaException()], ids=repr
)
def test_a_raising_callback_loses_no_row_while_librdkafka_is_full(
    kafka: Kafka, unique: str, said: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{unique}predictions"
    create_topic(kafka.bootstrap_servers, topic)
    raised = 0

    def statistics(_: str) -> None:
        nonlocal raised
        raised += 1
        raise said

    logger = PredictionLogger(
        model="m",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        on_full="block",
        block_seconds=20,
        kafka={
            "stats_cb": statistics,
            "statistics.interval.ms": 20,
            "queue.buffering.max.kbytes": 64,
            "compression.type": "none",
        },
    )
    names = [f"row-{number:03}" for number in range(ROWS)]
    for name in names:
        logger.log(features={"t": "x" * 20_000}, prediction_id=name)
    assert logger.flush(60), logger.counters
    assert logger.counters == (ROWS, 0, 0, 0, 0)
    assert logger.close(10)
    assert raised > 0
    assert "predictions: " + repr(said) in caplog.text
    found = [record.key for record in read_all(kafka.bootstrap_servers, topic)]
    assert found == [name.encode() for name in names]


def test_raising_callbacks_do_not_hinder_the_end() -> None:
    logger = offline(
        kafka={
            "stats_cb": raises,
            "error_cb": raises,
            "statistics.interval.ms": 1,
            "queue.buffering.max.messages": 5,
        }
    )
    for _ in range(100):
        logger.log(features={"x": 1.0})
    feeder = logger._outbox._feeder
    assert feeder is not None
    wait_until(lambda: feeder._deliveries.outstanding > 0)
    begun = time.monotonic()
    assert not logger.close(0.2)
    assert time.monotonic() - begun < 0.2 + SLOW_MACHINE_SECONDS
    assert feeder.join(10)
    assert logger.counters.buffered == 0
    assert logger.counters.failed + logger.counters.dropped == 100
    assert feeder.producer is None  # the thread came to its own end


def test_a_record_that_never_fits_fails_and_later_ones_are_sent(
    kafka: Kafka, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions")
    with PredictionLogger(
        model="m",
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        kafka={"queue.buffering.max.kbytes": 10},
    ) as logger:
        logger.log(features={"t": "x" * 20_000}, prediction_id="large")
        logger.log(features={"t": "x"}, prediction_id="small")
        assert logger.flush(30), logger.counters
        assert logger.counters == (1, 1, 0, 0, 0)
    assert "Queue full" in caplog.text
    assert [r.key for r in read_all(kafka.bootstrap_servers, f"{unique}predictions")] == [b"small"]


class Delivered:
    """What librdkafka says of a record: its value's length and its key."""

    def __init__(self, value: bytes, key: bytes) -> None:
        self._value, self._key = value, key

    def __len__(self) -> int:
        return len(self._value)

    def key(self) -> bytes:
        return self._key


class Broken:
    """A producer that takes some records and then is beyond repair, as librdkafka says it."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken: list[bytes] = []
        self._settle: list[Callable[[], None]] = []

    def produce(
        self, topic: str, value: bytes, key: bytes, partition: int, *, on_delivery: Any
    ) -> None:
        del topic, partition
        if len(self.taken) >= self.takes:
            raise KafkaException(KafkaError(KafkaError._FATAL, "Unable to produce"))
        self.taken.append(value)
        self._settle.append(lambda: on_delivery(None, Delivered(value, key)))

    def poll(self, seconds: float) -> None:
        del seconds
        if len(self.taken) >= self.takes:
            raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", True))

    def purge(self) -> None:
        """Loses what it took."""


class Working(Broken):
    """One that delivers everything."""

    def __init__(self) -> None:
        super().__init__(1_000)

    def poll(self, seconds: float) -> None:
        del seconds
        while self._settle:
            self._settle.pop(0)()


class FirstBreaks(Feeder):
    """A feeder whose first producer breaks after three records."""

    def _connect(self) -> Any:
        self.made = [*getattr(self, "made", []), Working() if hasattr(self, "made") else Broken(3)]
        return self.made[-1]


@pytest.mark.parametrize("heard", [{}, {"error_cb": raises}], ids=["quiet", "raising"])
def test_rows_not_yet_given_to_a_broken_producer_go_to_the_next(
    monkeypatch: pytest.MonkeyPatch, heard: dict[str, Any]
) -> None:
    monkeypatch.setattr(feeders, "_AGAIN_SECONDS", 0.1)
    options = Options("t", {"bootstrap.servers": NOWHERE, **heard})
    feeder = FirstBreaks(options, RowPacker())
    values = [b"%d" % number for number in range(10)]
    feeder.buffer.put([Entry(b"k", value, 1, 2) for value in values])
    assert feeder.flush(30)
    assert feeder.counters == (7, 3, 0, 0, 0)
    assert [made.taken for made in feeder.made] == [values[:3], values[3:]]
    feeder.retire(5.0)
    assert feeder.join(10)


class Refused(Feeder):
    """A feeder whose first producer breaks at once, and then `refusals` times none can be made."""

    def __init__(self, options: Options, refusals: float) -> None:
        self.refusals = refusals
        self.tries = 0
        super().__init__(options, RowPacker())

    def _connect(self) -> Any:
        self.tries += 1
        if self.tries == 1:
            return Broken(0)
        if self.tries <= 1 + self.refusals:
            raise KafkaException(KafkaError(KafkaError._FAIL, "no descriptor is left"))
        return Working()


def test_rows_wait_until_a_new_producer_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feeders, "_AGAIN_SECONDS", 0.01)
    feeder = Refused(Options("t", {"bootstrap.servers": NOWHERE}), refusals=3)
    feeder.buffer.put([Entry(b"k", b"v", 1, 2) for _ in range(10)])
    assert feeder.flush(30)
    assert feeder.counters == (10, 0, 0, 0, 0)
    assert feeder.tries == 5
    assert caplog.text.count("no new producer can be made") == 1
    assert "no descriptor is left" in caplog.text
    feeder.retire(5.0)
    assert feeder.join(10)


def test_flush_and_close_keep_their_time_while_no_producer_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeders, "_AGAIN_SECONDS", 0.01)
    feeder = Refused(Options("t", {"bootstrap.servers": NOWHERE}), refusals=math.inf)
    feeder.buffer.put([Entry(b"k", b"v", 1, 2) for _ in range(10)])
    wait_until(lambda: feeder.tries > 7)  # the next wait is longer than what is asked for below
    begun = time.monotonic()
    assert not feeder.flush(0.2)
    assert feeder.is_running
    feeder.retire(0.2)
    assert feeder.join(SLOW_MACHINE_SECONDS)
    assert 0.4 <= time.monotonic() - begun < 0.4 + SLOW_MACHINE_SECONDS
    assert feeder.counters == (0, 0, 10, 0, 0)
