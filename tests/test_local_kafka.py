from __future__ import annotations

from collections.abc import Callable

from stream.adapters.kafka.local import LocalKafka
from tests.conftest import Kafka
from tests.kafka_io import Record, create_topic, produce_all, read_all


def test_records_come_back_in_order(kafka: Kafka, unique: str) -> None:
    topic = f"{unique}numbers"
    create_topic(kafka.bootstrap_servers, topic, 2)
    sent = [Record(str(i).encode(), key=b"k", headers=(("h", b"v"),)) for i in range(100)]
    produce_all(kafka.bootstrap_servers, topic, sent)
    rows = read_all(kafka.bootstrap_servers, topic)
    assert [row.value for row in rows] == [record.value for record in sent]
    assert {row.headers for row in rows} == {(("h", b"v"),)}


def test_killed_broker_restarts_with_its_data(own_kafka: Callable[..., LocalKafka]) -> None:
    local = own_kafka()
    create_topic(local.bootstrap_servers, "kept")
    produce_all(local.bootstrap_servers, "kept", [Record(b"1")])
    local.kill()
    assert not local.running()
    local.restart()
    assert [row.value for row in read_all(local.bootstrap_servers, "kept")] == [b"1"]
