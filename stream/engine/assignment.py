"""Which tasks are this worker's: taking them up, keeping them, giving them up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.identity import Identity
from stream.adapters.kafka.offsets import stable_ends
from stream.core.errors import BrokerError, StateError
from stream.core.records import Source
from stream.engine.agent import Agent
from stream.engine.intake import Intake
from stream.engine.observer import EngineObserver
from stream.engine.recovery import Kept, Recovery, Restored
from stream.engine.settings import EngineSettings

__all__ = ["Assignment"]

_log = logging.getLogger("stream.engine")

_STABLE_SECONDS = 0.5  # how long a revocation waits for its commit's markers

RecoveryType = type[Recovery]


class Assignment:
    """The tasks between the group's rebalances and the agent.

    While tasks are being restored nothing is assigned to the consumer, so polling it only
    serves the group; `tasks` are empty then. `settle()` commits before a revocation and
    returns whether that worked; `give_up()` aborts. Group callbacks never raise: what went
    wrong in one is in `error`, to be raised after the poll.
    """

    def __init__(
        self,
        agent: Agent,
        intake: Intake,
        consumer: Consumer,
        connection: Connection,
        admin: AdminClient,
        settings: EngineSettings,
        observer: EngineObserver,
        settle: Callable[[], bool],
        give_up: Callable[[], None],
        recovery: RecoveryType = Recovery,
    ) -> None:
        self._agent = agent
        self._intake = intake
        self._consumer = consumer
        self._connection = connection
        self._admin = admin
        self._settings = settings
        self._observer = observer
        self._settle = settle
        self._give_up = give_up
        self._recovery_type = recovery
        self._recovery: Recovery | None = None
        self._kept: dict[int, Kept] = {}
        self._first: dict[Source, int] = {}
        self._identity = Identity(admin, intake.names)
        self._complete = True
        self.tasks: tuple[int, ...] = ()
        self.error: Exception | None = None
        self.heard = False
        self.leaving = False

    @property
    def restoring(self) -> bool:
        """True from the group's answer until its tasks run."""
        return self._recovery is not None

    @property
    def settled(self) -> bool:
        """True while the group has told our tasks, and all of them run."""
        return self.heard and self._complete and self._recovery is None

    def subscribe(self) -> None:
        """Joins the group."""
        self._identity.ask()
        self._consumer.subscribe(
            list(self._intake.names),
            on_assign=self._guarded(self._assigned),
            on_revoke=self._guarded(self._revoked),
            on_lost=self._guarded(self._lost),
        )

    def advance(self) -> bool:
        """Goes on restoring for a moment; True when the tasks have just begun to run."""
        if self._recovery is None:
            return False
        done = self._recovery.advance(self._consumer)
        if done is None:
            return False
        recovery, self._recovery = self._recovery, None
        for restored in done:
            self._start(restored)
        self.tasks = recovery.tasks
        partitions = self._intake.offsets(self.tasks)
        self._consumer.assign(partitions)
        self._consumer.resume(partitions)  # a pause outlives an assignment
        seconds = time.monotonic() - recovery.started
        name = self._agent.name
        self._observer.restored(name, len(done), recovery.records, seconds)
        self._observer.assigned(name, len(done))
        _log.info(
            "tasks of %s running: %d, from %d changelog records, in %.2f s",
            name, len(done), recovery.records, seconds,
        )  # fmt: skip
        return True

    def rebuild(self) -> None:
        """After an abort: forgets the tasks and restores them from their last commit."""
        tasks = self.tasks
        if tasks and not self.leaving:
            self._drop(tasks)
            self._consumer.assign([])
            self._restore(tasks)

    def look(self) -> None:
        """Drops kept tasks that another worker has had for long; to be called now and then.

        StateError where an input topic was made anew: it may hold more than was read of the
        old one, so that the positions alone don't tell.
        """
        anew = sorted(self._identity.anew())
        if anew:
            raise StateError(
                f"{', '.join(anew)}: deleted and made anew while {self._agent.name} read it, so "
                "that records of it may have been left out. Stop the workers and run `driftstream "
                f"state reset {self._agent.name}` to say where to go on from"
            )
        self._identity.ask()
        oldest = time.monotonic() - self._settings.kept_tasks_ms / 1000
        for task in [task for task, kept in self._kept.items() if kept.since < oldest]:
            del self._kept[task]
            self._agent.drop(task)

    def close(self) -> None:
        """Lets go of a restore that is under way."""
        if self._recovery is not None:
            self._recovery.close()
            self._recovery = None

    def _assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard = True
        found: dict[int, int] = {}
        for one in partitions:
            found[one.partition] = found.get(one.partition, 0) + 1
        whole = sorted(task for task, topics in found.items() if topics == len(self._intake.names))
        self._complete = len(whole) == len(found)
        if not self._complete:
            _log.error(
                "the members of group %s read different input topics; tasks %s wait until all "
                "workers have the same `sources` setting",
                self._settings.group(self._agent.name), sorted(set(found) - set(whole)),
            )  # fmt: skip
        self._consumer.assign([])
        self._restore(whole)

    def _revoked(self, _: Sequence[TopicPartition]) -> None:
        self.close()
        self.heard = False
        if self.tasks and not self.leaving:
            tasks = self.tasks
            positions = {task: self._intake.of([task]) for task in tasks}
            if self._settle():
                ends = self._stable_ends(tasks)
                self._stop(tasks)
                for task in tasks:
                    if task in ends:
                        self._agent.suspend(task)
                        self._kept[task] = Kept(positions[task], ends[task], time.monotonic())
                    else:
                        self._agent.drop(task)
            else:
                self._drop(tasks)
        self._consumer.unassign()

    def _lost(self, _: Sequence[TopicPartition]) -> None:
        self.close()
        self.heard = False
        if not self.leaving:
            _log.warning(
                "the group went on without this worker's tasks of %s: it, or Kafka, was away",
                self._agent.name,
            )
        if self.tasks and not self.leaving:
            try:
                self._give_up()
            finally:
                self._drop(self.tasks)
        self._consumer.unassign()

    def _restore(self, tasks: Sequence[int]) -> None:
        self.close()
        self._recovery = self._recovery_type(
            self._agent.name,
            self._agent.rules,
            self._intake.topics,
            tasks,
            self._kept,
            self._connection,
            self._admin,
            self._settings,
            self._first,
        )

    def _start(self, restored: Restored) -> None:
        self._intake.begin(restored.positions, restored.recorded)
        self._kept.pop(restored.task, None)
        if restored.state is None:
            self._agent.resume(restored.task)
        else:
            self._agent.assign(restored.task, restored.positions, restored.state)

    def _stable_ends(self, tasks: Iterable[int]) -> dict[int, int]:
        """The changelog's ends once the commit's markers stand there; tasks without are omitted."""
        changelog = self._settings.changelog(self._agent.name)
        wanted = [(changelog, task) for task in tasks]
        deadline = time.monotonic() + _STABLE_SECONDS
        found: dict[int, int] = {}
        try:
            while len(found) < len(wanted) and time.monotonic() < deadline:
                found = {task: end for (_, task), end in stable_ends(self._admin, wanted).items()}
        except BrokerError as error:
            _log.warning("no task of %s is kept: %s", self._agent.name, error)
            return {}
        return found

    def _drop(self, tasks: Iterable[int]) -> None:
        dropped = list(tasks)
        self._stop(dropped)
        for task in dropped:
            self._agent.drop(task)

    def _stop(self, tasks: Iterable[int]) -> None:
        self._intake.end(tasks)
        self.tasks = ()
        self._observer.assigned(self._agent.name, 0)

    def _guarded(
        self, callback: Callable[[Sequence[TopicPartition]], None]
    ) -> Callable[[Consumer, list[TopicPartition]], None]:
        """An exception within a group callback would be lost or leave the group half joined."""

        def guarded(_: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                callback(partitions)
            except Exception as error:  # noqa: BLE001  # kept, and raised after the poll
                self.error = self.error or error

        return guarded
