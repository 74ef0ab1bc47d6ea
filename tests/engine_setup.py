"""A deployment of the counting agent for the engine's tests, and runners in threads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from stream.engine import Agent, EngineObserver, EngineSettings, Runner
from tests.engine_agents import Counting
from tests.kafka_io import Record, create_topic, produce_all, read_all

__all__ = ["COMPACT", "Deployment", "Noting", "Running", "counting", "until"]

COMPACT: Mapping[str, str] = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


def until(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    """Returns as soon as the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what or condition}"
        pause.wait(0.02)


@dataclass
class Deployment:
    """Topics of one counting agent under one prefix."""

    bootstrap: str
    prefix: str
    inputs: Sequence[str] = ("numbers",)
    partitions: int = 4
    sent: Counter[int] = field(default_factory=Counter)

    def create(self, changelog: Mapping[str, str] | None = None) -> Self:
        appended = {"message.timestamp.type": "LogAppendTime"}
        for topic in (*self.inputs, "grown"):
            create_topic(self.bootstrap, self.prefix + topic, self.partitions, config=appended)
        config = dict(changelog or {"cleanup.policy": "compact"})
        create_topic(
            self.bootstrap, f"{self.prefix}count-changelog", self.partitions, config=config
        )
        return self

    def produce(self, count: int, topic: str = "numbers", value: bytes = b"1") -> None:
        """So many records, in turn over the partitions."""
        records = [Record(value, partition=i % self.partitions) for i in range(count)]
        produce_all(self.bootstrap, self.prefix + topic, records)
        self.sent.update(record.partition for record in records)

    def counted(self) -> Counter[int]:
        """What the committed outputs say was counted, a partition."""
        told: Counter[int] = Counter()
        for record in read_all(self.bootstrap, f"{self.prefix}grown"):
            told[int(record.key or b"")] += int(record.value or b"")
        return told

    def settings(self, **changes: object) -> EngineSettings:
        values: dict[str, object] = {
            "commit_interval_ms": 100,
            "transaction_timeout_ms": 5_000,
            "session_timeout_ms": 6_000,
            "max_backoff_ms": 500,
            "tune_gc": False,
            **changes,
        }
        return EngineSettings(self.bootstrap, self.prefix, **values)  # type: ignore[arg-type]  # named by each test


class Noting:
    """An observer that notes everything."""

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        self.seconds: list[float] = []  # that commits took
        self.interval = 0.0
        self.aborts: list[str] = []
        self.restores: list[tuple[int, int]] = []
        self.tasks = 0
        self.lags: dict[str, int] = {}
        self.is_ready = False
        self.was_unready = 0

    @property
    def commits(self) -> int:
        """How many there were."""
        return len(self.seconds)

    def consumed(self, agent: str, topic: str, records: int) -> None:
        self.records[topic] += records

    def committed(self, agent: str, seconds: float) -> None:
        self.seconds.append(seconds)

    def paced(self, agent: str, seconds: float) -> None:
        self.interval = seconds

    def aborted(self, agent: str, reason: str) -> None:
        self.aborts.append(reason)

    def restored(self, agent: str, tasks: int, records: int, seconds: float) -> None:
        self.restores.append((tasks, records))

    def assigned(self, agent: str, tasks: int) -> None:
        self.tasks = tasks

    def lag(self, agent: str, topic: str, records: int) -> None:
        self.lags[topic] = records

    def paused(self, agent: str, sources: int) -> None:
        self.lags["paused"] = sources

    def ready(self, agent: str, ready: bool) -> None:
        self.is_ready = ready
        self.was_unready += not ready


class Running:
    """A runner in a thread; leaving the block stops it and raises what it raised."""

    def __init__(
        self,
        agent: Agent,
        settings: EngineSettings,
        runner: type[Runner] = Runner,
        observer: EngineObserver | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.noted = Noting()
        clocks = {} if clock is None else {"clock": clock}
        self._runner = runner(agent, settings, observer or self.noted, **clocks)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: Exception | None = None

    def _run(self) -> None:
        try:
            self._runner.run(self._stop)
        except Exception as error:  # noqa: BLE001  # raised again where the test waits
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None and self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Tells it to stop and waits until it has."""
        self._stop.set()
        self.wait(15.0)

    def wait(self, seconds: float = 30.0) -> None:
        """Waits until it ends by itself."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the runner did not end in {seconds} s"


def counting(agent: Counting) -> int:
    """How much the agent's tasks have counted."""
    return sum(agent.totals.copy().values())
