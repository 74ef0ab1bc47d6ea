"""Loggers and the life of a process: forks, ends without a flush, loggers that are forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter

import orjson
import pytest

from stream.client.options import Format
from tests.alert_records import record
from tests.client_rows import rows_of
from tests.conftest import Kafka
from tests.kafka_io import create_topic, produce_all, read_all

SLOW_MACHINE_SECONDS = 5.0

MAKE = """
import os, sys
from stream.client import PredictionLogger
logger = PredictionLogger(
    model="m",
    bootstrap_servers=sys.argv[1],
    topic_prefix=sys.argv[2],
    format=sys.argv[3],
    exit_seconds=float(sys.argv[4]),
)
def log(name, rows):
    for number in range(rows):
        logger.log(features={"x": number}, prediction_id=f"{name}-{number}")
"""


def ended(
    script: str, servers: str, prefix: str = "t.", wire: str = "json", exits: float = 30
) -> tuple[int, str]:
    """How the process ended, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", MAKE + script, servers, prefix, wire, str(exits)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout


def run(
    script: str, servers: str, prefix: str = "t.", wire: str = "json", exits: float = 30
) -> str:
    status, said = ended(script, servers, prefix, wire, exits)
    assert status == 0, said
    return said


def ids(kafka: Kafka, topic: str) -> Counter[str]:
    records = read_all(kafka.bootstrap_servers, topic)
    return Counter(row["prediction_id"] for record in records for row in rows_of(record))


def expected(**rows: int) -> Counter[str]:
    return Counter(f"{name}-{number}" for name, count in rows.items() for number in range(count))


@pytest.mark.parametrize("wire", ["json", "arrow"])
def test_rows_left_at_the_end_are_sent(kafka: Kafka, unique: str, wire: Format) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    run("log('a', 1000)", kafka.bootstrap_servers, unique, wire)
    assert ids(kafka, f"{unique}predictions") == expected(a=1000)


