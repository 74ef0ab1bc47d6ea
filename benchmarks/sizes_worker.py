"""One side of `benchmarks.sizes`, in a process of its own.

    python -m benchmarks.sizes_worker SIDE

Observe reads so many rows and stops; then, where windows are wanted, detect reads what observe
wrote. Prints an agent's name when it is ready, and at the end the figures as JSON, by the name
they are shown under.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import monotonic

import numpy as np
import orjson

from benchmarks.measure import RowCounter
from benchmarks.meter import Meter, resident_mb
from benchmarks.timed import Commits, TimedDetect, TimedObserve, Times
from stream.agents.detect.agent import DetectSettings
from stream.agents.observe.agent import ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine import EngineSettings, Runner
from stream.topics import MAX_PARTIALS_PARTITIONS

__all__ = ["WINDOW_MS", "Side", "main"]

WINDOW_MS = 5 * 60_000
_MONITOR = MonitorSpec(window_ms=WINDOW_MS, hop_ms=WINDOW_MS)
_OBSERVE_SECONDS, _DETECT_SECONDS = 240.0, 120.0
_FIRST_COMMITS = 2  # of a steady run, that aren't looked at: buffers grow, plans are made

_Reading = dict[str, float]


class _Commits(Commits):
    """Keeps what commits took, and prints a line when the tasks are restored."""

    def ready(self, agent: str, ready: bool) -> None:
        """Said on each change."""
        if ready:
            print(agent, flush=True)


@dataclass(frozen=True, slots=True)
class Side:
    """What to read: rows of these topics, of so many features; and the windows they must make."""

    bootstrap: str
    prefix: str
    sources: tuple[str, ...]
    partitions: int
    rows: int
    features: int = 0
    windows: int = 0

    def to_json(self) -> str:
        """For the command line of the measuring process."""
        return orjson.dumps(asdict(self)).decode()


def main() -> None:
    """Measures the side named on the command line and prints the reading as JSON."""
    side = Side(**orjson.loads(sys.argv[1]))
    meter, times = _observed(side)
    if side.windows:
        reading = _through(side, meter, times) | _detected(side)
    else:
        reading = _steady(times)
    print(orjson.dumps(reading).decode())


def _observed(side: Side) -> tuple[Meter, Times]:
    """Runs observe until it has folded all rows."""
    stop, meter = threading.Event(), Meter(side.rows)
    settings = ObserveSettings(
        side.sources,
        side.partitions,
        min(MAX_PARTIALS_PARTITIONS, side.partitions),
        TimeSpec(),
        DecodeLimits(),
        monitor=_MONITOR,
    )
    agent = TimedObserve(settings, RowCounter(meter, stop, whole=True))
    with _ended_after(_OBSERVE_SECONDS, stop):
        _runner(side, agent).run(stop)
    if meter.count < side.rows:
        raise SystemExit(f"observe read {meter.count:,} of {side.rows:,} rows in time")
    return meter, agent.times


def _detected(side: Side) -> _Reading:
    """Runs detect until it has written the windows, or gives up."""
    stop = threading.Event()
    settings = DetectSettings(
        side.sources, side.partitions, TimeSpec(), "bench", _MONITOR, closing_seconds=0.25
    )
    agent = TimedDetect(settings)
    with ThreadPoolExecutor(1) as threads:
        running, started = threads.submit(_runner(side, agent).run, stop), monotonic()
        while agent.times.windows < side.windows and monotonic() < started + _DETECT_SECONDS:
            if running.done() or stop.wait(0.1):
                break
        stop.set()
        running.result()
    times = agent.times
    return {
        "detect: windows": times.windows,
        "detect: end of a window, s, median": _quantile(times.ends, 0.5),
        "detect: end of a window, s, most": _quantile(times.ends, 1.0),
        "detect: commit, s, most": _quantile(times.commits, 1.0),
        "detect: largest window, KB": times.window_bytes / 1e3,
        "detect: largest record, KB": times.largest / 1e3,
        "both: resident, MB": resident_mb(),
    }


def _through(side: Side, meter: Meter, times: Times) -> _Reading:
    """What observe did with a filled topic; on the clock, and by the CPU of its own part."""
    rate, cpu = meter.reading().rate, sum(times.steps) + sum(times.cpu)
    return {
        "observe: rows/s": rate,
        "observe: feature values/s": rate * side.features,
        "observe: rows/s of CPU": side.rows / cpu,
        "observe: feature values/s of CPU": side.rows / cpu * side.features,
        "observe: commit, s, median": _quantile(times.commits, 0.5),
        "observe: commit, s, most": _quantile(times.commits, 1.0),
        "observe: largest record, KB": times.largest / 1e3,
        "observe: resident, MB": resident_mb(),
    }


def _steady(times: Times) -> _Reading:
    """What the commits of a steady stream took, and how much of the time."""
    later, first = slice(_FIRST_COMMITS, None), _FIRST_COMMITS - 1
    commits, intervals = times.commits[later], times.intervals[later]
    if not commits:
        raise SystemExit(f"{len(times.commits)} commits are too few: let it run longer")
    lasted, used = times.ended[-1] - times.ended[first], times.used[-1] - times.used[first]
    return {
        "commits": len(commits),
        "commit, s, median": _quantile(commits, 0.5),
        "commit, s, 90 %": _quantile(commits, 0.9),
        "commit, s, most": _quantile(commits, 1.0),
        "commit, agent's part, s, median": _quantile(times.own[later], 0.5),
        "commit, agent's part, CPU, s, median": _quantile(times.cpu[later], 0.5),
        "commit interval, s, median": _quantile(intervals, 0.5),
        "commit interval, s, most": _quantile(intervals, 1.0),
        "share of the time in commits": sum(commits) / lasted,
        "CPU of the process, of one core": used / lasted,
        "largest record, KB": times.largest / 1e3,
        "resident, MB": resident_mb(),
    }


def _runner(side: Side, agent: TimedObserve | TimedDetect) -> Runner:
    return Runner(agent, EngineSettings(side.bootstrap, side.prefix), _Commits(agent.times))


@contextmanager
def _ended_after(seconds: float, stop: threading.Event) -> Iterator[None]:
    """`stop` is set after so long, if the block lasts."""
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(np.array(values or [0.0]), share))


if __name__ == "__main__":
    main()
