"""`make bench`: what a worker does with each workload, as multiples of a floor.

Every rate is the median of interleaved rounds over one real Kafka on this machine. The floor is
a plain confluent-kafka consumer that calls `orjson.loads` on each JSON prediction; the rates of
workloads with labels count events, predictions and labels alike, and `floor_labels` is what the
plain consumer does with those same events. Beside them stand the join without Kafka
(`benchmarks.join`) and how long a worker takes to restore a million pending predictions. Writes
benchmarks/latest.json, where what wasn't measured this time keeps its last figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import orjson

from benchmarks.load import WORKLOADS, load
from benchmarks.measure import How, Task
from stream.adapters.kafka.local import LocalKafka
from stream.adapters.kafka.topics import ensure_topics

_JOIN, _RESTORE = "join_core", "restore"
_RATES = tuple(name for name in WORKLOADS if name != _RESTORE)
_ALL = (*_RATES, _JOIN, _RESTORE)
_LATEST = Path(__file__).parent / "latest.json"

_Reading = dict[str, float]


def main() -> None:
    """Loads the topics, measures in rounds, prints a table and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the rows; below 1 for a look")
    parser.add_argument("--only", choices=_ALL, action="append")
    options = parser.parse_args()
    names = tuple(options.only or _ALL)
    found: dict[str, object] = {}
    if _JOIN in names:
        found[_JOIN] = _join(options.share)
    if names != (_JOIN,):
        given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if given:
            found |= _over_kafka(given, names, options.rounds, options.share)
        else:
            with LocalKafka() as kafka:
                servers = kafka.bootstrap_servers
                found |= _over_kafka(servers, names, options.rounds, options.share)
    if options.share < 1:
        return
    known = orjson.loads(_LATEST.read_bytes()) if _LATEST.exists() else {}
    _LATEST.write_bytes(orjson.dumps(known | found, option=orjson.OPT_INDENT_2))
    _say(f"written to {_LATEST}")


def _join(share: float) -> _Reading:
    """The join alone, in a process of its own."""
    pending, measured = (str(round(count * share)) for count in (10_000_000, 2_000_000))
    found = _run(["benchmarks.join", "--pending", pending, "--measured", measured])
    _say(f"{_JOIN}: {found}")
    return found


def _over_kafka(
    bootstrap: str, names: Sequence[str], rounds: int, share: float
) -> dict[str, object]:
    found: dict[str, object] = {}
    if _RESTORE in names:
        task = _prepare(bootstrap, _RESTORE, How.RESTORE, share)
        readings = [_measure(task) for _ in range(rounds)]
        found[_RESTORE] = {
            key: round(median(reading[key] for reading in readings), 2) for key in readings[0]
        }
        _say(f"{_RESTORE}: {found[_RESTORE]}")
    rates = [name for name in _RATES if name in names]
    return found | (_rates(bootstrap, rates, rounds, share) if rates else {})


def _rates(bootstrap: str, names: Sequence[str], rounds: int, share: float) -> dict[str, object]:
    """The rates of the workloads and of their floors, measured in turns."""
    wanted = dict.fromkeys(("json", *names))  # the floor's rows are always there
    tasks = {name: _prepare(bootstrap, name, How.OBSERVE, share) for name in wanted}
    turns = {"floor": _as_floor(tasks["json"])}
    if "json_labels" in names:
        turns["floor_labels"] = _as_floor(tasks["json_labels"])
    turns |= {name: tasks[name] for name in names}
    readings: dict[str, list[_Reading]] = {name: [] for name in turns}
    for number in range(rounds):
        for name, task in turns.items():
            readings[name].append(_measure(task))
        now = ", ".join(f"{name} {taken[-1]['rate']:,.0f}/s" for name, taken in readings.items())
        _say(f"round {number + 1} of {rounds}: {now}")
    return _table(readings)


def _prepare(bootstrap: str, name: str, how: How, share: float) -> Task:
    """One workload's topics, filled."""
    prefix = f"bench-{name.replace('_', '-')}-{uuid.uuid4().hex[:6]}."
    partitions = WORKLOADS[name].partitions
    ensure_topics({"bootstrap.servers": bootstrap}, prefix, source_partitions=partitions)
    events = load(bootstrap, name, prefix, share)
    _say(f"{name}: {events:,} events loaded")
    return Task(name, how, bootstrap, prefix, events)


def _as_floor(task: Task) -> Task:
    return Task(task.name, How.FLOOR, task.bootstrap, task.prefix, task.events)


def _measure(task: Task) -> _Reading:
    """Runs one measurement in a process of its own."""
    return _run(["benchmarks.measure", task.to_json()])


def _run(module: Sequence[str]) -> _Reading:
    """What a module, run as a process, prints as JSON at its end."""
    done = subprocess.run([sys.executable, "-m", *module], stdout=subprocess.PIPE, check=True)
    reading: _Reading = orjson.loads(done.stdout.splitlines()[-1])
    return reading


def _table(readings: dict[str, list[_Reading]]) -> dict[str, object]:
    """Prints the medians beside the floor; they as they are kept in the file."""
    rates = {name: median(r["rate"] for r in taken) for name, taken in readings.items()}
    latest: dict[str, object] = {}
    _say(f"{'':14}{'events/s':>12}{'of the floor':>14}")
    for name, rate in rates.items():
        ratio = rate / rates["floor"]
        _say(f"{name:14}{rate:>12,.0f}{ratio:>14.2f}")
        latest[name] = {"rate": round(rate), "ratio": round(ratio, 3)}
    for name in ("json", "json_labels"):
        if name in readings:
            rss = {key: median(r[f"rss_{key}"] for r in readings[name]) for key in ("start", "end")}
            _say(f"resident memory over {name}: {rss['start']:.0f} -> {rss['end']:.0f} MB")
            if name == "json":
                latest["rss_mb"] = {key: round(value, 1) for key, value in rss.items()}
    return latest


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
