"""Predictions and labels through observe and detect on end, in any order; and what is due."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import orjson

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.records import Output, Source
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Agent
from tests.detect_outcomes import PROFILE
from tests.detect_world import PANE, profile_broadcast, records_slice
from tests.slices import Record, row_json, slice_of

TIMES = TimeSpec(
    pane_ms=PANE,
    out_of_orderness_ms=500,
    idle_after_ms=600_000,
    early_label_horizon_ms=2_000,
    max_lead_ms=10_000_000,
)
TASKS = 2
LENGTH = 24 * PANE
END = 100 * PANE  # a last row and a last label a partition close everything
NOW = 2_000_000_000_000
TOPICS = ("predictions", "labels")


@dataclass(frozen=True)
class Event:
    """A prediction, or a label (None retracts), of one partition and in its order."""

    task: int
    id: int
    time_ms: int
    score: float | None = None
    label: int | None = None
    group: str = ""

    @property
    def source(self) -> Source:
        return Source(TOPICS[self.score is None], self.task)

    def value(self) -> bytes:
        name = f"{self.task}-{self.id}"
        if self.score is None:
            row = {"prediction_id": name, "label": self.label, "event_time_ms": self.time_ms}
            return orjson.dumps(row)
        more = {"features": {"x": self.score}, "score": self.score, "version": "3"}
        return row_json(
            name,
            self.time_ms,
            prediction=int(self.score >= 0.5),
            tags={"group": self.group},
            latency_ms=5.0,
            **more,
        )


def events_of(seed: int, count: int) -> dict[Source, list[Event]]:
    """Predictions and their labels: early, late, twice, corrected, retracted, or never."""
    random = Random(seed)
    made: dict[Source, list[tuple[int, Event]]] = defaultdict(list)

    def add(arrives_ms: int, event: Event) -> None:
        made[event.source].append((arrives_ms, event))

    for number in range(count):
        task, time_ms = random.randrange(TASKS), random.randrange(LENGTH)
        score = random.random()
        jitter = random.choice([0, 0, 0, 300, 4_000])
        group = random.choice("ab")
        add(time_ms + jitter, Event(task, number, time_ms, score, group=group))
        if random.random() < 0.1:
            add(time_ms + jitter + 700, Event(task, number, time_ms, 1 - score, group="b"))
        at_ms = max(time_ms + random.choice([-1_500, 0, 500, 3_000, 9_000, 15_000]), 0)
        while random.random() < 0.8:
            label = random.choice([0, 1, 1, None, int(score >= 0.5)])
            late_ms = random.choice([0, 0, 400, 6_000])
            add(at_ms + late_ms, Event(task, number, at_ms, label=label))
            at_ms += random.choice([0, 200, 2_000, 7_000])
    found = {
        source: [event for _, event in sorted(made[source], key=lambda item: item[0])]
        for source in (Source(topic, task) for topic in TOPICS for task in range(TASKS))
    }
    for source, queue in found.items():
        score_or_none = None if source.topic == "labels" else 0.7
        queue.append(Event(source.partition, -1, END, score_or_none))
    return found


@dataclass
class Flow:
    """Observe agents that share the tasks, and one detect agent behind them."""

    monitor: MonitorSpec
    owners: int = 1
    outputs: list[Output] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.observe_state: list[dict[bytes, bytes]] = [{} for _ in range(TASKS)]
        self.detect_state: dict[bytes, bytes] = {}
        self.position = {Source(t, task): 0 for t in TOPICS for task in range(TASKS)}
        self.restart()

    def restart(self) -> None:
        """Everything anew, from what is committed."""
        limits = DecodeLimits(max_clock_skew_ms=60_000)
        settings = ObserveSettings(TOPICS, TASKS, 1, TIMES, limits, monitor=self.monitor)
        self.observers = [ObserveAgent(settings) for _ in range(self.owners)]
        detect = DetectSettings(TOPICS, TASKS, TIMES, monitor=self.monitor)
        self.detect = DetectAgent(detect)
        agents: list[Agent] = [*self.observers, self.detect]
        for agent in agents:
            agent.hear([profile_broadcast(PROFILE)])
        for task in range(TASKS):
            self.observers[task % self.owners].assign(
                task, self._owned([task]), self.observe_state[task]
            )
        self.detect.assign(0, {}, dict(self.detect_state))

    def feed(self, part: Sequence[Event]) -> None:
        """One slice of each observe agent, its commit, and detect's step and commit."""
        for number, observer in enumerate(self.observers):
            mine = []
            for event in part:
                if event.task % self.owners == number:
                    offset = self.position[event.source]
                    self.position[event.source] = offset + 1
                    mine.append(Record(event.source, offset, NOW, event.value()))
            if mine:
                observer.step(slice_of(mine), NOW)
            owned = self._owned(range(number, TASKS, self.owners))
            commit = observer.commit(owned, NOW)
            for change in commit.changes:
                _apply(self.observe_state[change.task], change.key, change.value)
            self._partials([o.value for o in commit.outputs if o.topic == "partials"])
        commit = self.detect.commit({}, NOW)
        self.outputs += commit.outputs
        for change in commit.changes:
            _apply(self.detect_state, change.key, change.value)

    def said(self, topic: str) -> list[bytes]:
        """What was written to a topic."""
        return sorted(o.value or b"" for o in self.outputs if o.topic == topic)

    def _partials(self, values: list[bytes | None]) -> None:
        if values:
            slice_ = records_slice(values)
            self.detect.wants_broadcasts(slice_)
            self.outputs += self.detect.step(slice_, NOW)

    def _owned(self, tasks: Sequence[int]) -> dict[Source, int]:
        return {s: p for s, p in self.position.items() if s.partition in tasks}


