"""`make bench`: what a worker does with JSON, Avro and Arrow rows, as multiples of a floor.

Every figure is the median of interleaved rounds over one real Kafka on this machine. The floor
is a plain confluent-kafka consumer that calls `orjson.loads` on each value. Writes
benchmarks/latest.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import uuid
from pathlib import Path
from statistics import median

import orjson

from benchmarks.load import Sizes, load
from benchmarks.measure import Task
from stream.adapters.kafka.local import LocalKafka
from stream.adapters.kafka.topics import ensure_topics

_WORKLOADS = ("json", "avro", "arrow", "json_models")
_LATEST = Path(__file__).parent / "latest.json"


def main() -> None:
    """Loads the topics, measures in rounds, prints a table and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the rows; below 1 for a look")
    parser.add_argument("--only", choices=_WORKLOADS, action="append")
    options = parser.parse_args()
    names = tuple(options.only or _WORKLOADS)
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        _run(given, names, options.rounds, options.share)
    else:
        with LocalKafka() as kafka:
            _run(kafka.bootstrap_servers, names, options.rounds, options.share)


def _run(bootstrap: str, names: tuple[str, ...], rounds: int, share: float) -> None:
    tasks = [_prepare(bootstrap, name, share) for name in names]
    floor = next((task for task in tasks if task.name == "json"), None) or _prepare(
        bootstrap, "json", share
    )
    readings: dict[str, list[dict[str, float]]] = {name: [] for name in ("floor", *names)}
    for number in range(rounds):
        readings["floor"].append(_measure(floor.as_floor()))
        for task in tasks:
            readings[task.name].append(_measure(task))
        _say(f"round {number + 1} of {rounds}: {_rates(readings)}")
    _report(readings)


def _prepare(bootstrap: str, name: str, share: float) -> Task:
    """One workload's topics, filled."""
    prefix = f"bench-{name.replace('_', '-')}-{uuid.uuid4().hex[:6]}."
    many = name == "json_models"
    partitions = Sizes.many_partitions if many else Sizes.partitions
    ensure_topics({"bootstrap.servers": bootstrap}, prefix, source_partitions=partitions)
    rows = load(bootstrap, name, prefix, share)
    _say(f"{name}: {rows:,} rows loaded")
    return Task(name, bootstrap, prefix, partitions, rows)


def _measure(task: Task) -> dict[str, float]:
    """Runs one measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.measure", task.to_json()]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    reading: dict[str, float] = orjson.loads(done.stdout.splitlines()[-1])
    return reading


def _rates(readings: dict[str, list[dict[str, float]]]) -> str:
    return ", ".join(f"{name} {taken[-1]['rate']:,.0f}/s" for name, taken in readings.items())


def _report(readings: dict[str, list[dict[str, float]]]) -> None:
    rates = {name: median(r["rate"] for r in taken) for name, taken in readings.items()}
    latest: dict[str, object] = {}
    _say(f"{'':14}{'rows/s':>12}{'of the floor':>14}")
    for name, rate in rates.items():
        ratio = rate / rates["floor"]
        _say(f"{name:14}{rate:>12,.0f}{ratio:>14.2f}")
        latest[name] = {"rate": round(rate)}
        if name != "floor":
            latest[name] = {"rate": round(rate), "ratio": round(ratio, 3)}
    if "json" in readings:
        rss = {key: median(r[f"rss_{key}"] for r in readings["json"]) for key in ("start", "end")}
        latest["rss_mb"] = {key: round(value, 1) for key, value in rss.items()}
        _say(f"resident memory over the JSON rows: {rss['start']:.0f} -> {rss['end']:.0f} MB")
    _LATEST.write_bytes(orjson.dumps(latest, option=orjson.OPT_INDENT_2))
    _say(f"written to {_LATEST}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
