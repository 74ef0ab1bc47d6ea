"""A backlog of small labels and large predictions on a real broker, and a fault in its midst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from stream.core.records import Output, Slice, Source
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.kafka_io import Record, produce_all

pytestmark = pytest.mark.timeout(120)

_ROUNDS = 30
_MANY = 50  # records of each topic, a round and partition
_LARGE = 4_000  # bytes of a prediction
_SMALL_FETCHES: Mapping[str, str] = {
    "fetch.message.max.bytes": "20000",
    "queued.max.messages.kbytes": "200",
}


class _Watching(Counting):
    """Counts the labels that are stepped before a prediction that was appended before them."""

    def __init__(self, faults: int = 0) -> None:
        super().__init__(("predictions", "labels"))
        self.faults = faults
        self.early = 0
        self.next: dict[Source, int] = {}

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        super().assign(task, positions, state)
        self.next.update(positions)

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        for place, offset in zip(slice_.source.tolist(), slice_.offset.tolist(), strict=True):
            assert self.next[slice_.sources[place]] == offset
            self.next[slice_.sources[place]] += 1
        for source in slice_.sources:
            rounds = (self.next[source] - 1) // _MANY + 1
            predictions = self.next[Source("predictions", source.partition)]
            self.early += source.topic == "labels" and predictions < rounds * _MANY
        said = super().step(slice_, now_ms)
        if self.faults and counting(self) > _ROUNDS * _MANY:
            self.faults -= 1
            raise RuntimeError("a passing fault")
        return said


class _Following(_Watching):
    follows: Mapping[str, str] = {"labels": "predictions"}


@pytest.fixture
def backlog(kafka: Kafka, unique: str) -> Deployment:
    """Rounds of predictions and their labels on two partitions, appended in turn."""
    made = Deployment(kafka.bootstrap_servers, unique, ("predictions", "labels"), partitions=2)
    made.create()
    for _ in range(_ROUNDS):
        for topic, value in (("predictions", b"p" * _LARGE), ("labels", b"l")):
            records = [Record(value, partition=i % 2) for i in range(2 * _MANY)]
            produce_all(made.bootstrap, unique + topic, records)
            made.sent.update(record.partition for record in records)
    return made


def _early(backlog: Deployment, agent: _Watching) -> int:
    """How often labels came early while the whole backlog was read and committed."""
    settings = backlog.settings(slice_records=200, kafka=_SMALL_FETCHES)
    with Running(agent, settings) as running:
        until(lambda: backlog.counted() == backlog.sent, 60.0)
    assert running.noted.aborts == ["agent"] * ("agent" in running.noted.aborts)
    assert set(agent.next.values()) == {_ROUNDS * _MANY}
    return agent.early


def test_labels_come_behind_the_predictions_that_were_appended_before_them(
    backlog: Deployment,
) -> None:
    agent = _Following(faults=1)
    assert _early(backlog, agent) == 0
    assert not agent.faults


def test_without_that_labels_come_early(backlog: Deployment) -> None:
    assert _early(backlog, _Watching()) > 0
