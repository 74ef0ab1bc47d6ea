"""What the consumer doesn't read for now: what the agent holds back, and what would be too much."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer

from stream.core.records import Source
from stream.engine.agent import Agent, Pausing
from stream.engine.intake import Intake
from stream.engine.observer import EngineObserver

__all__ = ["Pauses"]


class Pauses:
    """The paused sources: those that the agent names, and those of which the intake keeps much.

    A paused source goes on behind the last record that was fetched, stepped or not. The
    observer is told of the agent's own pauses only.
    """

    def __init__(
        self, agent: Agent, intake: Intake, consumer: Consumer, observer: EngineObserver
    ) -> None:
        self._agent = agent
        self._intake = intake
        self._consumer = consumer
        self._observer = observer
        self._named: set[Source] = set()
        self._paused: set[Source] = set()

    def begin(self) -> None:
        """Nothing is paused: the tasks have just begun to run."""
        self._paused = set()
        self._name(set())

    def settle(self, now_ms: int, tasks: Iterable[int]) -> None:
        """Pauses and resumes what is now held back more or less than before."""
        if isinstance(self._agent, Pausing):
            named = set(self._agent.paused(now_ms))
            if named != self._named:
                self._name(named)
        wanted = self._named | self._intake.crowding()
        if wanted == self._paused:
            return
        ours, partition = set(tasks), self._intake.partition
        self._consumer.pause([partition(s) for s in wanted - self._paused if s.partition in ours])
        self._consumer.resume([partition(s) for s in self._paused - wanted if s.partition in ours])
        self._paused = wanted

    def _name(self, named: set[Source]) -> None:
        self._named = named
        self._intake.stop(named)
        self._observer.paused(self._agent.name, len(named))
