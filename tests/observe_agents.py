"""Observe agents without Kafka, and what they say of panes."""

from __future__ import annotations

import numpy as np

from stream import schemas
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.pane.content import profile_key, profile_to_record
from stream.core.pane.partial import decode_partial
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey, Output, Partial, Source
from stream.core.specs import TimeSpec
from stream.engine.agent import Broadcast, Commit

__all__ = [
    "NOW",
    "PANE_MS",
    "SETTINGS",
    "TIMES",
    "assign_tasks",
    "commit_at",
    "new_agent",
    "partials_of",
    "profile_of_credit",
]

PANE_MS = 1_000
TIMES = TimeSpec(
    pane_ms=PANE_MS,
    out_of_orderness_ms=500,
    max_clock_skew_ms=2_000,
    idle_after_ms=6_000,
    max_hold_ms=60_000,
)
SETTINGS = ObserveSettings(
    sources=("features", "predictions"),
    partitions=3,
    partials_partitions=2,
    times=TIMES,
    limits=DecodeLimits(max_clock_skew_ms=2_000),
)
NOW = 1_000_000


def new_agent(*, profile: bool = True) -> ObserveAgent:
    """An agent without tasks; `profile` tells whether it has heard the profile of credit@1."""
    agent = ObserveAgent(SETTINGS)
    if profile:
        agent.hear([profile_of_credit()])
    return agent


def profile_of_credit() -> Broadcast:
    """The profile of credit@1, as it is heard."""
    ages = np.linspace(20, 60, 400).tolist()
    known = build_profile(
        ModelKey("credit", "1"), {"features.age": ages, "prediction": [0, 1] * 200}
    )
    value = schemas.encode_json("reference_profile", profile_to_record(known))
    return Broadcast("profiles", 0, NOW, profile_key(known), value)


def assign_tasks(agent: ObserveAgent, tasks: range = range(3)) -> None:
    """Assigns tasks that have never been seen."""
    for task in tasks:
        agent.assign(task, {Source(t, task): 0 for t in SETTINGS.sources}, {})


def partials_of(outputs: list[Output]) -> list[Partial]:
    """What the outputs tell detect."""
    schema = schemas.schema("pane_partial")
    return [decode_partial(o.value or b"", schema) for o in outputs if o.topic == "partials"]


def commit_at(agent: ObserveAgent, position: int, now_ms: int) -> Commit:
    """Commits with partition 0 of predictions read so far."""
    return agent.commit({Source("predictions", 0): position, Source("features", 0): 0}, now_ms)
