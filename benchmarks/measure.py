"""One measurement, in a process of its own: `python -m benchmarks.measure TASK`."""

from __future__ import annotations

import dataclasses
import sys
import threading
import uuid
from dataclasses import asdict, dataclass
from time import perf_counter

import orjson

from benchmarks.floor import run_floor
from benchmarks.meter import Meter, Reading
from stream.adapters.kafka.topics import ensure_topics
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.specs import TimeSpec
from stream.engine import EngineSettings, Runner
from stream.topics import TOPICS, changelog

__all__ = ["Task", "main"]


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: a workload's rows, by a worker or by the floor."""

    name: str
    bootstrap: str
    prefix: str
    partitions: int
    rows: int

    def as_floor(self) -> Task:
        """The same rows, read by the floor."""
        return dataclasses.replace(self, name="floor")

    def to_json(self) -> str:
        """For the command line of the measuring process."""
        return orjson.dumps(asdict(self)).decode()


class _Counter(SilentObserveObserver):
    """Hears of each slice's rows, and stops the runner when the meter is full."""

    def __init__(self, meter: Meter, stop: threading.Event) -> None:
        self._meter = meter
        self._stop = stop

    def rows(self, topic: str, count: int) -> None:
        """Rows were folded."""
        del topic
        self._meter.add(perf_counter(), count)
        if self._meter.full:
            self._stop.set()

    def rejected(self, reason: str, count: int) -> None:
        """The workload has no bad rows."""
        raise AssertionError(f"{count} rows of the workload were rejected: {reason}")


def _run_observe(task: Task) -> Reading:
    """The observe agent on the engine with its defaults, from a fresh group."""
    meter, stop = Meter(task.rows), threading.Event()
    settings = ObserveSettings(
        sources=("predictions",),
        partitions=task.partitions,
        partials_partitions=min(16, task.partitions),
        times=TimeSpec(),
        limits=DecodeLimits(),
    )
    agent = ObserveAgent(settings, observer=_Counter(meter, stop))
    agent.name = f"observe-{uuid.uuid4().hex[:8]}"
    ensure_topics(
        {"bootstrap.servers": task.bootstrap},
        task.prefix,
        source_partitions=task.partitions,
        topics=[*TOPICS, changelog(agent.name, agent.inputs)],
    )
    Runner(agent, EngineSettings(bootstrap_servers=task.bootstrap, prefix=task.prefix)).run(stop)
    return meter.reading()


def main() -> None:
    """Measures the task named on the command line and prints the reading as JSON."""
    task = Task(**orjson.loads(sys.argv[1]))
    if task.name == "floor":
        topic = f"{task.prefix}predictions"
        reading = run_floor(task.bootstrap, topic, task.partitions, task.rows)
    else:
        reading = _run_observe(task)
    print(orjson.dumps(asdict(reading)).decode())


if __name__ == "__main__":
    main()
