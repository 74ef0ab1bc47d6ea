"""Hostile records among good ones over a real Kafka, with a worker process that is killed on top.

HOSTILE_RECORDS says how many; `make fuzz` sends 100,000.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from stream import schemas
from tests.conftest import Kafka
from tests.deployment import MODEL, PANE_MS, Deployment, reference, row
from tests.hostile.case import Case
from tests.hostile.mixture import KINDS, LARGE, mixture
from tests.hostile.registry import Registry
from tests.kafka_io import Record, create_topic, produce_all

_HOSTILE = int(os.environ.get("HOSTILE_RECORDS", "3000"))
_LARGE_OF_EACH = max(1, _HOSTILE // 10_000)
_PARTITIONS = 3
_HOUR_MS = 3_600_000
_LARGEST = 12_000_000
_MOST_MB = 1_000  # that the worker's process ever has in memory
_INPUTS = ("features", "predictions", "labels")
_BATCH = 1_000

T = TypeVar("T")

Letter = tuple[str, bytes, str, int]  # topic, key, reason, rows named

pytestmark = pytest.mark.timeout(240 + _HOSTILE // 50)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        yield running


@pytest.fixture
def deployment(
    kafka: Kafka, unique: str, tmp_path: Path, registry: Registry
) -> Iterator[Deployment]:
    made = Deployment(
        kafka.bootstrap_servers,
        unique,
        tmp_path,
        idle_after="2s",
        label_patience="5s",
        max_invalid_share=1,
        transaction_timeout="10s",
        session_timeout="10s",
        registry_url=registry.url,
    )
    for name in _INPUTS:
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(_LARGEST)}
        create_topic(kafka.bootstrap_servers, unique + name, _PARTITIONS, config=config)
    made.create_topics(partitions=_PARTITIONS)
    made.publish(reference())
    made.monitor(window_ms=60 * PANE_MS, hop_ms=60 * PANE_MS, min_rows=100)
    yield made
    made.kill()


def _label(number: int, start_ms: int) -> Record:
    key = f"id-{number}"
    value = {"prediction_id": key, "label": 1, "event_time_ms": start_ms + 200_000}
    return Record(orjson.dumps(value), key.encode())


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of so many, the last one of what is left."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


class _Sent:
    """Sends good and hostile records in random order, and remembers what must become of them."""

    def __init__(self, deployment: Deployment, start_ms: int) -> None:
        self._deployment = deployment
        self._start_ms = start_ms
        self._rng = np.random.default_rng(1)
        self.cases = self.rows = self.labels = 0
        self.letters: Counter[Letter] = Counter()

    def some(self, good: range, hostile: Iterator[Case]) -> None:
        """Good predictions, labels of every second one, and hostile records among them."""
        for numbers in batched(good, _BATCH):
            cases = list(islice(hostile, len(numbers)))
            self._send(numbers, cases)
        for rest in batched(hostile, _BATCH):
            self._send((), rest)

    def _send(self, good: Sequence[int], cases: Sequence[Case]) -> None:
        rows = [row(i, self._start_ms + i % 100_000, self._rng) for i in good]
        labels = [_label(i, self._start_ms) for i in good if i % 2]
        self.rows += len(rows)
        self.labels += len(labels)
        records = {"predictions": rows, "labels": labels, "features": []}
        for case in cases:
            records[case.topic].append(case.record)
            self.rows += case.rows if case.topic == "predictions" else 0
            self.letters.update(_letters_of(case))
        self.cases += len(cases)
        for name, sent in records.items():
            topic = self._deployment.topic(name)
            mixed = (sent[i] for i in self._rng.permutation(len(sent)).tolist())
            produce_all(self._deployment.bootstrap_servers, topic, mixed, largest=_LARGEST)


def _noise(deployment: Deployment) -> None:
    """What has no business on the topics that only we and the commands write."""
    rng = np.random.default_rng(2)
    odd = [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff" * 100,
        b'{"model":"credit","windows":-1}',
        rng.bytes(999),
    ]
    keys = (MODEL.model.encode(), MODEL.key.encode(), b"\xff", None)
    records = [Record(value, key) for value in (*odd, None) for key in keys]
    for topic in ("profiles", "monitors"):
        deployment.produce(topic, [record for record in records if record.key == b"\xff"])
    real = [read.value or b"" for read in deployment.read("partials")][:3]
    cut = [Record(value[: len(value) // 2], b"k") for value in real]
    deployment.produce("partials", [*records, *cut])


class _Progress:
    """How far the observe group has come."""

    def __init__(self, deployment: Deployment) -> None:
        group = f"{deployment.prefix}observe"
        settings = {"bootstrap.servers": deployment.bootstrap_servers, "group.id": group}
        self._consumer = Consumer(settings)
        self._places = [
            TopicPartition(deployment.topic(name), number)
            for name in _INPUTS
            for number in range(_PARTITIONS)
        ]

    def done(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether all of the inputs are committed; asks once a second, while the worker lives."""
        with suppress(subprocess.TimeoutExpired):
            worker.wait(1)
        consumer = self._consumer
        committed = consumer.committed(self._places, timeout=30)
        ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in self._places]
        return all(one.offset >= end for one, end in zip(committed, ends, strict=True))

    def close(self) -> None:
        """Leaves."""
        self._consumer.close()


