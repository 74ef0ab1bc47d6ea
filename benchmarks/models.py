"""A thousand models on one worker over a real Kafka: what their commits and window ends take.

    python -m benchmarks.models [--models 1000] [--windows 3] [--rate 2000]

A process produces JSON rows of 20 features, the models in turn, at a steady rate; a second is a
minute of event time, so that a window of an hour ends each minute. Both agents of a worker run
here, each in its thread. Prints seconds of commits and of the agents' own part in them, on the
clock and of CPU (the machine may be busy with other things), and the windows that were written.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import nullcontext

import numpy as np
from confluent_kafka import Producer

from benchmarks.meter import resident_mb
from benchmarks.timed import Commits, TimedDetect, TimedObserve, Times
from benchmarks.workload import POOL_ROWS, Pool, ids, model_keys
from stream import schemas
from stream.adapters.kafka.local import LocalKafka
from stream.adapters.kafka.topics import ensure_topics
from stream.agents.detect.agent import DetectSettings
from stream.agents.observe.agent import ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine import EngineSettings, Runner
from stream.topics import TOPICS, changelog

_HOUR_MS = 3_600_000
_PARTITIONS = 6
_MONITOR = MonitorSpec(min_rows=20)
_SOURCES = ("predictions",)
_AGENTS = ("observe", "detect")


def main() -> None:
    """Loads the profiles, runs both agents while rows come, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--rate", type=int, default=2_000, help="rows a second")
    parser.add_argument("--produce", nargs=2, metavar=("SERVERS", "PREFIX"), help="internal")
    options = parser.parse_args()
    if options.produce:
        _produce(options.produce, options.models, options.rate, 60 * options.windows + 20)
        return
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    with nullcontext() if given else LocalKafka() as kafka:
        servers = given or (kafka.bootstrap_servers if kafka else "")
        _run(servers, options.models, options.windows, options.rate)


def _run(servers: str, models: int, windows: int, rate: int) -> None:
    prefix = f"bench-models-{uuid.uuid4().hex[:6]}."
    changelogs = [changelog("observe", _SOURCES), changelog("detect", ("partials",))]
    ensure_topics(
        {"bootstrap.servers": servers},
        prefix,
        source_partitions=_PARTITIONS,
        topics=[*TOPICS, *changelogs],
    )
    _publish(servers, prefix, models)
    observe = TimedObserve(
        ObserveSettings(_SOURCES, _PARTITIONS, _PARTITIONS, TimeSpec(), DecodeLimits())
    )
    detect = TimedDetect(
        DetectSettings(_SOURCES, _PARTITIONS, TimeSpec(), "bench", _MONITOR, closing_seconds=0.25)
    )
    stop = threading.Event()
    settings = EngineSettings(servers, prefix)
    threads = [
        threading.Thread(target=Runner(agent, settings, Commits(agent.times)).run, args=(stop,))
        for agent in (observe, detect)
    ]
    for thread in threads:
        thread.start()
    command = [sys.executable, "-m", "benchmarks.models", "--models", str(models)]
    command += ["--rate", str(rate), "--windows", str(windows), "--produce", servers, prefix]
    subprocess.run(command, check=True)
    wanted, deadline = models * windows, time.monotonic() + 300
    while detect.times.windows < wanted and time.monotonic() < deadline:
        stop.wait(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    _print(observe.times, detect.times, models, wanted)


def _print(observe: Times, detect: Times, models: int, wanted: int) -> None:
    print(f"{models} models, {detect.windows} of {wanted} windows, {resident_mb():.0f} MB resident")
    print(f"{'seconds':34}{'median':>9}{'99 %':>9}{'most':>9}")
    for name, times in zip(_AGENTS, (observe, detect), strict=True):
        rows = (
            ("commit", times.commits),
            ("commit, agent's part", times.own),
            ("commit, agent's part, CPU", times.cpu),
            ("step, CPU", times.steps),
        )
        for label, values in rows:
            quantiles = np.quantile(np.array(values or [0.0]), [0.5, 0.99, 1.0])
            print(f"{name + ': ' + label:34}" + "".join(f"{value:9.3f}" for value in quantiles))


def _publish(servers: str, prefix: str, models: int) -> None:
    producer = Producer({"bootstrap.servers": servers})
    for profile in Pool().profiles(model_keys(models)):
        value = schemas.encode_json("reference_profile", profile_to_record(profile))
        producer.produce(prefix + "profiles", value, profile_key(profile))
        producer.poll(0)
    producer.flush()


def _produce(where: tuple[str, str], models: int, rate: int, seconds: int) -> None:
    """Rows of so many minutes of event time, a minute a second."""
    servers, prefix = where
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 20}
    )
    tails, keys = Pool().tails(), ids(1_000, np.random.default_rng(1))
    begin_ms = (int(time.time() * 1_000) // _HOUR_MS - seconds // 60 - 2) * _HOUR_MS
    started, sent = time.monotonic(), 0
    pause = threading.Event()
    while (now := time.monotonic() - started) < seconds:
        while sent < now * rate:
            key = next(keys)
            head = b'{"prediction_id":"%s","model":"model-%04d","version":"1","event_time_ms":%d'
            row = head % (key, sent % models, begin_ms + sent * 60_000 // rate)
            producer.produce(prefix + "predictions", row + tails[sent % POOL_ROWS], key)
            sent += 1
        producer.poll(0)
        pause.wait(0.05)
    producer.flush()


if __name__ == "__main__":
    main()
