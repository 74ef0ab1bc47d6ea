"""One life as a member of the group: slices in; outputs, state and offsets out as one commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.broadcast import BroadcastReader
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import is_fatal, said
from stream.core.errors import BrokerError, FatalBrokerError
from stream.core.records import Output, Slice
from stream.engine.agent import Agent, Change, Commit, Following, Spilling, Working
from stream.engine.assignment import Assignment
from stream.engine.collector import settle_garbage
from stream.engine.intake import Intake, broadcast
from stream.engine.observer import EngineObserver
from stream.engine.pace import Pace
from stream.engine.pauses import Pauses
from stream.engine.positions import POSITIONS
from stream.engine.recovery import Recovery
from stream.engine.rights import Rights
from stream.engine.settings import EngineSettings
from stream.engine.topology import Topology
from stream.engine.transaction import Transaction

__all__ = ["Session"]

_log = logging.getLogger("stream.engine")

_LAG_SECONDS = 5.0


class Session:
    """The turns of a runner's loop. KafkaException and BrokerError: call `start_over`."""

    recovery: type[Recovery] = Recovery

    def __init__(
        self,
        agent: Agent,
        settings: EngineSettings,
        observer: EngineObserver,
        clock: Callable[[], int],
        connection: Connection,
        admin: AdminClient,
        topology: Topology,
        stopping: Callable[[], bool],
        silence: Callable[[], None],
    ) -> None:
        self._agent = agent
        self._settings = settings
        self._observer = observer
        self._clock = clock
        self._errors, self._changelog = connection.errors, settings.changelog(agent.name)
        self.pace = Pace(settings)
        self.failures = 0
        self._heard_ms = -1
        self._said: list[Output] = []  # by `hear`, which isn't called again after an abort
        self._looked = 0.0
        follows = agent.follows if isinstance(agent, Following) else {}
        self._intake = Intake(agent.inputs, settings.prefix, topology.tasks, agent.rules, follows)
        group, timeout_ms = settings.group(agent.name), settings.transaction_timeout_ms
        self._rights = Rights(connection.login, admin, group, self._intake.names)
        self._transaction = Transaction(
            lambda errors: connection.producer(group, timeout_ms, errors),
            stopping,
            silence,
            self._rights,
        )
        topics = topology.broadcasts
        self._broadcasts = BroadcastReader(connection, admin, topics) if topics else None
        instance = settings.instance_id and f"{settings.instance_id}-{agent.name}"
        self._consumer = connection.group_consumer(group, settings.session_timeout_ms, instance)
        self._pauses = Pauses(agent, self._intake, self._consumer, observer)
        self._assignment = Assignment(
            agent,
            self._intake,
            self._consumer,
            connection,
            admin,
            settings,
            observer,
            self._settle,
            lambda: self._abort("lost"),
            self.recovery,
        )

    def begin(self) -> None:
        """Makes the producer known to the brokers (waits for them) and joins the group."""
        self._transaction.begin_all()
        self._assignment.subscribe()

    def turn(self) -> None:
        """One slice, or one moment of restoring."""
        if self._assignment.restoring:
            self._sift(self._consumer.consume(1, 0.0))
            if self._heard_ms < 0:
                self._hear()
            elif self._assignment.advance():
                self.pace.ticked()
                self._pauses.begin()
                self._pauses.settle(self._clock(), self._assignment.tasks)
                if self._settings.tune_gc:
                    settle_garbage()
        else:
            self._take(*self.pace.appetite(self._intake.record_bytes))
            if isinstance(self._agent, Working):
                self._transaction.send(self._agent.work(self._clock()), self._settings.prefix)
            if isinstance(self._agent, Spilling):
                self._transaction.write(self._agent.spill(), self._changelog)
            if self.pace.due():
                self._commit()
                self._look_around()

    def ready(self) -> bool:
        """True while every task runs and the brokers answer."""
        return self._assignment.settled and not self._errors.away

    def uncommitted(self) -> str:
        """What was read since the last commit: topic, partition and offsets of each source."""
        return self._intake.uncommitted()

    def start_over(self, reason: str) -> None:
        """Aborts, and restores the tasks from their last commit; a restore under way goes on."""
        self._abort(reason)
        self._transaction.renew()
        if not self._assignment.restoring:
            self._assignment.rebuild()

    def finish(self) -> None:
        """The last commit before leaving. BrokerError, KafkaException: there was none."""
        self._assignment.leaving = True
        self._commit()

    def close(self) -> None:
        """Gives up what isn't committed, leaves the group and closes the clients."""
        self._assignment.leaving = True
        if not self._transaction.away:  # else the broker gives it up, when it times out
            try:
                self._abort("closed")
            except BrokerError as error:
                _log.warning("%s leaves: %s", self._agent.name, error)
        self._assignment.close()
        if self._broadcasts is not None:
            self._broadcasts.close()
        self._consumer.close()

    def _take(self, most: int, seconds: float) -> None:
        messages = self._intake.fetch(self._consumer, most, seconds)
        self._raise_from_group()
        if messages:
            self._errors.away = False
        if messages or self._intake.waiting:
            slice_ = self._intake.slice(messages, self._judge, most)
            if len(slice_) or slice_.ends or slice_.kept:
                self._step(slice_)
            self._pauses.settle(self._clock(), self._assignment.tasks)

    def _step(self, slice_: Slice) -> None:
        if not self._hear_if_old() and len(slice_) and self._agent.wants_broadcasts(slice_):
            self._hear()
        now_ms = self._clock()
        self._transaction.send(self._agent.step(slice_, now_ms), self._settings.prefix)
        counts = np.bincount(slice_.source, minlength=len(slice_.sources)).tolist()
        for source, count in zip(slice_.sources, counts, strict=True):
            self._observer.consumed(self._agent.name, source.topic, count)

    def _commit(self) -> bool:
        """Commits what happened since the last commit, if anything did; False where nothing did.

        The positions of all tasks go with every transaction, moved or not: only a transaction
        with offsets is fenced by the group's generation.
        """
        tasks = self._assignment.tasks
        if not tasks:
            self.pace.ticked()
            return False
        started = time.monotonic()
        self._transaction.renew()
        self._hear_if_old()
        told = self._agent.commit(self._intake.of(tasks), self._clock())
        moved = self._intake.moved(tasks)
        if not (moved or told.outputs or told.changes or self._said or self._transaction.open):
            self.pace.ticked()
            return False
        self._record(told, moved)
        self._transaction.commit(self._offsets(), self._consumer.consumer_group_metadata())
        self._intake.recorded[:] = self._intake.positions
        self._said.clear()
        seconds = time.monotonic() - started
        self.pace.committed(seconds)
        self.failures = 0
        self._observer.committed(self._agent.name, seconds)
        self._observer.paced(self._agent.name, self.pace.interval)
        return True

    def _record(self, told: Commit, moved: Sequence[int]) -> None:
        """The agent's outputs and changes, and the changelog's own record of the positions."""
        self._transaction.send([*self._said, *told.outputs], self._settings.prefix)
        positions = (Change(task, POSITIONS, self._intake.record(task)) for task in moved)
        self._transaction.write(chain(told.changes, positions), self._changelog)

    def _offsets(self) -> list[TopicPartition]:
        return self._intake.offsets(self._assignment.tasks)

    def _settle(self) -> bool:
        """Commits before a revocation; aborts where that fails, and says so."""
        try:
            self._commit()
        except FatalBrokerError:
            raise
        except (BrokerError, KafkaException) as error:
            _log.warning("%s: nothing committed on revocation: %s", self._agent.name, said(error))
            self._abort("revoked")
            return False
        return True

    def _abort(self, reason: str) -> None:
        if not self._transaction.open:
            return
        self._observer.aborted(self._agent.name, reason)
        try:
            self._transaction.abort()
        except FatalBrokerError:
            raise  # it says what to do
        except (BrokerError, KafkaException) as error:
            raise FatalBrokerError(
                f"a transaction could not be aborted: {said(error)}. Start the worker again; it "
                "goes on from the last commit"
            ) from error

    def _hear_if_old(self) -> bool:
        """Reads the broadcast topics where that was too long ago; True where it did."""
        old = self._clock() - self._agent.broadcast_every_ms >= self._heard_ms
        if old:
            self._hear()
        return old

    def _hear(self) -> None:
        """Reads the broadcast topics to their ends and tells the agent what is new there."""
        now_ms = self._clock()
        if self._broadcasts and (messages := self._broadcasts.news()):
            prefix = self._settings.prefix
            self._said += self._agent.hear([broadcast(each, prefix) for each in messages])
            self._broadcasts.take()
        self._heard_ms = now_ms

    def _look_around(self) -> None:
        """What is due now and then: pauses, kept tasks, lag, silent brokers that are back."""
        self._pauses.settle(self._clock(), self._assignment.tasks)
        self._transaction.poll()
        if self._errors.away:
            self._errors.away = not self._intake.answers(self._consumer)
        now = time.monotonic()
        if now - self._looked >= _LAG_SECONDS:
            self._looked = now
            self._assignment.look()
            for topic, lag in self._intake.lags(self._consumer, self._assignment.tasks).items():
                self._observer.lag(self._agent.name, topic, lag)

    def _sift(self, messages: Sequence[Message]) -> None:
        """While nothing is assigned there are no records, only errors."""
        self._raise_from_group()
        for message in messages:
            error = message.error()
            if error is not None:
                self._judge(message, error)

    def _judge(self, message: Message, error: KafkaError) -> None:
        if is_fatal(error):
            raise FatalBrokerError(
                f"the consumer is beyond repair: {said(error)}. Start the worker again"
            )
        if error.retriable():
            _log.warning("%s: %s", error.name(), error.str())
            return
        raise self._rights.explain_read(error, message.topic() or "the input topics")

    def _raise_from_group(self) -> None:
        error, self._assignment.error = self._assignment.error, None
        if error is not None:
            raise error
