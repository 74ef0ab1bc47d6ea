"""Whatever the order in which two topics come: each record once, in order, none before its time."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.records import Slice, Source
from tests.intake_world import FOLLOWER, LEADER, World, end, record

_TASKS = (0, 1)
_SOURCES = [Source(topic, task) for topic in (LEADER, FOLLOWER) for task in _TASKS]
_MOST = 5

_Act = tuple[str, int, int]  # what to do, with which task or source, how much


@dataclass
class _Log:
    """A source's records by their timestamps, and what became of them."""

    times: list[int]
    fetched: int = 0
    stepped: int = 0
    committed: int = 0
    mark: int = -1  # the largest timestamp that a consumer gave
    ended: bool = False
    heard: float = 0.0  # as `waited` was when something was given


class _Run:
    """An intake that is acted upon, every slice of which is checked."""

    def __init__(self, times: list[list[int]]) -> None:
        self.world = World(len(_TASKS))
        self.logs = {source: _Log(each) for source, each in zip(_SOURCES, times, strict=True)}
        self.waited = 0.0

    def act(self, act: _Act) -> None:
        """One thing that may happen."""
        what, which, much = act
        if what == "fetch":
            self.world.coming += self._records(_SOURCES[which], much)
        elif what == "read":
            self.read(0.75 * much)
        elif what == "commit":
            for log in self.logs.values():
                log.committed = log.stepped
        else:
            self._rewind(_TASKS[which % len(_TASKS)])

    def finish(self) -> None:
        """Everything comes, and is waited for."""
        for source in _SOURCES:
            self.world.coming += self._records(source, len(self.logs[source].times))
        while self.world.coming:
            self.read(0.0)
        while self.world.intake.waiting:
            self.read(3.0)
        for source, log in self.logs.items():
            assert log.stepped == len(log.times) == self.world.position(*source)

    def read(self, seconds: float) -> None:
        """One slice."""
        self.waited += seconds
        slice_ = self.world.read(seconds=seconds, most=_MOST)
        for message in self.world.given:
            self._hear(message)
        self._check(slice_)

    def _records(self, source: Source, much: int) -> list[Message]:
        log = self.logs[source]
        numbers = range(log.fetched, min(log.fetched + much, len(log.times)))
        log.fetched = numbers.stop
        task = source.partition
        found = [record(source.topic, i, log.times[i], partition=task) for i in numbers]
        ended = log.fetched == len(log.times)
        return [*found, end(source.topic, log.fetched, partition=task)] if ended else found

    def _hear(self, message: Message) -> None:
        log = self.logs[
            Source((message.topic() or "").removeprefix("test."), message.partition() or 0)
        ]
        log.ended = message.error() is not None
        if not log.ended:
            log.mark = max(log.mark, message.timestamp()[1])
            log.heard = self.waited

    def _rewind(self, task: int) -> None:
        self.world.coming = [each for each in self.world.coming if each.partition() != task]
        ours = {source: log for source, log in self.logs.items() if source.partition == task}
        self.world.intake.end([task])
        positions = {source: log.committed for source, log in ours.items()}
        self.world.intake.begin(positions, positions)
        for log in ours.values():
            log.fetched = log.stepped = log.committed
            log.mark, log.ended, log.heard = -1, False, self.waited

    def _due(self, source: Source, time_ms: int) -> bool:
        leader = self.logs[Source(LEADER, source.partition)]
        silent = self.waited - leader.heard >= 3
        return source.topic == LEADER or leader.ended or silent or time_ms <= leader.mark

    def _check(self, slice_: Slice) -> None:
        assert len(slice_) <= _MOST
        for index, offset in zip(slice_.source.tolist(), slice_.offset.tolist(), strict=True):
            source = slice_.sources[index]
            log = self.logs[source]
            assert offset == log.stepped and self._due(source, log.times[offset])
            log.stepped += 1
        for source, offset in slice_.ends:
            assert offset == len(self.logs[source].times) == self.logs[source].stepped
        for source, log in self.logs.items():
            assert log.stepped == self.world.position(*source)
            if len(slice_) < _MOST and log.stepped < self._arrived(source):
                assert not self._due(source, log.times[log.stepped])

    def _arrived(self, source: Source) -> int:
        """How many of its records a consumer has given."""
        topic, task = f"test.{source.topic}", source.partition
        coming = [
            each
            for each in self.world.coming
            if each.topic() == topic and each.partition() == task and each.error() is None
        ]
        return self.logs[source].fetched - len(coming)


_TIMES = st.lists(st.lists(st.integers(0, 12), max_size=12), min_size=4, max_size=4)
_ACTS = st.one_of(
    st.tuples(st.just("fetch"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("read"), st.just(0), st.integers(0, 2)),
    st.tuples(st.sampled_from(["commit", "rewind"]), st.integers(0, 1), st.just(0)),
)


@settings(max_examples=400)
@given(_TIMES, st.booleans(), st.lists(_ACTS, max_size=40))
def test_each_record_is_stepped_once_in_order_and_none_before_its_time(
    times: list[list[int]], appended: bool, acts: list[_Act]
) -> None:
    run = _Run([sorted(each) if appended else each for each in times])
    for act in acts:
        run.act(act)
    run.finish()
