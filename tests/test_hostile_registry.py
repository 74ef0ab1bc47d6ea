"""A worker on a real Kafka beside a registry that fails in all ways, and what it is sent again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from stream import schemas
from stream.cli.application import run
from tests.conftest import Kafka
from tests.deployment import PANE_MS, Deployment, reference, row
from tests.hostile.registry import Registry
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(280)

_ID = 7


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as running:
        running.schemas[_ID] = orjson.dumps(schemas.source("prediction")).decode()
        yield running


@pytest.fixture
def deployment(
    kafka: Kafka, unique: str, tmp_path: Path, registry: Registry
) -> Iterator[Deployment]:
    made = Deployment(
        kafka.bootstrap_servers,
        unique,
        tmp_path,
        sources="predictions",
        max_invalid_share=1,
        registry_url=registry.url,
    )
    made.create_topics(partitions=2)
    made.publish(reference())
    made.monitor(window_ms=60 * PANE_MS, hop_ms=60 * PANE_MS, min_rows=10)
    yield made
    made.kill()


def _framed(first: int, count: int) -> list[Record]:
    """Rows in the registry's frame."""
    rng = np.random.default_rng(first)
    start = b"\x00" + _ID.to_bytes(4, "big")
    now_ms = int(time.time() * 1000)
    rows = [row(number, now_ms, rng) for number in range(first, first + count)]
    return [
        Record(start + schemas.encode_avro("prediction", orjson.loads(r.value or b"")), r.key)
        for r in rows
    ]


@pytest.mark.parametrize("how", ["hangs", "babbles", "refuses"])
def test_a_registry_that_fails_costs_no_row_and_no_worker(
    deployment: Deployment, registry: Registry, how: str
) -> None:
    registry.fails = how
    plain = row(0, int(time.time() * 1000), np.random.default_rng(0))
    deployment.produce("predictions", [plain, *_framed(1, 200)])
    deployment.start()
    deployment.wait("two questions", lambda: registry.asked >= 2)
    assert deployment.read("dead-letters") == []
    registry.fails = ""
    registry.release()
    deployment.wait("all rows", lambda: deployment.counted()["rows"] == 201)
    deployment.stop()
    assert deployment.read("dead-letters") == []


def _letters(deployment: Deployment) -> list[dict[str, object]]:
    read = deployment.read("dead-letters")
    return [schemas.decode_avro("dead_letter", each.value) for each in read if each.value]


def test_repaired_records_count_and_what_fails_again_says_so(
    deployment: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    now_ms = int(time.time() * 1000)
    deployment.produce("predictions", [row(i, 1000 * now_ms, rng) for i in range(100)])
    deployment.start()
    deployment.wait("letters", lambda: len(_letters(deployment)) == 100)
    shared = ["-b", deployment.bootstrap_servers, "--topic-prefix", deployment.prefix]
    assert run(["dead-letters", "export", "--reason", "time_out_of_range", *shared]) == 0
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines[:60]:
        line["value"] = line["value"].replace(str(1000 * now_ms), str(now_ms))
    file = tmp_path / "repaired.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    for _ in range(2):
        assert run(["dead-letters", "replay", str(file), *shared]) == 0
    deployment.wait("the repaired ones", lambda: deployment.counted()["rows"] == 60)
    deployment.wait("the others", lambda: len(_letters(deployment)) == 140)
    deployment.stop()
    assert deployment.counted()["rows"] == 60
    attempt = {"name": "driftstream-attempt", "value": b"2"}
    told = [letter for letter in _letters(deployment) if attempt in letter["headers"]]  # type: ignore[operator]  # a list
    assert len(told) == 40
    assert {letter["reason"] for letter in told} == {"time_out_of_range"}
    assert sorted(str(letter["key"]) for letter in told) == sorted(
        str(line["key"].encode()) for line in lines[60:]
    )
