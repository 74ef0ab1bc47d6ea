"""How far performance is behind the data: labels that never come, that stop, that come back."""

from __future__ import annotations

from dataclasses import replace

from stream.adapters.metrics import Metrics
from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.core.records import Source
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec
from stream.engine.agent import Agent
from tests.detect_agents import step
from tests.detect_outcomes import L0, P0, PROFILE, labelled, predicted, rows_of
from tests.detect_world import PANE, TIMES, partial, profile_broadcast

WINDOW = 4 * PANE
PATIENCE = 600_000
BASE = 1_000 * WINDOW
LATE = BASE + 100 * PATIENCE  # a worker's clock
MONITOR = MonitorSpec(window_ms=WINDOW, hop_ms=WINDOW, min_rows=10)


class _World:
    """A detect agent that hears of predictions and labels, a window at a time."""

    def __init__(self, monitor: MonitorSpec = MONITOR, topics: tuple[str, ...] = ()) -> None:
        self.metrics = Metrics(agents=("detect",), models=10, top_features=5)
        times = replace(TIMES, label_patience_ms=PATIENCE)
        settings = DetectSettings(topics or ("predictions", "labels"), 1, times, monitor=monitor)
        self.agent: Agent = DetectAgent(settings, self.metrics.detect)
        self.agent.assign(0, {}, {})
        self.agent.hear([profile_broadcast(PROFILE)])
        self.labels = 0

    def predict(self, window: int) -> None:
        """Rows of a whole window, and a watermark behind them."""
        start_ms = BASE + window * WINDOW
        rows = [row for pane in range(4) for row in rows_of(pane, 20, start_ms + pane * PANE)]
        step(self.agent, partial(*predicted(rows), told=[_at(P0, start_ms + WINDOW)]))

    def label(self, window: int) -> None:
        """Labels of that window's rows, and a watermark behind them."""
        start_ms = BASE + window * WINDOW
        rows = [row for pane in range(4) for row in rows_of(pane, 20, start_ms + pane * PANE)]
        progress = [(L0, self.labels, self.labels + 80)]
        self.labels += 80
        told = [_at(L0, start_ms + WINDOW)]
        step(self.agent, partial(*labelled(rows), progress=progress, told=told))

    def hush(self) -> None:
        """Labels are silent for longer than anybody waits."""
        for at_ms in (LATE, LATE + PATIENCE):
            step(self.agent, partial(claims=[(L0, self.labels, at_ms)]))

    def windows_behind(self) -> float:
        """What the metric says, in windows."""
        self.agent.commit({}, LATE)
        value = self.metrics.registry.get_sample_value("driftstream_labels_behind_seconds")
        assert value is not None
        return value * 1000 / WINDOW


def _at(source: Source, time_ms: int) -> tuple[Source, int, int]:
    return source, time_ms, time_ms


def test_labels_that_never_come_are_wanting_since_the_first_prediction() -> None:
    world = _World()
    assert world.windows_behind() == 0
    for window in range(5):
        world.predict(window)
        assert world.windows_behind() == window + 1
    world.hush()
    assert world.windows_behind() == 5
    world.predict(5)
    assert world.windows_behind() == 6


def test_labels_that_stop_are_wanting_since_the_window_of_the_last_one() -> None:
    world = _World()
    for window in range(3):
        world.predict(window)
        world.label(window)
        assert world.windows_behind() == 0
    world.hush()
    for window in range(3, 8):
        world.predict(window)
        assert world.windows_behind() == window - 2


def test_labels_that_come_back_end_it() -> None:
    world = _World()
    world.predict(0)
    world.label(0)
    world.hush()
    for window in range(1, 6):
        world.predict(window)
    assert world.windows_behind() == 5
    world.label(3)
    assert world.windows_behind() == 2
    world.label(5)
    assert world.windows_behind() == 0


def test_labels_that_come_at_last_end_it() -> None:
    world = _World()
    for window in range(4):
        world.predict(window)
    assert world.windows_behind() == 4
    world.label(3)
    assert world.windows_behind() == 0


def test_where_nobody_wants_labels_none_are_wanting() -> None:
    unwanted = replace(MONITOR, labels=LabelRule(wanted=False))
    for world in (_World(unwanted), _World(topics=("predictions",))):
        for window in range(4):
            world.predict(window)
        assert world.windows_behind() == 0


def test_where_nothing_is_predicted_nothing_is_wanting() -> None:
    world = _World()
    world.predict(0)
    world.label(0)
    world.hush()
    assert world.windows_behind() == 0


def test_a_restarted_worker_says_the_same() -> None:
    world = _World()
    for window in range(4):
        world.predict(window)
    state = {c.key: c.value for c in world.agent.commit({}, LATE).changes if c.value is not None}
    other = _World()
    other.agent.assign(0, {}, state)
    assert other.windows_behind() == world.windows_behind() == 4
