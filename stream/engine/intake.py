"""From consumed messages to a slice of columns, and how far each source has been read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.adapters.kafka.codes import END
from stream.adapters.kafka.headers import headers_each
from stream.core.records import Slice, Source
from stream.engine.agent import Broadcast
from stream.engine.fetched import Fetched
from stream.engine.followers import Followers
from stream.engine.positions import write_positions

__all__ = ["Intake", "broadcast"]

_MOST_TOLD = 8  # sources named in a line of the log
_SAMPLES = 64  # records of a slice whose sizes are looked at


class Intake:
    """The sources of an agent: T input topics of P partitions, and the next offset of each.

    `positions` (T, P) int64 are the next offsets to step, -1 for a source that isn't read;
    `recorded` (T, P) are those of the last commit, -1 where none was ours.
    `follows` names topics that are read behind another one; what waits for it is unread.
    """

    def __init__(
        self,
        topics: Sequence[str],
        prefix: str,
        partitions: int,
        rules: Mapping[str, str],
        follows: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules, self._clock = rules, clock
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
        self._next = self._flat.copy()  # to fetch: beyond the positions by what waits
        self._followers = Followers(self._leaders(follows)) if follows else None

    def begin(self, positions: Mapping[Source, int], recorded: Mapping[Source, int]) -> None:
        """Reads these sources from these positions on."""
        for source, position in positions.items():
            place = self.topics.index(source.topic), source.partition
            self.positions[place] = position
            self.recorded[place] = recorded.get(source, -1)
            flat = self._place(source)
            self._next[flat] = position
            if self._followers is not None:
                self._followers.begin(flat)

    def end(self, tasks: Iterable[int]) -> None:
        """Reads the tasks' sources no more."""
        for task in tasks:
            self.positions[:, task] = -1
            self.recorded[:, task] = -1
            self._next[task :: self.partitions] = -1
            for place in range(task, len(self._sources), self.partitions):
                if self._followers is not None:
                    self._followers.end(place)

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

    @property
    def waiting(self) -> bool:
        """Whether fetched records wait for others, so that a slice may come without messages."""
        return self._followers is not None and self._followers.waiting

    def fetch(self, consumer: Consumer, most: int, seconds: float) -> list[Message]:
        """Messages for a slice of up to `most` records; none where none come in so many seconds.

        Records that wait no longer go into that slice, so as many fewer are asked for.
        """
        if self._followers is None:
            return consumer.consume(most, seconds)
        ready, started = self._followers.ready(), self._clock()
        messages = consumer.consume(max(1, most - ready), 0.0 if ready else seconds)
        self._followers.spent(self._clock() - started)
        return messages

    def stop(self, sources: Iterable[Source]) -> None:
        """These sources, and no others, are paused by the agent: what waits of them stays."""
        if self._followers is not None:
            self._followers.stop(map(self._place, sources))

    def crowding(self) -> set[Source]:
        """The sources to be paused because too much of them waits."""
        places = self._followers.crowding() if self._followers is not None else ()
        return {self._sources[place] for place in places}

    def slice(
        self,
        messages: Sequence[Message],
        on_error: Callable[[Message, KafkaError], None],
        most: int,
    ) -> Slice:
        """A slice of the messages, in their order; moves the positions of their sources.

        Records of a source that isn't read, or from before what was read of it (fetched before
        a rebalance or a rewind), are left out. Those that have to follow others are kept for a
        later slice; kept ones that may go on come last, up to `most` records in all. Errors
        other than "end of partition" go to `on_error`, which raises those that are more than
        passing.
        """
        ends: list[tuple[int, int]] = []
        if any(map(Message.error, messages)):
            messages, ends = self._sort_out(messages, on_error)
        fetched = Fetched.at(self._places_of(messages), messages)
        after = self._next[fetched.place]
        known = (after >= 0) & (fetched.offset >= after)
        if not known.all():
            fetched = fetched.pick(np.flatnonzero(known))
        self._next[fetched.place] = fetched.offset + 1  # of a repeated place the last one stays
        ends = [(place, offset) for place, offset in ends if 0 <= self._next[place] <= offset]
        for place, offset in ends:
            self._next[place] = offset
        kept: list[int] = []
        if self._followers is not None:
            fetched, ends, kept = self._followers.sort(fetched, ends, most)
        self._flat[fetched.place] = fetched.offset + 1
        self._weigh(fetched.messages)
        return self._columns(fetched, self._reached(ends), kept)

    def _columns(
        self, fetched: Fetched, ends: tuple[tuple[Source, int], ...], kept: list[int]
    ) -> Slice:
        messages, place = fetched.messages, fetched.place
        present = np.flatnonzero(np.bincount(place, minlength=len(self._sources)))
        self._places[present] = np.arange(len(present), dtype=np.int32)

        def key(index: int) -> bytes | None:
            return messages[index].key()

        return Slice(
            sources=tuple([self._sources[i] for i in present.tolist()]),
            source=self._places[place],
            offset=fetched.offset,
            timestamp_ms=fetched.timestamp_ms,
            values=list(map(Message.value, messages)),
            headers=headers_each(messages),
            key=key,
            ends=ends,
            kept=tuple(map(self._sources.__getitem__, kept)),
        )

    def _place(self, source: Source) -> int:
        return self.topics.index(source.topic) * self.partitions + source.partition

    def _leaders(self, follows: Mapping[str, str]) -> list[int]:
        """The place that each place follows, -1 for none. ValueError: a leader follows itself."""
        if chained := follows.keys() & follows.values():
            raise ValueError(f"{sorted(chained)} are followed and follow themselves")
        return [
            self._place(Source(follows[topic], partition)) if topic in follows else -1
            for topic, partition in self._sources
        ]

    def _places_of(self, messages: Sequence[Message]) -> npt.NDArray[np.int32]:
        count = len(messages)
        place = np.fromiter(map(Message.partition, messages), np.int32, count)
        if len(self.names) > 1:
            bases = map(self._base.__getitem__, map(Message.topic, messages))
            place += np.fromiter(bases, np.int32, count)
        return place

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
        """The ends that were read to; their sources' positions move past transaction markers."""
        for place, offset in ends:
            self._flat[place] = offset
        return tuple({self._sources[place]: offset for place, offset in ends}.items())

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