def _apply(state: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        state.pop(key, None)
    else:
        state[key] = value


def run(
    random: Random,
    events: dict[Source, list[Event]],
    monitor: MonitorSpec,
    *,
    owners: int = 1,
    longest: int = 8,
    restarts: bool = False,
) -> Flow:
    """Feeds the events, each source's in its order, the sources in any."""
    flow = Flow(monitor, owners)
    queues = [list(queue) for queue in events.values()]
    while any(queues):
        part = []
        favourite = random.choice(queues)
        for _ in range(random.randrange(1, longest + 1)):
            left = [queue for queue in queues if queue]
            if left:
                chosen = favourite if favourite and random.random() < 0.7 else random.choice(left)
                part.append(chosen.pop(0))
        flow.feed(part)
        if restarts and random.random() < 0.2:
            flow.restart()
    return flow


@dataclass
class Due:
    """What a window is to say."""

    rows: int = 0
    right: int = 0
    out: int = 0


def due_windows(
    events: dict[Source, list[Event]], window_ms: int
) -> tuple[dict[tuple[str, int], Due], Counter[tuple[str, int]]]:
    """By segment and start: outcomes by the design's table, and the predictions made."""
    timed = {source: _timed(queue) for source, queue in events.items()}
    outcomes: dict[tuple[str, int], Due] = defaultdict(Due)
    made: Counter[tuple[str, int]] = Counter()
    for task in range(TASKS):
        first: dict[int, tuple[int, Event]] = {}
        for time_ms, _, event in timed[Source("predictions", task)]:
            if event.id not in first:
                first[event.id] = (time_ms, event)
        labels: dict[int, list[tuple[int, int, Event]]] = defaultdict(list)
        for item in timed[Source("labels", task)]:
            labels[item[2].id].append(item)
        for id_, (time_ms, prediction) in first.items():
            for segment in ("", f"tags.group={prediction.group or 'missing'}"):
                made[segment, time_ms // window_ms * window_ms] += 1
                _join(time_ms, prediction, labels[id_], window_ms, outcomes, segment)
    return outcomes, made


def _timed(queue: list[Event]) -> list[tuple[int, int, Event]]:
    """(effective time, W just before, event) in the source's order."""
    found, largest = [], None
    for event in queue:
        before = -1 if largest is None else largest - TIMES.out_of_orderness_ms
        found.append((max(event.time_ms, before), before, event))
        largest = max(event.time_ms, -1 if largest is None else largest)
    return found


def _join(
    made_ms: int,
    prediction: Event,
    labels: list[tuple[int, int, Event]],
    window_ms: int,
    outcomes: dict[tuple[str, int], Due],
    segment: str,
) -> None:
    assert prediction.score is not None
    called = int(prediction.score >= 0.5)
    at_ms: int | None = None
    in_force: int | None = None
    for time_ms, watermark_ms, label in labels:
        if made_ms > time_ms + TIMES.early_label_horizon_ms:
            continue
        if at_ms is None:
            if label.label is not None:
                at_ms, in_force = max(time_ms, made_ms), label.label
                due = outcomes[segment, at_ms // window_ms * window_ms]
                due.rows += 1
                due.right += called == in_force
            continue
        if label.label == in_force or at_ms // PANE * PANE + PANE <= watermark_ms:
            continue
        due = outcomes[segment, at_ms // window_ms * window_ms]
        if in_force is not None:
            due.rows, due.right, due.out = (
                due.rows - 1,
                due.right - (called == in_force),
                due.out + 1,
            )
        in_force = label.label
        if in_force is not None:
            due.rows, due.right = due.rows + 1, due.right + (called == in_force)
