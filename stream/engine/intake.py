"""From consumed messages to a slice of columns, and how far each source has been read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.adapters.kafka.codes import END
from stream.adapters.kafka.headers import headers_each
from stream.core.records import Int64s, Slice, Source
from stream.engine.agent import Broadcast
from stream.engine.positions import write_positions

__all__ = ["Intake", "broadcast"]

_time_ms = itemgetter(1)
_MOST_TOLD = 8  # sources named in a line of the log
_SAMPLES = 64  # records of a slice whose sizes are looked at


class Intake:
    """The sources of an agent: T input topics of P partitions, and the next offset of each.

    `positions` (T, P) int64 are the next offsets to step, -1 for a source that isn't read;
    `recorded` (T, P) are those of the last commit, -1 where none was ours.
    Nothing is done a message: columns come from C-level maps over the messages.
    """

    def __init__(
        self, topics: Sequence[str], prefix: str, partitions: int, rules: Mapping[str, str]
    ) -> None:
        self._rules = rules
        self.topics = tuple(topics)
        self.names = tuple(prefix + topic for topic in topics)
        self.partitions = partitions
        shape = (len(self.topics), partitions)
        self.positions = np.full(shape, -1, dtype=np.int64)
        self.recorded = np.full(shape, -1, dtype=np.int64)
        self.record_bytes = 0.0
        self._flat = self.positions.reshape(-1)
        self._base: dict[str | None, int] = {n: i * partitions for i, n in enumerate(self.names)}
        self._sources = [Source(topic, p) for topic in self.topics for p in range(partitions)]
        self._places = np.zeros(len(self._sources), dtype=np.int32)

    def begin(self, positions: Mapping[Source, int], recorded: Mapping[Source, int]) -> None:
        """Reads these sources from these positions on."""
        for source, position in positions.items():
            place = self.topics.index(source.topic), source.partition
            self.positions[place] = position
            self.recorded[place] = recorded.get(source, -1)

    def end(self, tasks: Iterable[int]) -> None:
        """Reads the tasks' sources no more."""
        for task in tasks:
            self.positions[:, task] = -1
            self.recorded[:, task] = -1

    def of(self, tasks: Iterable[int]) -> dict[Source, int]:
        """The positions of the tasks' sources."""
        return {
            Source(topic, task): int(self.positions[i, task])
            for task in tasks
            for i, topic in enumerate(self.topics)
        }

    def moved(self, tasks: Sequence[int]) -> list[int]:
        """The tasks whose positions aren't those of the last commit."""
        moved = (self.positions != self.recorded).any(axis=0)
        return [task for task in tasks if moved[task]]

    def uncommitted(self) -> str:
        """The records stepped since the last commit, as `topic/partition first-last`, some.

        Of a source without a commit `first` isn't known and is left out.
        """
        moved = np.argwhere(self.positions > np.maximum(self.recorded, 0)).tolist()
        told = []
        for topic, partition in moved[:_MOST_TOLD]:
            first = self.recorded[topic, partition]
            last = self.positions[topic, partition] - 1
            told.append(f"{self.topics[topic]}/{partition} {first if first >= 0 else ''}-{last}")
        more = [f"{len(moved) - _MOST_TOLD} more"] if len(moved) > _MOST_TOLD else []
        return ", ".join(told + more) or "nothing"

    def record(self, task: int) -> bytes:
        """A task's positions as its changelog keeps them, with the rules of its agent."""
        column = self.positions[:, task].tolist()
        return write_positions(dict(zip(self.topics, column, strict=True)), self._rules)

    def offsets(self, tasks: Iterable[int]) -> list[TopicPartition]:
        """The positions of the tasks' sources as the consumer group commits them."""
        return [
            TopicPartition(name, task, int(self.positions[i, task]))
            for task in tasks
            for i, name in enumerate(self.names)
        ]

    def partition(self, source: Source) -> TopicPartition:
        """The source by its name on the broker, at its position."""
        index = self.topics.index(source.topic)
        position = int(self.positions[index, source.partition])
        return TopicPartition(self.names[index], source.partition, position)

    def lags(self, consumer: Consumer, tasks: Iterable[int]) -> dict[str, int]:
        """Records not yet read, a topic, as the consumer knows the partitions' ends."""
        lags: dict[str, int] = {}
        for one in self.offsets(tasks):
            _, end = consumer.get_watermark_offsets(one, cached=True)
            topic = self.topics[self.names.index(one.topic)]
            lags[topic] = lags.get(topic, 0) + max(0, end - one.offset)
        return lags

    def answers(self, consumer: Consumer) -> bool:
        """True where the brokers, silent before, tell of the first topic within a second."""
        try:
            consumer.list_topics(self.names[0], timeout=1.0)
        except KafkaException:
            return False
        return True

    def slice(
        self, messages: Sequence[Message], on_error: Callable[[Message, KafkaError], None]
    ) -> Slice:
        """A slice of the messages, in their order; moves the positions of their sources.

        Records of a source that isn't read, or from before its position (fetched before a
        rebalance or a rewind), are left out. Errors other than "end of partition" go to
        `on_error`, which raises those that are more than passing.
        """
        ends: list[tuple[int, int]] = []
        if any(map(Message.error, messages)):
            messages, ends = self._sort_out(messages, on_error)
        place, offset = self._places_of(messages)
        known = (self._flat[place] >= 0) & (offset >= self._flat[place])
        if not known.all():
            kept = np.flatnonzero(known)
            messages = [messages[i] for i in kept.tolist()]
            place, offset = place[kept], offset[kept]
        self._flat[place] = offset + 1  # of a repeated place the last, largest one stays
        self._weigh(messages)
        return self._columns(messages, place, offset, self._reached(ends))

    def _columns(
        self,
        messages: Sequence[Message],
        place: npt.NDArray[np.int32],
        offset: Int64s,
        ends: tuple[tuple[Source, int], ...],
    ) -> Slice:
        present = np.flatnonzero(np.bincount(place, minlength=len(self._sources)))
        self._places[present] = np.arange(len(present), dtype=np.int32)
        times = map(_time_ms, map(Message.timestamp, messages))

        def key(index: int) -> bytes | None:
            return messages[index].key()

        return Slice(
            sources=tuple([self._sources[i] for i in present.tolist()]),
            source=self._places[place],
            offset=offset,
            timestamp_ms=np.fromiter(times, np.int64, len(messages)),
            values=list(map(Message.value, messages)),
            headers=headers_each(messages),
            key=key,
            ends=ends,
        )

    def _places_of(self, messages: Sequence[Message]) -> tuple[npt.NDArray[np.int32], Int64s]:
        count = len(messages)
        place = np.fromiter(map(Message.partition, messages), np.int32, count)
        if len(self.names) > 1:
            bases = map(self._base.__getitem__, map(Message.topic, messages))
            place += np.fromiter(bases, np.int32, count)
        return place, np.fromiter(map(Message.offset, messages), np.int64, count)

    def _sort_out(
        self, messages: Sequence[Message], on_error: Callable[[Message, KafkaError], None]
    ) -> tuple[list[Message], list[tuple[int, int]]]:
        records: list[Message] = []
        ends: list[tuple[int, int]] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == END:
                place = self._base[message.topic()] + (message.partition() or 0)
                ends.append((place, message.offset() or 0))
            else:
                on_error(message, error)
        return records, ends

    def _reached(self, ends: list[tuple[int, int]]) -> tuple[tuple[Source, int], ...]:
        """The ends of sources that are read; their positions move past transaction markers."""
        reached: dict[Source, int] = {}
        for place, offset in ends:
            if 0 <= self._flat[place] <= offset:
                self._flat[place] = offset
                reached[self._sources[place]] = offset
        return tuple(reached.items())

    def _weigh(self, messages: Sequence[Message]) -> None:
        """Follows the mean size of a record from some of each slice: up at once, down slowly."""
        some = messages[:: max(1, len(messages) // _SAMPLES)]
        if some:
            mean = sum(map(len, some)) / len(some)
            self.record_bytes = max(mean, 0.8 * self.record_bytes + 0.2 * mean)


def broadcast(message: Message, prefix: str) -> Broadcast:
    """A record of a broadcast topic, by the topic's logical name."""
    topic = (message.topic() or "").removeprefix(prefix)
    time_ms = message.timestamp()[1]
    return Broadcast(topic, message.offset() or 0, time_ms, message.key(), message.value())
