"""A producer's transaction: opened by its first record, committed with offsets, or given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from stream.adapters.kafka.codes import FENCED, is_fatal
from stream.adapters.kafka.log import ClientErrors
from stream.core.errors import BrokerError, FatalBrokerError
from stream.core.records import Output
from stream.engine.agent import Change
from stream.engine.rights import Rights

__all__ = ["Transaction", "error_of"]

_CALL_SECONDS = 2.0
_ANSWER_SECONDS = 1.0
_STUCK_SECONDS = 8.0  # far beyond the timeout of a call: it will not return
_UNHEARD_SECONDS = 20.0  # while other calls are answered; a coordinator has moved long before
_LAST_SECONDS = 4.0  # how long an unanswered commit or abort may hold up a worker told to stop


class _UnheardError(BrokerError):
    """A call is not answered, though the brokers answer others: its producer is given up."""


class Transaction:
    """The transactions of a producer, one after another; `make` makes that producer.

    `stopping()` tells whether the worker was told to stop; an unanswered call is repeated until
    it is answered, or after that for some seconds, once only where the connections broke;
    `silence()` is told each time. Where the brokers answer other calls, and this one not for 20 s,
    it is given up with its producer: a BrokerError, after which the next one begins. A fatal
    error is a FatalBrokerError; after every other, a KafkaException or BrokerError, `abort`
    must be called. `rights` explains a refusal.
    """

    def __init__(
        self,
        make: Callable[[ClientErrors], Producer],
        stopping: Callable[[], bool],
        silence: Callable[[], None],
        rights: Rights,
    ) -> None:
        self._make = make
        self._errors = ClientErrors()
        self._producer = make(self._errors)
        self._stopping = stopping
        self._silence = silence
        self._rights = rights
        self._topics: set[str] = set()  # that the open transaction writes to
        self._denied = False  # whether a right was missing in it
        self.open = False

    @property
    def away(self) -> bool:
        """Whether this producer's connections broke."""
        return self._errors.away

    def begin_all(self) -> None:
        """Makes the producer known to the brokers; to be called once, waits for them."""
        while True:
            try:
                self._until_answered(self._producer.init_transactions)
                break
            except _UnheardError:
                self._replace()
        self._producer.poll(0)
        self._errors.breaks = 0

    def renew(self) -> None:
        """Between transactions: takes another producer if this one's connections broke.

        A producer remembers the group's coordinator. When that broker is gone from the
        cluster's metadata for a moment (a restart does it), sending offsets waits for it for
        ever, whatever the timeout (librdkafka issues 5511 and 5456). A new producer asks anew.
        Within a transaction it is a BrokerError: abort, and call again.
        """
        if not self._errors.breaks:
            self._producer.poll(0)
        if not self._errors.breaks:
            return
        if self.open:
            raise BrokerError("connections broke during a transaction")
        self._replace()
        self.begin_all()

    def send(self, outputs: Iterable[Output], prefix: str) -> None:
        """Produces an agent's outputs in the open transaction."""
        for output in outputs:
            self.produce(
                prefix + output.topic,
                output.key,
                output.value,
                -1 if output.partition is None else output.partition,
                list(output.headers),
            )

    def write(self, changes: Iterable[Change], changelog: str) -> None:
        """Produces changes of an agent's state in the open transaction."""
        for change in changes:
            self.produce(changelog, change.key, change.value, change.task)

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int = -1,
        headers: list[tuple[str, str | bytes | None]] | Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Produces one record; waits where the producer's queue is full."""
        if not self.open:
            self._begin()
        self._topics.add(topic)
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=list(headers))
                return
            except BufferError:
                self._producer.poll(0.1)
                if self._stopping() and not len(self._producer):
                    raise BrokerError("told to stop while the producer's queue was full") from None
            except KafkaException as error:
                if error_of(error).code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    size = len(value or b"")
                    raise BrokerError(
                        f"a record of {size} bytes for {topic} is larger than message.max.bytes: "
                        "raise it in the kafka settings and the topic's max.message.bytes"
                    ) from error
                raise self._judged(error) from error

    def commit(self, offsets: list[TopicPartition], group: Any) -> None:
        """Commits what was produced together with the group's offsets; opens one if need be."""
        if not self.open:
            self._begin()
        if offsets:
            self._until_answered(lambda seconds: self._send_offsets(offsets, group, seconds))
        self._until_answered(self._producer.commit_transaction)
        self.open = False

    def abort(self) -> None:
        """Gives up what was produced since the last commit, if anything was."""
        if not self.open:
            return
        try:
            self._until_answered(self._producer.abort_transaction)
        except _UnheardError:
            return  # Kafka aborts it, when it times out
        except FatalBrokerError:
            if not self._denied:
                raise
            # Kafka has no transaction where it refused the first partitions, and says that it
            # cannot abort one, which is fatal to the producer: `renew` takes another.
            self._errors.breaks += 1
        self.open = False

    def poll(self) -> None:
        """Lets the producer report errors and log lines."""
        self._producer.poll(0)

    def _send_offsets(self, offsets: list[TopicPartition], group: Any, seconds: float) -> None:
        """Sends them from a thread, because librdkafka may never return from it (see `renew`)."""
        answers: SimpleQueue[KafkaException | None] = SimpleQueue()
        send = self._producer.send_offsets_to_transaction

        def ask() -> None:
            try:
                send(offsets, group, seconds)
            except KafkaException as error:
                answers.put(error)
            else:
                answers.put(None)

        threading.Thread(target=ask, name="send offsets", daemon=True).start()
        try:
            error = answers.get(timeout=_STUCK_SECONDS)
        except Empty:
            self.open = False  # nothing more can be asked of this producer
            raise FatalBrokerError(
                f"librdkafka has not answered for {_STUCK_SECONDS:.0f} s while sending offsets "
                "(its issue 5511: the group's coordinator went away in that moment). The process "
                "ends; start it again, it goes on from the last commit"
            ) from None
        if error is not None:
            raise error

    def _until_answered(self, call: Callable[[float], None]) -> None:
        told_to_stop: float | None = None
        heard: float | None = None  # since when the brokers have answered other calls
        while True:
            try:
                call(_CALL_SECONDS)
                return
            except KafkaException as error:
                if not error_of(error).retriable():
                    raise self._judged(error) from error
                self._silence()
                self._producer.poll(0)
                heard = (heard or time.monotonic()) if self._hears() else None
                if heard is not None and time.monotonic() - heard > _UNHEARD_SECONDS:
                    self.open = False  # nothing more can be asked of this producer
                    self._errors.breaks += 1  # `renew` takes another
                    raise _UnheardError(
                        "Kafka answers, but for a transaction's coordinator: "
                        f"{error_of(error).str()}"
                    ) from error
                if self._stopping():
                    now = time.monotonic()
                    told_to_stop = told_to_stop or now
                    if self.away:
                        raise BrokerError("Kafka is away") from error
                    if now - told_to_stop > _LAST_SECONDS:
                        raise BrokerError(f"Kafka is silent: {error_of(error).str()}") from error

    def _replace(self) -> None:
        self._errors = ClientErrors()
        self._producer = self._make(self._errors)

    def _hears(self) -> bool:
        """Whether a broker answers this producer now."""
        try:
            self._producer.list_topics(next(iter(self._topics), None), timeout=_ANSWER_SECONDS)
        except KafkaException:
            return False
        return True

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except KafkaException as error:
            raise self._judged(error) from error

    def _begin(self) -> None:
        if self._errors.breaks:
            self.renew()
        self._call(self._producer.begin_transaction)
        self._topics.clear()
        self._denied = False
        self.open = True

    def _judged(self, error: KafkaException) -> Exception:
        cause = error_of(error)
        denied = self._rights.explain(cause, self._topics)
        if denied is not None:
            self._denied = True
            return denied
        if is_fatal(cause) or cause.code() == FENCED:
            return FatalBrokerError(
                f"the transactional producer is beyond repair: {cause.str()}. The process ends; "
                "start it again, it goes on from the last commit"
            )
        return error


def error_of(error: KafkaException) -> KafkaError:
    """The KafkaError within an exception of confluent-kafka."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(error))
