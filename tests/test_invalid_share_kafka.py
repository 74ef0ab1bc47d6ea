"""A partition of rubbish on a real Kafka: paused, the worker unready, then well by itself."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream import schemas
from stream.core.pane.partial import decode_partial
from tests.conftest import Kafka
from tests.deployment import MODEL, PANE_MS, Deployment, reference, row
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(280)

_RUBBISH = 300
_SLICE = 200


@pytest.fixture
def deployment(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(
        kafka.bootstrap_servers,
        unique,
        tmp_path,
        sources="predictions",
        idle_after="2s",
        slice_records=_SLICE,
    )
    made.create_topics(partitions=3)
    made.publish(reference())
    made.monitor(window_ms=60 * PANE_MS, hop_ms=60 * PANE_MS, min_rows=10)
    yield made
    made.kill()


def _address(deployment: Deployment) -> str:
    pattern = re.compile(r"/readyz at (http://\S+)")
    deployment.wait("an address", lambda: pattern.search(deployment.log()) is not None)
    found = pattern.search(deployment.log())
    assert found is not None
    return found[1]


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # http, our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:  # a busy machine: no answer is none
        return 0, ""


def _paused(url: str) -> set[str]:
    """The partitions that aren't read for what they hold."""
    return set(re.findall(r"(predictions/\d): paused, too many", _get(url)[1]))


def _rubbish(count: int, partition: int) -> list[Record]:
    return [Record(b"rubbish %d" % number, b"k", partition=partition) for number in range(count)]


def _good(count: int, partition: int, start_ms: int, model: str = MODEL.model) -> list[Record]:
    rng = np.random.default_rng(4)
    rows = [row(number, start_ms + number, rng, model=model) for number in range(count)]
    return [Record(each.value, each.key, partition=partition) for each in rows]


def _rows(deployment: Deployment, model: str = MODEL.model) -> int:
    schema = schemas.schema("pane_partial")
    told = [decode_partial(read.value or b"", schema) for read in deployment.read("partials")]
    return sum(g.rows for each in told for g in each.groups if g.model.model == model)


def _letters(deployment: Deployment) -> int:
    return len(deployment.read("dead-letters"))


def test_rubbish_pauses_its_partition_until_what_follows_is_good_or_nothing(
    deployment: Deployment,
) -> None:
    start_ms = int(time.time() * 1000) - 3_600_000
    deployment.start()
    ready = f"{_address(deployment)}/readyz"
    deployment.wait("readiness", lambda: _get(ready)[0] == 200)
    followed = [*_rubbish(_SLICE, 1), *_good(1_000, 1, start_ms)]
    deployment.produce("predictions", [*_rubbish(_RUBBISH, 0), *followed])
    deployment.wait("the pauses", lambda: _paused(ready) == {"predictions/0", "predictions/1"})
    assert _get(ready)[0] == 503 and _get(ready.replace("readyz", "livez"))[0] == 200
    paused = time.monotonic()
    deployment.produce("predictions", _good(300, 2, start_ms, model="other"))
    deployment.wait("the other partition", lambda: _rows(deployment, "other") == 300)
    rows, letters = _rows(deployment), _letters(deployment)
    if time.monotonic() - paused < 20:
        assert rows < 1_000, "what follows the rubbish waits for a trial"
        assert letters < _RUBBISH + _SLICE, "most of the rubbish was not read"
    # 30 s later a slice of each is tried: one is good now; the other has rubbish left, then nothing
    deployment.wait("all rows", lambda: _rows(deployment) == 1_000, 60)
    assert time.monotonic() - paused > 20
    assert _paused(ready) <= {"predictions/0"}
    deployment.wait("readiness", lambda: _get(ready)[0] == 200, 100)
    assert time.monotonic() - paused > 50, "the second trial found nothing more"
    assert _letters(deployment) == _RUBBISH + _SLICE