def _peak_mb(worker: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{worker.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def _letters_of(case: Case) -> Iterator[Letter]:
    """One for each reason, with how many rows it names: none where it is the whole record."""
    for reason, rows in case.refused.items():
        named = rows if case.rows or len(case.refused) > 1 else 0
        yield case.topic, (case.record.key or b"")[:4_096], reason.value, named


def _letters(deployment: Deployment) -> Counter[Letter]:
    found: Counter[Letter] = Counter()
    places: Counter[tuple[str, int, int, str]] = Counter()
    for read in deployment.read("dead-letters"):
        letter = schemas.decode_avro("dead_letter", read.value or b"")
        found[letter["topic"], letter["key"] or b"", letter["reason"], len(letter["rows"])] += 1
        places[letter["topic"], letter["partition"], letter["offset"], letter["reason"]] += 1
    assert set(places.values()) <= {1}, "one letter a record and reason, kills or not"
    return found


def test_every_hostile_record_is_counted_or_has_one_letter_and_every_good_one_counts(
    deployment: Deployment, pytestconfig: pytest.Config
) -> None:
    start_ms = int(time.time() * 1000) - _HOUR_MS
    sent = _Sent(deployment, start_ms)
    half = _HOSTILE // 2
    peaks = []
    sent.some(range(half), mixture(7, half, start_ms))
    worker = deployment.start()
    deployment.wait("letters", lambda: bool(deployment.read("dead-letters")))
    peaks.append(_peak_mb(worker))
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    _noise(deployment)
    worker = deployment.start()
    rest = mixture(8, half, start_ms, large=_LARGE_OF_EACH, first=_HOSTILE)
    sent.some(range(half, 2 * half), rest)
    progress = _Progress(deployment)
    deployment.wait("all input", lambda: progress.done(worker), 150 + _HOSTILE / 100)
    progress.close()
    deployment.wait("windows", lambda: _counted(deployment) >= (sent.rows, sent.labels), 200)
    peaks.append(_peak_mb(worker))
    deployment.stop()
    assert _counted(deployment) == (sent.rows, sent.labels)
    assert _letters(deployment) == sent.letters
    assert max(peaks) < _MOST_MB, f"{peaks} MB"
    kinds = len(KINDS) + len(LARGE)
    told = f"{sent.cases:,} hostile records of {kinds} kinds, peaks of {peaks} MB"
    pytestconfig.get_terminal_writer().line(told)


def _counted(deployment: Deployment) -> tuple[int, int]:
    """The rows and the outcomes that windows hold."""
    found: Counter[str] = Counter()
    for window in deployment.windows():
        found[window["kind"]] += window["rows"]
    return found["data"], found["performance"]
