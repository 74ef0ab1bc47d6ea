"""State that is written ahead of the commit: in its transaction, once, and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from stream.core.records import Output, Slice, Source
from stream.engine import Change
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.kafka_io import read_all


class Spiller(Counting):
    """Keeps a change for each record as it steps; once, in the midst, it raises."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 1
        self.state: dict[int, dict[bytes, bytes]] = {}
        self._new: list[Change] = []

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        super().assign(task, positions, state)
        self.state[task] = dict(state)
        self._new.clear()

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        for place, offset in zip(slice_.source.tolist(), slice_.offset.tolist(), strict=True):
            self._new.append(Change(slice_.sources[place].partition, b"seen/%d" % offset, b""))
        said = super().step(slice_, now_ms)
        if self.failures and counting(self) > 1_000:
            self.failures -= 1
            raise ValueError("a passing fault")
        return said

    def spill(self) -> Sequence[Change]:
        """All of it at once."""
        spilled, self._new = self._new, []
        return spilled


def test_what_an_agent_spills_is_in_its_transaction_and_nowhere_else(
    kafka: Kafka, unique: str
) -> None:
    deployment = Deployment(kafka.bootstrap_servers, unique).create()
    deployment.produce(4_000)
    first, second = Spiller(), Spiller()
    settings = deployment.settings(slice_records=300, commit_interval_ms=2_000)
    with Running(first, settings) as running:
        until(lambda: counting(first) == 4_000 and deployment.counted() == deployment.sent)
    assert first.failures == 0 and "agent" in running.noted.aborts
    written = Counter(
        (record.partition, record.key)
        for record in read_all(deployment.bootstrap, f"{unique}count-changelog")
        if (record.key or b"").startswith(b"seen/")
    )
    assert len(written) == 4_000 and set(written.values()) == {1}
    with Running(second, settings):
        until(lambda: len(second.state) == deployment.partitions)
    kept = [sum(key.startswith(b"seen/") for key in state) for state in second.state.values()]
    assert kept == [1_000] * deployment.partitions
