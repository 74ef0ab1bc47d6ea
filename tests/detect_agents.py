"""Detect agents of one task for tests, and what their outputs say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream import schemas
from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.agents.detect.observer import Figure, SilentDetectObserver
from stream.core.records import ModelKey, Output, Partial, Source
from stream.core.specs import MonitorSpec, Severity
from stream.engine.agent import Agent
from tests.detect_world import CREDIT, PANE, TIMES, partial, profile_of, slice_of, sources

WINDOW = 4 * PANE
MONITOR = MonitorSpec(window_ms=WINDOW, hop_ms=WINDOW, min_rows=100, warmup_rows=300)
A, B = sources(2)
PROFILE = profile_of(CREDIT)
HALF = len(PROFILE.numeric[0].edges) // 2


class Observer(SilentDetectObserver):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.windows: list[tuple[ModelKey, bool, float | None]] = []
        self.open: dict[tuple[str, Severity], int] = {}
        self.late_corrections = 0
        self.coverages: list[float | None] = []
        self.refusals: list[str] = []
        self.moved_rows = 0

    def window_closed(self, model: ModelKey, scored: bool, drift_share: float | None) -> None:
        self.windows.append((model, scored, drift_share))

    def incidents_open(self, kind: str, severity: Severity, count: int) -> None:
        self.open[kind, severity] = count

    def correction_late(self, count: int) -> None:
        self.late_corrections += count

    def performance(
        self,
        model: ModelKey,  # the protocol's
        metrics: Mapping[str, Figure],  # the protocol's
        coverage: float | None,
        delay_ms: Mapping[str, float],  # the protocol's
    ) -> None:
        self.coverages.append(coverage)

    def moved(self, rows: int) -> None:
        self.moved_rows += rows

    def refused(self, topic: str) -> None:
        self.refusals.append(topic)


def agent_of(count: int = 1, observer: Observer | None = None) -> DetectAgent:
    settings = DetectSettings(("predictions",), count, TIMES, "driftstream/test", MONITOR)
    agent = DetectAgent(settings, observer)
    agent.assign(0, {}, {})
    return agent


def step(agent: Agent, *partials: Partial) -> list[Output]:
    slice_ = slice_of(partials)
    agent.wants_broadcasts(slice_)
    return list(agent.step(slice_, 0))


def to(source: Source, end_ms: int) -> Partial:
    return partial(told=[(source, end_ms, end_ms)])


def values(outputs: list[Output], topic: str = "windows") -> list[dict[str, Any]]:
    name = {"windows": "window_result", "alerts": "alert", "profiles": "reference_profile"}[topic]
    found = []
    for output in outputs:
        if output.topic == topic:
            assert output.value is not None
            found.append(schemas.decode_json(name, output.value))
    return found
