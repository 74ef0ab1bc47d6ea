"""One measurement, in a process of its own: `python -m benchmarks.measure TASK`."""

from __future__ import annotations

import sys
import threading
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum
from time import monotonic, perf_counter

import orjson

from benchmarks.floor import run_floor
from benchmarks.load import WORKLOADS
from benchmarks.meter import Meter
from stream.adapters.kafka.topics import ensure_topics
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.specs import TimeSpec
from stream.engine import EngineSettings, Runner
from stream.engine.observer import SilentObserver
from stream.topics import TOPICS, changelog

__all__ = ["How", "RowCounter", "Task", "main"]


class How(StrEnum):
    """What a measuring process does with a workload."""

    FLOOR = "floor"  # reads it with a plain consumer
    OBSERVE = "observe"  # has a worker observe it
    RESTORE = "restore"  # has a worker observe it, and another go on from its state


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: a workload's events, and how."""

    name: str
    how: str
    bootstrap: str
    prefix: str
    events: int

    def to_json(self) -> str:
        """For the command line of the measuring process."""
        return orjson.dumps(asdict(self)).decode()


class RowCounter(SilentObserveObserver):
    """Hears of each slice's rows; stops the runner when the meter is full, or all is read."""

    def __init__(self, meter: Meter, stop: threading.Event, *, whole: bool = False) -> None:
        self._meter = meter
        self._stop = stop
        self._whole = whole
        self.kept: dict[int, int] = {}

    def pending(self, task: int, predictions: int, labels: int) -> None:
        """So many predictions of a task are kept."""
        del labels
        self.kept[task] = predictions

    def rows(self, topic: str, count: int) -> None:
        """Rows were folded."""
        del topic
        self._meter.add(perf_counter(), count)
        done = self._meter.count == self._meter.rows if self._whole else self._meter.full
        if done:
            self._stop.set()

    def rejected(self, reason: str, count: int) -> None:
        """The workload has no bad rows."""
        raise AssertionError(f"{count} rows of the workload were rejected: {reason}")


class _Restored(SilentObserver):
    """Stops the runner when all tasks are restored; keeps how long it took."""

    def __init__(self, tasks: int, stop: threading.Event) -> None:
        self._left = tasks
        self._stop = stop
        self.seconds = 0.0
        self.records = 0

    def restored(self, agent: str, tasks: int, records: int, seconds: float) -> None:
        """Some tasks are restored."""
        del agent
        self.seconds, self.records = self.seconds + seconds, self.records + records
        self._left -= tasks
        if not self._left:
            self._stop.set()


def _agent(task: Task, name: str, observer: SilentObserveObserver) -> ObserveAgent:
    """The observe agent of this name with a worker's settings."""
    workload = WORKLOADS[task.name]
    settings = ObserveSettings(
        sources=workload.sources,
        partitions=workload.partitions,
        partials_partitions=min(16, workload.partitions),
        times=TimeSpec(),
        limits=DecodeLimits(),
    )
    agent = ObserveAgent(settings, observer=observer)
    agent.name = name
    return agent


def _observe(task: Task, name: str, meter: Meter, *, whole: bool = False) -> int:
    """The observe agent on the engine with its defaults, from a fresh group.

    Returns how many predictions are pending at its end.
    """
    stop = threading.Event()
    counter = RowCounter(meter, stop, whole=whole)
    agent = _agent(task, name, counter)
    ensure_topics(
        {"bootstrap.servers": task.bootstrap},
        task.prefix,
        source_partitions=WORKLOADS[task.name].partitions,
        topics=[*TOPICS, changelog(agent.name, agent.inputs)],
    )
    Runner(agent, EngineSettings(bootstrap_servers=task.bootstrap, prefix=task.prefix)).run(stop)
    return sum(counter.kept.values())


def _restore(task: Task, name: str) -> dict[str, float]:
    """A second worker goes on from the state of one that observed everything and left."""
    pending = _observe(task, name, Meter(task.events), whole=True)
    stop = threading.Event()
    restored = _Restored(WORKLOADS[task.name].partitions, stop)
    settings = EngineSettings(bootstrap_servers=task.bootstrap, prefix=task.prefix)
    agent = _agent(task, name, SilentObserveObserver())
    started = monotonic()
    Runner(agent, settings, restored).run(stop)
    return {
        "seconds": restored.seconds,
        "seconds_with_joining_and_leaving": monotonic() - started,
        "records": restored.records,
        "pending": pending,
    }


def main() -> None:
    """Measures the task named on the command line and prints the reading as JSON."""
    task = Task(**orjson.loads(sys.argv[1]))
    workload, name = WORKLOADS[task.name], f"observe-{uuid.uuid4().hex[:8]}"
    reading: dict[str, float]
    if task.how == How.FLOOR:
        topics = [task.prefix + source for source in workload.sources]
        found = run_floor(task.bootstrap, topics, workload.partitions, task.events)
        reading = asdict(found)
    elif task.how == How.RESTORE:
        reading = _restore(task, name)
    else:
        meter = Meter(task.events)
        _observe(task, name, meter)
        reading = asdict(meter.reading())
    print(orjson.dumps(reading).decode())


if __name__ == "__main__":
    main()
