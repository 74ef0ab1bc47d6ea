"""A broker that hangs, dies and comes back: nobody waits, and no row is lost or doubled."""

from __future__ import annotations

import time

import orjson
import pytest

from stream.client import PredictionLogger
from stream.client.options import Format
from tests.client_rows import rows_of
from tests.conftest import OwnKafka
from tests.kafka_io import create_topic, read_all

SLOW_MACHINE_SECONDS = 5.0


@pytest.mark.parametrize("wire", ["json", "arrow"])
def test_rows_of_an_outage_arrive_once(own_kafka: OwnKafka, unique: str, wire: Format) -> None:
    broker = own_kafka()
    topic = f"{unique}predictions"
    create_topic(broker.bootstrap_servers, topic, 2)
    with PredictionLogger(
        model="m",
        bootstrap_servers=broker.bootstrap_servers,
        topic_prefix=unique,
        format=wire,
        kafka={"socket.timeout.ms": 3_000, "reconnect.backoff.max.ms": 500},
    ) as logger:
        ids = [logger.log(features={"x": number}) for number in range(300)]
        assert logger.flush(30)
        broker.pause()
        ids += log_quickly(logger, 300)
        assert not logger.flush(0.5)
        broker.resume()
        assert logger.flush(60)
        broker.kill()
        ids += log_quickly(logger, 300)
        assert not logger.flush(0.5)
        broker.restart()
        assert logger.flush(60)
        assert logger.counters == (900, 0, 0, 0, 0)
    records = read_all(broker.bootstrap_servers, topic)
    found = [row["prediction_id"] for record in records for row in rows_of(record)]
    assert orjson.dumps(sorted(found)) == orjson.dumps(sorted(ids))


def log_quickly(logger: PredictionLogger, rows: int) -> list[str]:
    begun = time.monotonic()
    ids = [logger.log(features={"x": number}) for number in range(rows)]
    assert time.monotonic() - begun < SLOW_MACHINE_SECONDS
    return ids
