"""A hundred or so predictions and their labels, for observe with detect behind it."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import orjson

from stream.core.records import Source
from stream.core.specs import MonitorSpec, TimeSpec
from tests.detect_outcomes import PROFILE
from tests.detect_world import PANE, profile_broadcast
from tests.label_flow import NOW, TOPICS, Deployment
from tests.slices import Record, row_json

TASKS = 2
LENGTH = 24 * PANE
END = 100 * PANE  # a last row and a last label a partition close everything


def deployed(monitor: MonitorSpec) -> Deployment:
    """All models watched by one monitor, and the profile of the one there is."""
    times = TimeSpec(
        pane_ms=PANE,
        out_of_orderness_ms=500,
        idle_after_ms=600_000,
        early_label_horizon_ms=2_000,
    )
    return Deployment(times, TASKS, monitor, (profile_broadcast(PROFILE),))


def events_of(seed: int, count: int) -> dict[Source, list[Record]]:
    """Predictions and their labels: early, late, twice, corrected, retracted, or never."""
    random = Random(seed)
    made: dict[Source, list[tuple[int, bytes]]] = defaultdict(list)
    for number in range(count):
        task, time_ms = random.randrange(TASKS), random.randrange(LENGTH)
        predictions, labels = (made[Source(topic, task)] for topic in TOPICS)
        name, score, group = f"{task}-{number}", random.random(), random.choice("ab")
        at_ms = time_ms + random.choice([0, 0, 0, 300, 4_000])
        predictions.append((at_ms, _prediction(name, time_ms, score, group)))
        if random.random() < 0.1:
            predictions.append((at_ms + 700, _prediction(name, time_ms, 1 - score, "b")))
        at_ms = max(time_ms + random.choice([-1_500, 0, 500, 3_000, 9_000, 15_000]), 0)
        while random.random() < 0.8:
            label = random.choice([0, 1, 1, None, int(score >= 0.5)])
            late_ms = random.choice([0, 0, 400, 6_000])
            labels.append((at_ms + late_ms, _label(name, at_ms, label)))
            at_ms += random.choice([0, 200, 2_000, 7_000])
    return {source: _records(source, made[source]) for source in _sources()}


def _sources() -> list[Source]:
    return [Source(topic, task) for topic in TOPICS for task in range(TASKS)]


def _records(source: Source, values: list[tuple[int, bytes]]) -> list[Record]:
    """The values in the order in which they arrive, and a last one."""
    ordered = [value for _, value in sorted(values, key=lambda item: item[0])]
    name = f"{source.partition}-last"
    last = _label(name, END, None)
    if source.topic == "predictions":
        last = _prediction(name, END, 0.7, "")
    return [Record(source, at, NOW, value) for at, value in enumerate([*ordered, last])]


def _prediction(name: str, time_ms: int, score: float, group: str) -> bytes:
    return row_json(
        name,
        time_ms,
        version="3",
        features={"x": score},
        score=score,
        prediction=int(score >= 0.5),
        tags={"group": group},
        latency_ms=5.0,
    )


def _label(name: str, time_ms: int, label: int | None) -> bytes:
    return orjson.dumps({"prediction_id": name, "label": label, "event_time_ms": time_ms})
