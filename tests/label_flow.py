"""Observe and detect, one behind the other, fed with any slices, commits and crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.records import Output, Source
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Agent, Broadcast
from tests.detect_world import records_slice
from tests.slices import Record, slice_of

TOPICS = ("predictions", "labels")
NOW = 2_000_000_000_000

Queues = Mapping[Source, Sequence[Record]]


@dataclass(frozen=True)
class Deployment:
    """What all agents of a flow are told. `broadcasts` stand on the compacted topics."""

    times: TimeSpec
    tasks: int
    monitor: MonitorSpec
    broadcasts: tuple[Broadcast, ...] = ()


class Counts(SilentObserveObserver):
    """Counts the events of the join, and what was rejected."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def joined(self, event: str, count: int) -> None:
        self.events[event] += count

    def rejected(self, reason: str, count: int) -> None:
        self.events[reason] += count


@dataclass
class Flow:
    """Observe agents that share the tasks, and one detect agent behind them.

    What was stepped over since the last commit is lost in a crash, and read again.
    """

    deployment: Deployment
    queues: Queues
    owners: int = 1
    outputs: list[Output] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._observe_state: list[dict[bytes, bytes]] = [{} for _ in range(self.deployment.tasks)]
        self._detect_state: dict[bytes, bytes] = {}
        self._partials: list[bytes | None] = []
        self._committed = dict.fromkeys(self.queues, 0)
        self._detect_committed = 0
        self.crash()

    def crash(self, owners: int | None = None) -> None:
        """Everything anew, from what is committed; `owners` observe agents share the tasks."""
        self.owners = owners or self.owners
        self.position, self._detect_at = dict(self._committed), self._detect_committed
        self._said: list[Output] = []
        self._counts = Counts()
        deployment = self.deployment
        limits = DecodeLimits(max_clock_skew_ms=deployment.times.max_clock_skew_ms)
        settings = ObserveSettings(
            TOPICS, deployment.tasks, 1, deployment.times, limits, monitor=deployment.monitor
        )
        self._observers = [
            ObserveAgent(settings, observer=self._counts) for _ in range(self.owners)
        ]
        self._detect = DetectAgent(
            DetectSettings(TOPICS, deployment.tasks, deployment.times, monitor=deployment.monitor)
        )
        agents: list[Agent] = [*self._observers, self._detect]
        for agent in agents:
            agent.hear(deployment.broadcasts)
        for task in range(deployment.tasks):
            owned = {s: p for s, p in self._committed.items() if s.partition == task}
            self._observers[task % self.owners].assign(task, owned, dict(self._observe_state[task]))
        self._detect.assign(0, {}, dict(self._detect_state))

    def left(self, before: int = 0, ahead: Mapping[Source, int] | None = None) -> list[Source]:
        """The sources with records to read, but for their last ones and as many `ahead`."""
        return [
            source
            for source, queue in self.queues.items()
            if self.position[source] + (ahead or {}).get(source, 0) < len(queue) - before
        ]

    def step(self, part: Sequence[Source]) -> None:
        """One slice of each observe agent: the next record of each of these sources, in order."""
        records: list[list[Record]] = [[] for _ in self._observers]
        for source in part:
            records[source.partition % self.owners].append(
                self.queues[source][self.position[source]]
            )
            self.position[source] += 1
        for observer, mine in zip(self._observers, records, strict=True):
            if mine:
                observer.step(slice_of(mine), NOW)

    def commit(self) -> None:
        """A commit of each observe agent."""
        for number, observer in enumerate(self._observers):
            mine = {s: p for s, p in self.position.items() if s.partition % self.owners == number}
            commit = observer.commit(mine, NOW)
            for change in commit.changes:
                _apply(self._observe_state[change.task], change.key, change.value)
            self._partials += [o.value for o in commit.outputs if o.topic == "partials"]
        self._committed = dict(self.position)
        self.events += self._counts.events
        self._counts.events.clear()

    def detect(self, *, commit: bool = True) -> None:
        """Detect's step over all partials there are, and its commit."""
        values = self._partials[self._detect_at :]
        if values:
            slice_ = records_slice(values, self._detect_at)
            self._detect.wants_broadcasts(slice_)
            self._said += self._detect.step(slice_, NOW)
            self._detect_at = len(self._partials)
        if commit:
            done = self._detect.commit({}, NOW)
            self.outputs += [*self._said, *done.outputs]
            self._said = []
            for change in done.changes:
                _apply(self._detect_state, change.key, change.value)
            self._detect_committed = self._detect_at

    def said(self, topic: str) -> list[bytes]:
        """What was written to a topic."""
        return sorted(o.value or b"" for o in self.outputs if o.topic == topic)


def _apply(state: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        state.pop(key, None)
    else:
        state[key] = value


def run(
    random: Random,
    queues: Queues,
    deployment: Deployment,
    *,
    owners: int = 1,
    longest: int = 8,
    lazy: float = 0.3,
    crashes: float = 0.0,
) -> Flow:
    """Feeds the queues, each in its order, interleaved in any way, in slices of any length.

    A commit is skipped with the chance `lazy`, and a crash follows a step with the chance
    `crashes`. The last record of each queue follows a commit of all others:
    what a commit counts is told by the next step.
    """
    flow = Flow(deployment, queues, owners)
    while flow.left(before=1):
        flow.step(_part(random, flow, random.randrange(1, longest + 1)))
        if random.random() < crashes:
            flow.crash(random.choice((1, 2)))
            continue
        if random.random() >= lazy:
            flow.commit()
        flow.detect(commit=random.random() >= lazy)
    flow.commit()
    flow.step(flow.left())
    flow.commit()
    flow.detect()
    return flow


def _part(random: Random, flow: Flow, length: int) -> list[Source]:
    """The sources of the next records, mostly of one."""
    ahead = Counter[Source]()
    favourite = random.choice(flow.left(before=1))
    part: list[Source] = []
    while len(part) < length:
        left = flow.left(before=1, ahead=ahead)
        if not left:
            break
        chosen = favourite if favourite in left and random.random() < 0.7 else random.choice(left)
        ahead[chosen] += 1
        part.append(chosen)
    return part
