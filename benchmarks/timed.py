"""The two agents of a worker, timed: what their calls take and how large their records are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import ObserveObserver
from stream.core.records import Output, Slice, Source
from stream.engine import Commit
from stream.engine.observer import SilentObserver

__all__ = ["Commits", "TimedDetect", "TimedObserve", "Times"]


@dataclass
class Times:
    """Seconds of each call of one agent, on the clock or of its thread's CPU.

    `ended` are the moments (monotonic) at which `commits` ended, `used` the CPU seconds of the
    process by then, `intervals` what the engine chose as the time to the next one. `ends` are
    windows' shares (on the clock) of the calls that wrote them.
    """

    commits: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    windows: int = 0
    window_bytes: int = 0
    largest: int = 0  # bytes of the largest record that was written, of any topic

    def stepped(self, call: Callable[[], Sequence[Output]]) -> Sequence[Output]:
        """What the call returns; it took a step."""
        wall, cpu = time.perf_counter(), time.thread_time()
        outputs = call()
        self.steps.append(time.thread_time() - cpu)
        self._written(outputs, time.perf_counter() - wall)
        return outputs

    def committed(self, call: Callable[[], Commit]) -> Commit:
        """What the call returns; it was the agent's part of a commit."""
        wall, cpu = time.perf_counter(), time.thread_time()
        commit = call()
        self.own.append(time.perf_counter() - wall)
        self.cpu.append(time.thread_time() - cpu)
        self._written(commit.outputs, self.own[-1])
        sizes = (len(change.value or b"") for change in commit.changes)
        self.largest = max(self.largest, *sizes, 0)
        return commit

    def _written(self, outputs: Sequence[Output], seconds: float) -> None:
        windows = [len(o.value or b"") for o in outputs if o.topic == "windows"]
        if windows:
            self.ends += [seconds / len(windows)] * len(windows)
        self.windows += len(windows)
        self.window_bytes = max(self.window_bytes, *windows, 0)
        self.largest = max(self.largest, *(len(o.value or b"") for o in outputs), 0)


class TimedDetect(DetectAgent):
    """The detect agent, timed."""

    def __init__(self, settings: DetectSettings) -> None:
        super().__init__(settings)
        self.times = Times()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        return self.times.stepped(lambda: super(TimedDetect, self).step(slice_, now_ms))

    def work(self, now_ms: int) -> Sequence[Output]:
        return self.times.stepped(lambda: super(TimedDetect, self).work(now_ms))

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        return self.times.committed(lambda: super(TimedDetect, self).commit(positions, now_ms))


class TimedObserve(ObserveAgent):
    """The observe agent, timed."""

    def __init__(self, settings: ObserveSettings, observer: ObserveObserver | None = None) -> None:
        super().__init__(settings, observer=observer)
        self.times = Times()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        return self.times.stepped(lambda: super(TimedObserve, self).step(slice_, now_ms))

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        return self.times.committed(lambda: super(TimedObserve, self).commit(positions, now_ms))


class Commits(SilentObserver):
    """Keeps what each commit took as a whole, and when the next one is due."""

    def __init__(self, times: Times) -> None:
        self._times = times

    def committed(self, agent: str, seconds: float) -> None:
        """A transaction was committed."""
        del agent
        self._times.commits.append(seconds)
        self._times.ended.append(time.monotonic())
        self._times.used.append(time.process_time())

    def paced(self, agent: str, seconds: float) -> None:
        """The next commit is due after so long."""
        del agent
        self._times.intervals.append(seconds)
