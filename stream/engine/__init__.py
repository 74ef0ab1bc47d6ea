"""The transactional runner: drives an agent on Kafka, exactly once."""

from stream.engine.agent import (
    Agent,
    Broadcast,
    Change,
    Commit,
    Following,
    Pausing,
    Spilling,
    Working,
)
from stream.engine.observer import EngineObserver, SilentObserver
from stream.engine.runner import Runner
from stream.engine.settings import EngineSettings

__all__ = [
    "Agent",
    "Broadcast",
    "Change",
    "Commit",
    "EngineObserver",
    "EngineSettings",
    "Following",
    "Pausing",
    "Runner",
    "SilentObserver",
    "Spilling",
    "Working",
]
