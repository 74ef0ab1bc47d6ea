"""A consumer of one topic: for itself from a known place, or in a group that commits."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from stream.access import Login
from stream.client.notices import LIBRDKAFKA_LOG, Notices
from stream.client.options import KafkaValue, refusal
from stream.core.errors import BrokerError, ConfigError, DriftstreamError, FatalBrokerError

__all__ = ["Feed"]

_CLOSE_SECONDS = 5.0  # for the last commit
_PLACE_SECONDS = 10.0
_PLACE_TRIES = 3
_LOOK_SECONDS = 0.5  # what looking for new partitions may take, where no broker answers
_LOOK_EVERY_SECONDS = 60.0
_STEP_SECONDS = 0.05


class Feed:
    """Records of a topic in order, from committed transactions only.

    Partitions that are added later are read from their beginning, within a minute or so.

    Building it contacts nobody. Raises ConfigError where librdkafka refuses a property. It is of
    use only in the process that made it: in a forked child reading raises DriftstreamError.
    """

    def __init__(
        self,
        topic: str,
        kafka: Mapping[str, KafkaValue],
        group: str | None,
        *,
        from_beginning: bool,
    ) -> None:
        if group is not None and not group:
            raise ConfigError("group: is empty, wants a name or None")
        self._topic = topic
        self._login = Login.of(kafka, str(kafka["bootstrap.servers"]))
        self._group = group
        self._from_beginning = from_beginning
        self._notices = Notices()
        self._is_parents = False
        self._is_closed = False
        self._assigned = False
        self._subscribed = False
        self._known: set[int] = set()  # partitions, where there is no group
        self._look_at = 0.0
        self._done: dict[int, int] = {}  # what is to be committed, by partition
        self._committing: dict[int, int] = {}  # what is under way: nobody waits for the broker
        properties: dict[str, KafkaValue] = {
            "error_cb": self._hear_error,
            "reconnect.backoff.max.ms": 5_000,
            "topic.metadata.refresh.interval.ms": int(_LOOK_EVERY_SECONDS * 1_000),
            "log.connection.close": False,
            **kafka,
            "group.id": group or f"driftstream-tail-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "on_commit": self._hear_commit,
        }
        try:
            self._consumer = Consumer({"logger": LIBRDKAFKA_LOG, **properties})
        except (KafkaException, TypeError, ValueError) as refused:
            raise refusal(refused) from refused
        _FEEDS.add(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a subscriber cannot be pickled: make one in each process")

    def forget_parent(self) -> None:
        """Called in a forked child, where the threads that the consumer needs don't exist."""
        self._is_parents = True
        # Destroying it would end the child with an assertion of librdkafka's.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._consumer))

    def connect(self, seconds: float) -> bool:
        """True once partitions are assigned and their places known; tries for so long."""
        if self._is_parents:
            raise DriftstreamError(
                f"{self._topic}: this subscriber was made before the fork and is the parent's: "
                "make one in each process"
            )
        if self._assigned:
            return True
        if self._group is None:
            self._assigned = self._assign_all(max(0.1, seconds))
            return self._assigned
        if not self._subscribed:
            self._consumer.subscribe([self._topic], on_assign=self._place)
            self._subscribed = True
        message = self._consumer.poll(seconds)
        if message is not None and message.error() is None:
            self.rewind(message.partition() or 0, message.offset() or 0)
        return self._assigned

    def next(self, seconds: float) -> Message | None:
        """The next record, None if none came in so many seconds."""
        if not self.connect(seconds):
            return None
        self.commit()  # where the one before was refused
        if self._group is None and time.monotonic() >= self._look_at:
            seconds = max(0.0, seconds - self._assign_more())
        message = self._consumer.poll(seconds)
        if message is None:
            return None
        error = message.error()
        if error is None:
            return message
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  # librdkafka's own code has no other name
            raise FatalBrokerError(f"{self._topic}: {error.str()}: start the subscriber again")
        self._hear_error(error)
        return None

    def done(self, partition: int, offset: int) -> None:
        """Says that the record is done with: `commit` may go past it."""
        self._done[partition] = offset + 1

    def commit(self) -> None:
        """Has what is done with committed, where there is a group; waits for nobody.

        What is refused is tried again with what is done with next.
        """
        if self._group is None or self._is_parents:
            self._done.clear()
        if not self._done or self._committing or self._is_closed:
            return
        self._committing, self._done = self._done, {}
        offsets = [TopicPartition(self._topic, *place) for place in self._committing.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as refused:
            self._hear_commit(refused.args[0], offsets)

    def rewind(self, partition: int, offset: int) -> None:
        """Lets the record at that offset come again."""
        if self._is_parents:
            return
        try:
            self._consumer.seek(TopicPartition(self._topic, partition, offset))
        except KafkaException as refused:  # not ours any more: it comes to the new owner
            self.warn("rewind", refused.args[0].str())

    def warn(self, kind: str, text: str) -> None:
        """Says in the log, throttled by kind, what is wrong with this topic."""
        self._notices.warn(kind, f"{self._topic}: {text}")

    def close(self) -> None:
        """Leaves the group and ends the consumer, within 10 s whatever happens.

        What is done with is committed; where that cannot be, it comes again.
        """
        if self._is_parents or self._is_closed:
            return
        limit = time.monotonic() + _CLOSE_SECONDS
        while time.monotonic() < limit:
            self.commit()
            if not self._committing:
                break
            self._consumer.poll(_STEP_SECONDS)  # hears of the commit; alerts it reads come again
        self._is_closed = True
        # A commit under way holds it up for as long as the session lasts, where no broker answers.
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def _assign_all(self, seconds: float) -> bool:
        try:
            places = self._partitions(seconds)
            self._consumer.assign([self._starting(place) for place in places])
        except KafkaException as fault:
            self._hear_error(fault.args[0])
            return False
        self._known = {place.partition for place in places}
        self._look_at = time.monotonic() + _LOOK_EVERY_SECONDS
        return True

    def _assign_more(self) -> float:
        """Takes partitions in that were added; returns how many seconds that took."""
        begun = time.monotonic()
        try:
            places = self._partitions(_LOOK_SECONDS)
            added = [place for place in places if place.partition not in self._known]
            for place in added:
                place.offset = OFFSET_BEGINNING
            if added:
                self._consumer.incremental_assign(added)
                self._known.update(place.partition for place in added)
        except KafkaException as fault:
            self._hear_error(fault.args[0])
        ended = time.monotonic()
        self._look_at = ended + _LOOK_EVERY_SECONDS
        return ended - begun

    def _partitions(self, seconds: float) -> list[TopicPartition]:
        known = self._consumer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        if known.error is not None:
            raise KafkaException(known.error)
        return [TopicPartition(self._topic, each) for each in sorted(known.partitions)]

    def _starting(self, place: TopicPartition) -> TopicPartition:
        if self._from_beginning:
            return TopicPartition(self._topic, place.partition, OFFSET_BEGINNING)
        _, end = self._consumer.get_watermark_offsets(place, timeout=_PLACE_SECONDS)
        return TopicPartition(self._topic, place.partition, end)

    def _place(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        """Starts a new group at the end, and commits that place.

        Uncommitted, a crash before the first alert would lose those that came in between.
        """
        self._done.clear()
        self._committing.clear()
        for _ in range(_PLACE_TRIES):
            try:
                self._commit_starts(consumer, assigned)
                break
            except KafkaException as fault:
                self._hear_error(fault.args[0])
        else:
            raise BrokerError(f"{self._topic}: the group's offsets cannot be read: start again")
        consumer.assign(assigned)
        self._assigned = True

    def _commit_starts(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        """Commits the ends of all partitions, where the group has committed on none.

        Of all, so that another new member doesn't take its own for added ones, which begin at
        their beginning (`auto.offset.reset`). Two may do this at once: as each asks for the ends
        before it sees that there is no commit, the later one's skip nothing that the earlier one
        was to read.
        """
        if self._from_beginning or _are_committed(consumer, assigned, all):
            return
        places = self._partitions(_PLACE_SECONDS)
        ends = [self._starting(place) for place in places]
        if not _are_committed(consumer, places, any):
            consumer.commit(offsets=ends, asynchronous=False)

    def _hear_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        sent, self._committing = self._committing, {}
        if error is not None:
            self.warn("commit", f"not committed yet, may come again: {error.str()}")
            self._done = {**sent, **self._done}

    def _hear_error(self, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
            if self._group is None:
                return  # librdkafka asks for its throw-away group, which is never joined
            said = self._login.denial("Read", f"group {self._group}")
        else:
            said = self._login.explained(code, error.str(), self._topic, "Read")
        self.warn(error.name(), said)


def _are_committed(
    consumer: Consumer, places: list[TopicPartition], which: Callable[[Iterator[bool]], bool]
) -> bool:
    """Whether the group has committed on all of them, or on any."""
    found = consumer.committed(places, timeout=_PLACE_SECONDS)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return which(place.offset >= 0 for place in found)


_FEEDS: weakref.WeakSet[Feed] = weakref.WeakSet()


def _forget_parents() -> None:
    for feed in list(_FEEDS):
        feed.forget_parent()


os.register_at_fork(after_in_child=_forget_parents)
