"""AlertSubscriber on a real broker: tail and group, both CloudEvents modes, garbage, filters."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import orjson
import pytest

from stream.client import Alert, AlertSubscriber
from stream.core.errors import ConfigError
from stream.core.specs import Severity
from tests.alert_records import QUIET, data, record, taken
from tests.conftest import Kafka
from tests.kafka_io import Record, create_topic, produce_all


def structured(number: int) -> Record:
    event = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "test",
        "type": "io.driftstream.incident.opened.v1",
        "data": data(),
    }
    content_type = b"application/cloudevents+json; charset=UTF-8"
    return Record(orjson.dumps(event), b"k", (("content-type", content_type),))


@pytest.fixture
def topic(kafka: Kafka, unique: str) -> str:
    create_topic(kafka.bootstrap_servers, f"{unique}alerts")
    return f"{unique}alerts"


def test_all_alerts_in_both_modes_and_no_garbage(kafka: Kafka, unique: str, topic: str) -> None:
    broken = record(3).headers
    records = [
        Record(b"\xff\x00 no event", b"k"),
        record(1),
        Record(None, b"k"),
        record(1),
        Record(b'{"model": 3}', b"k", broken),
        structured(2),
    ]
    produce_all(kafka.bootstrap_servers, topic, records)
    with AlertSubscriber(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, from_beginning=True
    ) as subscriber:
        alerts = taken(subscriber, 2)
        assert subscriber.counters == (2, 0, 1, 2)
    assert [alert.id for alert in alerts] == ["event-1", "event-2"]
    assert alerts[0].data == alerts[1].data
    first = alerts[0]
    assert (first.model, first.version, first.state) == ("credit", "3", "opened")
    assert first.severity is Severity.INFO
    assert [(e.name, e.value, e.threshold) for e in first.evidence] == [("age", 0.31, 0.2)]
    assert (first.partition, first.offset) == (0, 1)


def test_a_tail_begins_where_it_connected(kafka: Kafka, unique: str, topic: str) -> None:
    produce_all(kafka.bootstrap_servers, topic, [record(1)])
    with AlertSubscriber(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique
    ) as subscriber:
        assert subscriber.connect(30)
        produce_all(kafka.bootstrap_servers, topic, [record(2)])
        assert [alert.id for alert in taken(subscriber, 1)] == ["event-2"]


def test_filters(kafka: Kafka, unique: str, topic: str) -> None:
    records = [
        record(1),
        record(2, severity="critical"),
        record(3, severity="critical", model="fraud"),
        record(4, severity="critical", state="resolved"),
    ]
    produce_all(kafka.bootstrap_servers, topic, records)
    with AlertSubscriber(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        from_beginning=True,
        models=["credit"],
        states=["opened"],
        severity="warning",
    ) as subscriber:
        assert [alert.id for alert in taken(subscriber, 1)] == ["event-2"]
        assert subscriber.counters.filtered == 3


def test_a_group_gets_again_what_its_handler_failed_on(
    kafka: Kafka, unique: str, topic: str
) -> None:
    produce_all(kafka.bootstrap_servers, topic, [record(1), record(2), record(3)])

    def subscriber() -> AlertSubscriber:
        return AlertSubscriber(
            bootstrap_servers=kafka.bootstrap_servers,
            topic_prefix=unique,
            group=f"{unique}pagers",
            from_beginning=True,
        )

    handled: list[str] = []

    def fails_on_second(alert: Alert) -> None:
        if alert.id == "event-2":
            raise RuntimeError("the pager is down")
        handled.append(alert.id)

    with subscriber() as first:
        with pytest.raises(RuntimeError, match="pager is down"):
            first.run(fails_on_second)
        again = first.poll(30)
        assert again is not None
        assert again.id == "event-2"
    with subscriber() as second:
        assert second.connect(30)
        second.run(lambda alert: handled.append(alert.id), timeout=5)
    assert handled == ["event-1", "event-2", "event-3"]
    with subscriber() as third:
        assert third.connect(30)
        assert third.poll(QUIET) is None


def test_a_new_group_begins_at_the_end_and_keeps_that_place(
    kafka: Kafka, unique: str, topic: str
) -> None:
    produce_all(kafka.bootstrap_servers, topic, [record(1)])
    settings: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "topic_prefix": unique,
        "group": f"{unique}pagers",
    }
    with AlertSubscriber(**settings) as died_before_the_first_alert:
        assert died_before_the_first_alert.connect(30)
    produce_all(kafka.bootstrap_servers, topic, [record(2)])
    with AlertSubscriber(**settings) as subscriber:
        alert = subscriber.poll(30)
    assert alert is not None
    assert alert.id == "event-2"


def test_stop_ends_a_waiting_run_even_without_a_broker() -> None:
    subscriber = AlertSubscriber(bootstrap_servers="127.0.0.1:1")
    thread = threading.Thread(target=subscriber.run, args=(print,))
    thread.start()
    subscriber.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert not subscriber.connect(0.2)
    subscriber.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"severity": "loud"}, "severity"),
        ({"states": ["open"]}, "states: open"),
        ({"models": "credit"}, "models"),
        ({"group": ""}, "group"),
        ({"kafka": {"no.such.property": 1}}, "no.such.property"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AlertSubscriber(bootstrap_servers="127.0.0.1:1", **settings)


_LOOP = """
from stream.client import AlertSubscriber
with AlertSubscriber(bootstrap_servers="127.0.0.1:1") as alerts:
    alerts.stop_on_signals()
    print("waiting", flush=True)
    for alert in alerts:
        print(alert)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_loop_cleanly(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _LOOP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    printed, errors = process.communicate(timeout=10)
    assert (process.returncode, printed) == (0, "ended\n"), errors
    assert "Traceback" not in errors


def test_closing_puts_the_signals_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    subscriber = AlertSubscriber(bootstrap_servers="127.0.0.1:1")
    subscriber.stop_on_signals()
    subscriber.stop_on_signals()
    assert signal.getsignal(signal.SIGINT) != before
    subscriber.close()
    assert signal.getsignal(signal.SIGINT) == before