def test_a_forgotten_logger_sends_what_it_has(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    run("log('a', 1000); del logger", kafka.bootstrap_servers, unique)
    assert ids(kafka, f"{unique}predictions") == expected(a=1000)


def test_the_end_waits_no_longer_than_asked() -> None:
    begun = run("import time; log('a', 1000); print(time.monotonic())", "127.0.0.1:1", exits=0.5)
    assert time.monotonic() - float(begun) < 0.5 + SLOW_MACHINE_SECONDS


FORK = """
log("before", 500)
child = os.fork()
if child == 0:
    assert logger.counters == (0, 0, 0, 0, 0), logger.counters
    log("child", 200)
    grandchild = os.fork()
    if grandchild == 0:
        log("grandchild", 50)
        assert logger.close(20)
        assert logger.counters == (50, 0, 0, 0, 0), logger.counters
        os._exit(0)
    assert os.waitpid(grandchild, 0)[1] == 0
    assert logger.flush(20)
    sys.exit(0)
log("parent", 100)
assert os.waitpid(child, 0)[1] == 0
assert logger.flush(20)
print(list(logger.counters))
"""


@pytest.mark.parametrize("wire", ["json", "arrow"])
def test_forked_children_send_their_own_rows_only(kafka: Kafka, unique: str, wire: Format) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    said = run(FORK, kafka.bootstrap_servers, unique, wire)
    assert orjson.loads(said) == [600, 0, 0, 0, 0]
    assert ids(kafka, f"{unique}predictions") == expected(
        before=500, child=200, grandchild=50, parent=100
    )


MULTIPROCESSING = """
import multiprocessing
log("parent", 100)
processes = [
    multiprocessing.get_context("fork").Process(target=log, args=(name, 20)) for name in "ab"
]
for process in processes:
    process.start()
for process in processes:
    process.join()
    assert process.exitcode == 0
"""


def test_a_process_that_ends_sends_what_is_left(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    run(MULTIPROCESSING, kafka.bootstrap_servers, unique)
    assert ids(kafka, f"{unique}predictions") == expected(parent=100, a=20, b=20)


TORTURE = """
import threading
def busy():
    while not done:
        logger.log(features={"x": 1.0})
done = False
threads = [threading.Thread(target=busy) for _ in range(4)]
for thread in threads:
    thread.start()
for number in range(8):
    child = os.fork()
    if child == 0:
        logger.log(features={"x": 1}, prediction_id=f"child-{number}")
        assert logger.flush(20)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
done = True
for thread in threads:
    thread.join()
"""


def test_forks_while_threads_log(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    run(TORTURE, kafka.bootstrap_servers, unique)
    found = ids(kafka, f"{unique}predictions")
    assert max(found.values()) == 1
    assert all(found[f"child-{number}"] == 1 for number in range(8))


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("sys.exit(3)", 3),
        ("raise RuntimeError('unheard')", 1),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); signal.raise_signal(15)", 4),
    ],
)
def test_an_end_that_python_sees_sends_what_is_left(
    kafka: Kafka, unique: str, end: str, status: int
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    assert ended(f"import signal; log('a', 500); {end}", kafka.bootstrap_servers, unique)[0] == (
        status
    )
    assert ids(kafka, f"{unique}predictions") == expected(a=500)


@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(0)", 0), ("os.kill(os.getpid(), 15)", -signal.SIGTERM)],
)
def test_an_end_that_python_does_not_see_loses_at_most_what_was_not_flushed(
    kafka: Kafka, unique: str, end: str, status: int
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    script = f"log('a', 500); assert logger.flush(30); log('b', 500); {end}"
    assert ended(script, kafka.bootstrap_servers, unique)[0] == status
    found = ids(kafka, f"{unique}predictions")
    assert found & expected(a=500) == expected(a=500)
    assert found <= expected(a=500, b=500)


DAEMON = """
import threading, time
def busy():
    number = 0
    while True:
        logger.log(features={"x": 1.0}, prediction_id=f"daemon-{number}")
        number += 1
        pause.wait(0.001)
pause = threading.Event()
threading.Thread(target=busy, daemon=True).start()
log("a", 500)
print(time.monotonic())
"""


def test_a_daemon_thread_that_logs_on_does_not_hold_the_end_up(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}predictions", 2)
    begun = run(DAEMON, kafka.bootstrap_servers, unique, exits=5)
    assert time.monotonic() - float(begun) < 5 + SLOW_MACHINE_SECONDS
    found = ids(kafka, f"{unique}predictions")
    assert found & expected(a=500) == expected(a=500)
    assert max(found.values()) == 1


MEMORY = """
import resource
small = PredictionLogger(
    model="m", bootstrap_servers=sys.argv[1], format=sys.argv[3], exit_seconds=0,
    buffer_bytes=8_000_000, batch_rows=100,
)
def fill(rows):
    for number in range(rows):
        small.log(features={"x": f"{number}" * 200})
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
full = fill(10_000)
print(fill(60_000) - full, small.counters.dropped)
"""


@pytest.mark.parametrize("wire", ["json", "arrow"])
def test_the_memory_of_a_full_buffer_is_bounded(wire: Format) -> None:
    grown_mb, dropped = map(int, run(MEMORY, "127.0.0.1:1", wire=wire, exits=0).split())
    assert dropped > 50_000
    assert grown_mb < 20  # the rows are 60 MB


SUBSCRIBER = """
from stream.client import AlertSubscriber
from stream.core.errors import DriftstreamError
subscriber = AlertSubscriber(
    bootstrap_servers=sys.argv[1], topic_prefix=sys.argv[2], from_beginning=True,
    group=f"{sys.argv[2]}pagers" if float(sys.argv[4]) else None,
)
assert subscriber.poll(30).id == "event-1"
child = os.fork()
if child == 0:
    try:
        subscriber.poll(5)
    except DriftstreamError as told:
        assert "make one in each process" in str(told)
        subscriber.close()
        del subscriber
        sys.exit(0)
    sys.exit(1)
assert os.waitpid(child, 0)[1] == 0
assert subscriber.poll(30).id == "event-2"
subscriber.close()
"""


@pytest.mark.parametrize("in_group", [False, True])
def test_a_forked_child_is_told_that_the_subscriber_is_its_parents(
    kafka: Kafka, unique: str, in_group: bool
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}alerts")
    produce_all(kafka.bootstrap_servers, f"{unique}alerts", [record(1), record(2)])
    run(SUBSCRIBER, kafka.bootstrap_servers, unique, exits=float(in_group))
