"""Large sizes beside usual ones, over a real Kafka: partitions, features, categories.

    python -m benchmarks.sizes [--only partitions|features|categories] [--share 0.1]

partitions: rows and labels at a steady rate on 100 + 100 partitions, and on 4 + 4. What a commit
takes, how far the engine lengthens its interval for it, and the share of the time it comes to.
features: a filled topic of a model of 200 features, and of 20, in JSON and in Arrow. What a
worker's observe gets through in a second, and what the ends of windows take in detect.
categories: the same for a feature of 5,000 categories, and of 10; one row in sixteen has one that
the reference doesn't know.

Each side runs in a process of its own. The last column is the larger size's figure as a multiple
of the usual one's. The exit status is 1 where rows aren't read in time or windows are missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping

import numpy as np
import orjson

from benchmarks.floor import run_floor
from benchmarks.load import Feed
from benchmarks.sdk_ground import broker
from benchmarks.sizes_rows import Shape
from benchmarks.sizes_worker import WINDOW_MS, Side
from benchmarks.workload import (
    ARROW_ROWS,
    MODEL,
    POOL_ROWS,
    Pool,
    arrow_records,
    ids,
    json_rows,
)
from stream import schemas
from stream.adapters.kafka.topics import ensure_topics
from stream.core.pane.content import profile_to_record
from stream.topics import TOPICS, changelog

_WINDOWS = 6
_SPAN_MS = _WINDOWS * WINDOW_MS + 2 * 60_000  # of event time; the last two minutes end the windows
_HOUR_MS = 3_600_000
_PARTITIONS = 12
_VALUES = {"json": 30_000_000, "arrow": 120_000_000}  # feature values of a filled topic
_LABEL_SECONDS = 2.0

_Reading = dict[str, float]


def main() -> int:
    """Measures what is asked for, prints a table of each; 1 where windows are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("partitions", "features", "categories"))
    parser.add_argument("--share", type=float, default=1.0, help="of the rows of filled topics")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady streams")
    parser.add_argument("--rate", type=int, default=2_000, help="their predictions a second")
    options = parser.parse_args()
    whole = True
    with broker() as servers:
        if options.only in {None, "partitions"}:
            sides = {
                f"{count} + {count}": _steady(servers, count, options.rate, options.seconds)
                for count in (4, 100)
            }
            _table(f"partitions, {options.rate:,} predictions/s and their labels", sides)
        if options.only in {None, "features"}:
            shapes = {"20": Shape(), "200": Shape(tens=10)}
            whole &= _filled(servers, "features", shapes, options.share)
        if options.only in {None, "categories"}:
            shapes = {"10": Shape(categories=10), "5,000": Shape(categories=5_000)}
            whole &= _filled(servers, "categories", shapes, options.share)
    return 0 if whole else 1


def _steady(servers: str, partitions: int, rate: int, seconds: float) -> _Reading:
    """Rows and labels at a steady rate while a worker's observe reads them."""
    pool, rows = Pool(), round(rate * seconds)
    sources = ("predictions", "labels")
    side = Side(servers, _topics(servers, sources, partitions), sources, partitions, 2 * rows)
    feed = Feed(servers, side.prefix)
    feed.profiles(pool, [MODEL], labelled=True)
    feed.finish()
    with _started(side) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()  # until it is ready
        _send(feed, pool, rows, rate)
        return _said(worker)


def _send(feed: Feed, pool: Pool, rows: int, rate: int) -> None:
    """Sends predictions as the clock goes, each one's label a little later."""
    tails, keys = pool.tails(), ids(1_000, np.random.default_rng(1))
    head = b'{"prediction_id":"%s","model":"credit","version":"3","event_time_ms":%d'
    label = b'{"prediction_id":"%s","label":%d,"event_time_ms":%d}'
    due: deque[tuple[float, bytes, int]] = deque()
    started, sent, pause = time.monotonic(), 0, threading.Event()
    while sent < rows or due:
        now, now_ms = time.monotonic() - started, time.time_ns() // 1_000_000
        batch: list[tuple[str, bytes, bytes]] = []
        while sent < min(rows, now * rate):
            key, place = next(keys), sent % POOL_ROWS
            batch.append(("predictions", key, head % (key, now_ms) + tails[place]))
            due.append((now + _LABEL_SECONDS, key, int(pool.label[place])))
            sent += 1
        while due and due[0][0] <= now:
            _, key, found = due.popleft()
            batch.append(("labels", key, label % (key, found, now_ms)))
        feed.rows(batch)
        pause.wait(0.05)
    feed.finish()


