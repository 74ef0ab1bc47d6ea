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
from collections.abc import Iterator
from pathlib import Path

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


def _label(record: Record, start_ms: int) -> Record:
    key = (record.key or b"").decode()
    value = {"prediction_id": key, "label": 1, "event_time_ms": start_ms + 200_000}
    return Record(orjson.dumps(value), record.key)


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


def _consumed(deployment: Deployment) -> bool:
    """Whether the observe group has committed all of the inputs."""
    settings = {
        "bootstrap.servers": deployment.bootstrap_servers,
        "group.id": f"{deployment.prefix}observe",
    }
    consumer = Consumer(settings)
    try:
        places = [
            TopicPartition(deployment.topic(name), number)
            for name in _INPUTS
            for number in range(_PARTITIONS)
        ]
        committed = consumer.committed(places, timeout=30)
        ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
        # behind the last record may stand a marker of a transaction, but producers here have none
        return all(one.offset >= end for one, end in zip(committed, ends, strict=True))
    finally:
        consumer.close()


def _peak_mb(worker: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{worker.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def _expected_letters(cases: list[Case]) -> Counter[tuple[str, bytes, str, int]]:
    """Of each record and reason one, with how many rows it names (none where it is the whole)."""
    wanted: Counter[tuple[str, bytes, str, int]] = Counter()
    for case in cases:
        for reason, rows in case.refused.items():
            named = rows if case.rows or len(case.refused) > 1 else 0
            wanted[case.topic, (case.record.key or b"")[:4_096], reason.value, named] += 1
    return wanted


def _letters(deployment: Deployment) -> Counter[tuple[str, bytes, str, int]]:
    found: Counter[tuple[str, bytes, str, int]] = Counter()
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
    rng = np.random.default_rng(1)
    start_ms = int(time.time() * 1000) - _HOUR_MS
    good = [row(i, start_ms + i % 100_000, rng) for i in range(_HOSTILE)]
    cases = list(mixture(7, _HOSTILE, start_ms, large=_LARGE_OF_EACH))
    predictions = [*good, *(case.record for case in cases if case.topic == "predictions")]
    labels = [_label(record, start_ms) for record in good[: _HOSTILE // 2]]
    sent = {
        "predictions": predictions,
        "labels": [*labels, *(case.record for case in cases if case.topic == "labels")],
        "features": [case.record for case in cases if case.topic == "features"],
    }
    order = {name: rng.permutation(len(records)).tolist() for name, records in sent.items()}
    peaks = []
    for part in range(2):
        for name, records in sent.items():
            half = order[name][part::2]
            produce_all(
                deployment.bootstrap_servers,
                deployment.topic(name),
                (records[i] for i in half),
                largest=_LARGEST,
            )
        worker = deployment.start()
        if part == 0:
            deployment.wait("letters", lambda: bool(deployment.read("dead-letters")))
            peaks.append(_peak_mb(worker))
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
            _noise(deployment)
    deployment.wait("all input", lambda: _consumed(deployment), 150 + _HOSTILE / 100)
    rows = len(good) + sum(case.rows for case in cases if case.topic == "predictions")
    deployment.wait("all rows", lambda: _rows(deployment, "data") >= rows)
    deployment.wait("all outcomes", lambda: _rows(deployment, "performance") >= len(labels))
    peaks.append(_peak_mb(worker))
    deployment.stop()
    assert _rows(deployment, "data") == rows
    assert _rows(deployment, "performance") == len(labels)
    assert _letters(deployment) == _expected_letters(cases)
    assert max(peaks) < _MOST_MB, f"{peaks} MB"
    told = f"{len(cases):,} hostile records of {len(KINDS) + len(LARGE)} kinds, peak {peaks} MB"
    pytestconfig.get_terminal_writer().line(told)


def _rows(deployment: Deployment, kind: str) -> int:
    return sum(window["rows"] for window in deployment.windows() if window["kind"] == kind)
