"""The background thread that feeds librdkafka from a buffer, and outlives broken producers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from stream.client.buffer import Buffer, Entry
from stream.client.counters import Counters
from stream.client.deliveries import Deliveries
from stream.client.notices import LIBRDKAFKA_LOG, Notices
from stream.client.options import Options, refusal
from stream.client.record import Packer, Record

__all__ = ["Feeder"]

_IDLE_SECONDS = 0.5  # how long the thread sleeps where nothing is to be sent or heard of
_POLL_SECONDS = 0.02
_RETRY_SECONDS = 0.5
_AGAIN_SECONDS = 3.0  # between producers, where one after another is beyond repair
_LONGEST_AGAIN_SECONDS = 30.0  # where none could be made, time after time
_TURN_ROWS = 500  # between two polls, which let the callers' threads run
_PURGE_SECONDS = 0.5  # in which librdkafka gives back what it held
_FULL = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001  # public, in spite of its name


class Feeder:
    """One buffer, one librdkafka producer and the thread between them.

    Building it contacts nobody. Raises ConfigError where librdkafka refuses a property.
    """

    def __init__(self, options: Options, packer: Packer) -> None:
        self._options = options
        self._packer = packer
        self.notices = Notices()
        self._deliveries = Deliveries(options, self.notices)
        self.buffer: Buffer[Any] = Buffer(
            options.buffer_rows, options.buffer_bytes, options.on_full, options.block_seconds
        )
        self._packed: deque[Record] = deque()  # out of the buffer, and not yet librdkafka's
        self._prepared = False
        self._broken = False
        self._deadline: float | None = None
        self.gave_up = 0
        self.producer: Producer | None = self._connect()
        self._settled = threading.Condition()
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name="driftstream-sdk", daemon=True)
        self._thread.start()

    @property
    def counters(self) -> Counters:
        """Rows since the start; they add up once nothing moves."""
        delivered, failed = self._deliveries.delivered, self._deliveries.failed
        evicted = self.buffer.evicted
        accepted = self.buffer.accepted  # read last, so that a row may count twice but never not
        buffered = max(0, accepted - evicted - delivered - failed)
        return Counters(delivered, failed, evicted + self.buffer.refused, buffered)

    def flush(self, seconds: float) -> bool:
        """True as soon as no row is buffered, False after that many seconds."""
        limit = time.monotonic() + seconds
        self.buffer.hurry(1)
        with self._settled:
            self._waiting += 1
            try:
                while self.counters.buffered:
                    left = limit - time.monotonic()
                    if left <= 0 or not self.is_running:
                        return False
                    self._settled.wait(min(left, _IDLE_SECONDS))
                return True
            finally:
                self._waiting -= 1
                self.buffer.hurry(-1)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    @property
    def seconds_left(self) -> float:
        """Until the thread ends at the latest; 0 where nobody has told it to end."""
        return max(0.0, self._deadline - time.monotonic()) if self._deadline else 0.0

    def retire(self, seconds: float) -> None:
        """Tells the thread to end when all is sent, at the latest in that many seconds."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds
            self.buffer.hurry(1)

    def join(self, seconds: float) -> bool:
        """Waits for the thread's end, for at most that many seconds; True where it ended."""
        self._thread.join(max(0.0, seconds))
        return not self.is_running

    def _connect(self) -> Producer:
        properties = {**self._options.producer_properties(), "error_cb": self._hear_error}
        try:
            return Producer({"logger": LIBRDKAFKA_LOG, **properties})
        except (KafkaException, TypeError, ValueError) as refused:
            raise refusal(refused) from refused

    def _run(self) -> None:
        producer = self.producer
        assert producer is not None  # noqa: S101  # only this thread takes it away
        while not self._is_done():
            try:
                self._turn(producer)
            except Exception as fault:  # noqa: BLE001  # nothing ends the thread that sends rows
                self._say_fault(fault)
                self._pause(_RETRY_SECONDS)
            self._tell()
            if self._broken:
                producer = self._next(producer)
        self._give_up(producer)
        self._tell()
        self.producer = None  # the last reference: librdkafka ends with this thread

    def _turn(self, producer: Producer) -> None:
        sent = self._prepare(producer) and self._send_due(producer)
        self._poll(producer, 0 if sent or not self._deliveries.outstanding else _POLL_SECONDS)

    def _poll(self, producer: Producer, seconds: float) -> bool:
        """Hears what became of records; False where something was raised before all was heard.

        librdkafka runs users' callbacks (statistics, tokens) in it, and its own fatal error comes
        out of it as an exception.
        """
        try:
            producer.poll(seconds)
        except Exception as fault:  # noqa: BLE001  # users' callbacks raise what they like
            error = fault.args[0] if isinstance(fault, KafkaException) and fault.args else None
            if isinstance(error, KafkaError):
                self._hear_error(error)
            else:
                self._say_fault(fault)
            return False
        return True

    def _say_fault(self, fault: Exception) -> None:
        self.notices.warn("fault", f"{self._options.topic}: {fault!r}")

    def _is_done(self) -> bool:
        if self._deadline is None:
            return False
        return self.counters.buffered == 0 or time.monotonic() >= self._deadline

    def _prepare(self, producer: Producer) -> bool:
        if self._prepared:
            return True
        if not self.buffer.await_rows(_IDLE_SECONDS):
            return False
        reason = self._packer.prepare(producer, self._options.topic)
        self._prepared = reason is None
        if reason is not None:
            self.notices.warn("prepare", f"{self._options.topic}: rows wait: {reason}")
            self._pause(_RETRY_SECONDS)
        return self._prepared

    def _pause(self, seconds: float) -> None:
        with self._settled:
            self._settled.wait(seconds)

    def _next(self, broken: Producer) -> Producer:
        """The producer after a broken one, however many tries it takes; that one where all ends.

        What stands against a new one (no thread, no descriptor, a certificate that is just being
        replaced) may be over the next time.
        """
        seconds = _AGAIN_SECONDS
        self._wait_in_vain(seconds)
        self._write_off(broken)
        while not self._is_done():
            self._tell()
            try:
                self.producer = self._connect()
            except Exception as fault:  # noqa: BLE001  # nothing ends the thread that sends rows
                why = f"rows wait: no new producer can be made: {fault}"
                self.notices.warn("producer", f"{self._options.topic}: {why}")
                seconds = min(2 * seconds, _LONGEST_AGAIN_SECONDS)
                self._wait_in_vain(seconds)
            else:
                self._broken = False
                return self.producer
        return broken

    def _wait_in_vain(self, seconds: float) -> None:
        """Lets that time pass in which nothing can be sent, less where it is to end."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and not self._is_done():
            self._pause(_POLL_SECONDS)

    def _send_due(self, producer: Producer) -> bool:
        """True where all that was due went to librdkafka, False where there was nothing or no room.

        What doesn't go now stays packed, whatever happens, and goes first the next time.
        """
        if not self._packed and not self._pack_due():
            return False
        while self._packed:
            if not self._send(producer, self._packed[0]):
                return False
            self._packed.popleft()
        return True

    def _pack_due(self) -> bool:
        room = self._options.outstanding_rows - self._deliveries.outstanding
        room_bytes = self._options.outstanding_bytes - self._deliveries.outstanding_size
        if room <= 0 or room_bytes <= 0:
            return False
        entries = self.buffer.take(
            self._packer.fewest,
            max(min(room, _TURN_ROWS), self._packer.fewest),
            room_bytes,
            self._options.linger if self._packer.fewest > 1 else 0.0,
            0.0 if self._deliveries.outstanding else _IDLE_SECONDS,
        )
        self._packed.extend(self._pack(entries) if entries else ())
        return bool(entries)

    def _pack(self, entries: Sequence[Entry[Any]]) -> list[Record]:
        records: list[Record] = []
        try:
            records = self._packer.pack(entries)
        finally:  # what cannot be packed at all has failed too
            lost = sum(e.rows for e in entries) - sum(record.rows for record in records)
            self._deliveries.failed += lost
        if lost:
            self.notices.warn("size", f"{self._options.topic}: {lost} rows are too large to send")
        return records

    def _send(self, producer: Producer, record: Record) -> bool:
        """True where the record is librdkafka's or has failed; False where it has to wait."""
        key, value, rows, size, partition = record
        settle = self._deliveries.settler(record)
        headers = self._packer.headers
        more: dict[str, Any] = {} if headers is None else {"headers": headers}
        try:
            producer.produce(self._options.topic, value, key, partition, on_delivery=settle, **more)
        except BufferError:
            if self._deliveries.outstanding:
                return False
            self._deliveries.lose(rows, _FULL)  # larger than an empty queue: it never goes
        except KafkaException as refused:
            error: KafkaError = refused.args[0]
            if error.code() == KafkaError._FATAL:  # noqa: SLF001  # public, in spite of its name
                self._broken = True  # why, poll says; the next producer takes the record
                return False
            self._deliveries.lose(rows, error)
        else:
            self._deliveries.outstanding += rows
            self._deliveries.outstanding_size += size
        return True

    def _hear_error(self, error: KafkaError) -> None:
        self._broken = self._broken or error.fatal()
        explained = self._deliveries.explained(error)
        self.notices.warn(error.name(), f"{self._options.topic}: {explained}")
        users = self._options.kafka.get("error_cb")
        if callable(users):
            try:
                users(error)
            except Exception as fault:  # noqa: BLE001  # users' callbacks raise what they like
                self._say_fault(fault)

    def _give_up(self, producer: Producer) -> None:
        lost = self.gave_up = self.counters.buffered
        self.buffer.end(sum(record.rows for record in self._packed))
        self._packed.clear()
        self._write_off(producer)
        if lost:
            self.notices.warn("lost", f"{self._options.topic}: ended with {lost} rows unsent")

    def _write_off(self, producer: Producer) -> None:
        """Counts as failed what librdkafka holds and cannot deliver."""
        if self._deliveries.outstanding:
            producer.purge()
            limit = time.monotonic() + _PURGE_SECONDS
            while not self._poll(producer, _POLL_SECONDS) and time.monotonic() < limit:
                pass  # a callback was in the way of the others
        self._deliveries.write_off()

    def _tell(self) -> None:
        """Lets those look again who wait for room, or for the last row to be done with."""
        self.buffer.hold(
            self._deliveries.outstanding + sum(record.rows for record in self._packed),
            self._deliveries.outstanding_size + sum(record.size for record in self._packed),
        )
        if self._waiting:
            with self._settled:
                self._settled.notify_all()