def _filled(servers: str, what: str, shapes: Mapping[str, Shape], share: float) -> bool:
    """Filled topics of each shape, in each format; True where all windows were written."""
    whole = True
    for form in _VALUES:
        sides: dict[str, _Reading] = {}
        for name, shape in shapes.items():
            side, profile = _fill(servers, shape, form, share)
            with _started(side) as worker:
                sides[name] = {"profile, KB": profile / 1e3} | _said(worker)
            whole &= sides[name]["detect: windows"] >= _WINDOWS
            if form == "json":
                floor = run_floor(servers, [side.prefix + "predictions"], _PARTITIONS, side.rows)
                sides[name]["observe: of the floor"] = sides[name]["observe: rows/s"] / floor.rate
        _table(f"{what}, {form}", sides)
    return whole


def _fill(servers: str, shape: Shape, form: str, share: float) -> tuple[Side, int]:
    """A topic of rows of this shape, and the bytes of its profile's record."""
    turn = _PARTITIONS * ARROW_ROWS
    rows = max(4, round(_VALUES[form] * share / shape.features / turn)) * turn
    prefix = _topics(servers, ("predictions",), _PARTITIONS)
    feed, pool, reference = Feed(servers, prefix), shape.stream(), shape.reference()
    begin_ms = (int(time.time() * 1_000) // _HOUR_MS - 2) * _HOUR_MS
    rows_a_ms = rows / _SPAN_MS
    if form == "json":
        made = json_rows(pool, rows, [MODEL], begin_ms, rows_a_ms)
        feed.rows(("predictions", *row) for row in made)
    else:
        each = rows_a_ms / _PARTITIONS
        records = arrow_records(pool, rows // ARROW_ROWS, _PARTITIONS, begin_ms, each)
        feed.batches(("predictions", *record) for record in records)
    feed.profiles(reference, [MODEL], labelled=False)
    feed.finish()
    record = profile_to_record(reference.profile(MODEL))
    size = len(schemas.encode_json("reference_profile", record))
    side = Side(
        servers, prefix, ("predictions",), _PARTITIONS, rows, shape.features, windows=_WINDOWS
    )
    return side, size


def _topics(servers: str, sources: tuple[str, ...], partitions: int) -> str:
    """The prefix of topics made anew."""
    prefix = f"bench-sizes-{uuid.uuid4().hex[:6]}."
    ensure_topics(
        {"bootstrap.servers": servers},
        prefix,
        source_partitions=partitions,
        topics=[*TOPICS, changelog("observe", sources), changelog("detect", ("partials",))],
    )
    return prefix


def _started(side: Side) -> subprocess.Popen[bytes]:
    """A process that measures one side."""
    command = [sys.executable, "-m", "benchmarks.sizes_worker", side.to_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _said(worker: subprocess.Popen[bytes]) -> _Reading:
    """What the process prints at its end."""
    out, _ = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"a measuring process ended with status {worker.returncode}")
    reading: _Reading = orjson.loads(out.splitlines()[-1])
    return reading


def _table(title: str, sides: Mapping[str, _Reading]) -> None:
    """The figures of two sides, and the second as a multiple of the first."""
    (usual, left), (larger, right) = sides.items()
    print(f"\n{title + ':':38}{usual:>14}{larger:>14}{'ratio':>8}")
    for name, value in left.items():
        ratio = f"{right[name] / value:8.2f}" if value else f"{'':8}"
        print(f"{name:38}{_figure(value)}{_figure(right[name])}{ratio}", flush=True)


def _figure(value: float) -> str:
    return f"{value:14,.3f}" if value < 100 else f"{value:14,.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
