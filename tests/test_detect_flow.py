"""Observe and detect on end, without Kafka: rows in, windows out."""

from __future__ import annotations

from random import Random

import orjson
import pytest

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.records import Output, Source
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Broadcast
from tests.detect_world import records_slice
from tests.slices import Record, row_json, slice_of

PANE = 1_000
TIMES = TimeSpec(pane_ms=PANE, out_of_orderness_ms=500, idle_after_ms=6_000)
MONITOR = MonitorSpec(window_ms=5 * PANE, hop_ms=5 * PANE, min_rows=50, warmup_rows=300)
PARTITIONS = 2
START = 1_760_000_000_000
NOW = START + 1_000_000


def records() -> list[Record]:
    """1,500 rows over 30 s whose ages jump after 20 s; the last close everything."""
    random = Random(4)
    found = []
    offsets = [0] * PARTITIONS
    for number in range(1_500):
        time_ms = START + 20 * number
        ages = random.gauss(40, 5) if number < 1_000 else random.gauss(60, 5)
        features = {"age": ages, "state": random.choice(["a", "b", None]), "odd": 1}
        partition = random.randrange(PARTITIONS)
        event_ms = time_ms - random.choice([0, 0, 300, 3_000])
        value = row_json(str(number), event_ms, features=features, prediction=number % 2)
        found.append(Record(Source("predictions", partition), offsets[partition], time_ms, value))
        offsets[partition] += 1
    for partition in range(PARTITIONS):
        value = row_json("last", START + 40 * PANE, features={}, prediction=0)
        source = Source("predictions", partition)
        found.append(Record(source, offsets[partition], START + 40 * PANE, value))
    return found


class Flow:
    """One observe agent a group of partitions, and one detect agent behind them."""

    def __init__(self, owners: int, *, observe_hears: bool) -> None:
        limits = DecodeLimits(max_clock_skew_ms=60_000)
        settings = ObserveSettings(("predictions",), PARTITIONS, 1, TIMES, limits)
        self.observers = [ObserveAgent(settings) for _ in range(owners)]
        self.detect = DetectAgent(
            DetectSettings(("predictions",), PARTITIONS, TIMES, monitor=MONITOR)
        )
        self.detect.assign(0, {}, {})
        for task in range(PARTITIONS):
            self.observers[task % owners].assign(task, {Source("predictions", task): 0}, {})
        self.observe_hears = observe_hears
        self.outputs: list[Output] = []
        self.position = {Source("predictions", task): 0 for task in range(PARTITIONS)}

    def feed(self, part: list[Record]) -> None:
        for number, observer in enumerate(self.observers):
            mine = [r for r in part if r.source.partition % len(self.observers) == number]
            if mine:
                observer.step(slice_of(mine), NOW)
                self.position.update({record.source: record.offset + 1 for record in mine})
            owned = {
                source: position
                for source, position in self.position.items()
                if source.partition % len(self.observers) == number
            }
            self._partials([output.value for output in observer.commit(owned, NOW).outputs])

    def _partials(self, values: list[bytes | None]) -> None:
        if not values:
            return
        slice_ = records_slice(values)
        self.detect.wants_broadcasts(slice_)
        told = list(self.detect.step(slice_, NOW))
        self.outputs += told
        heard = [Broadcast(o.topic, 0, NOW, o.key, o.value) for o in told if o.topic == "profiles"]
        self.detect.hear(heard)
        if self.observe_hears:
            for observer in self.observers:
                observer.hear(heard)

    def said(self, topic: str) -> list[bytes]:
        return sorted(o.value or b"" for o in self.outputs if o.topic == topic)


def run(size: int, owners: int, *, observe_hears: bool) -> Flow:
    flow = Flow(owners, observe_hears=observe_hears)
    rows = records()
    for start in range(0, len(rows), size):
        flow.feed(rows[start : start + size])
    return flow


@pytest.fixture(scope="module")
def straight() -> Flow:
    return run(10, 1, observe_hears=True)


def test_a_model_warms_up_drifts_and_every_row_counts(straight: Flow) -> None:
    windows = sorted(map(orjson.loads, straight.said("windows")), key=lambda w: w["start_ms"])
    assert sum(window["rows"] for window in windows) == 1_500
    assert [window["reason"] for window in windows] == ["warmup", "warmup", "", "", "", "", ""]
    assert [window["dirty"] for window in windows] == [False] * 5 + [True] * 2
    assert all(window["unknown_features"] == 0 for window in windows)
    assert len(straight.said("profiles")) == 1
    [alert] = map(orjson.loads, straight.said("alerts"))
    assert alert["evidence"][0]["name"] == "age"


@pytest.mark.parametrize(
    ("size", "owners", "observe_hears"),
    [(1, 1, True), (2_000, 1, True), (10, 1, False), (7, 2, True), (333, 2, False)],
)
def test_nothing_depends_on_slices_owners_or_when_observe_hears(
    straight: Flow, size: int, owners: int, observe_hears: bool
) -> None:
    other = run(size, owners, observe_hears=observe_hears)
    for topic in ("windows", "alerts", "profiles"):
        assert other.said(topic) == straight.said(topic)
