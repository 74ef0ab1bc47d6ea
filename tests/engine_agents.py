"""Agents that the engine's tests drive: the smallest one there is, and what tests hang on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.core.records import Output, Slice, Source
from stream.engine.agent import Broadcast, Change, Commit

__all__ = ["Counting"]


class Counting:
    """Counts the records of each task; every commit tells the counts' growth and the totals."""

    name = "count"
    rules: Mapping[str, str] = {"unit": "records"}
    broadcasts: Sequence[str] = ()
    broadcast_every_ms = 60_000

    def __init__(self, inputs: Sequence[str] = ("numbers",)) -> None:
        self.inputs = inputs
        self.totals: dict[int, int] = {}
        self.told: dict[int, int] = {}
        self.assigned: list[int] = []
        self.resumed: list[int] = []
        self.heard: list[Broadcast] = []

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        self.assigned.append(task)
        self.totals[task] = self.told[task] = int(state.get(b"total", b"0"))

    def suspend(self, task: int) -> None:
        assert self.totals[task] == self.told[task]

    def resume(self, task: int) -> None:
        self.resumed.append(task)

    def drop(self, task: int) -> None:
        self.totals.pop(task, None)

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        self.heard.extend(records)
        return ()

    def wants_broadcasts(self, slice_: Slice) -> bool:
        return False

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        for index in slice_.source.tolist():
            self.totals[slice_.sources[index].partition] += 1
        return ()

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        tasks = sorted({source.partition for source in positions})
        grown = {t: self.totals[t] - self.told[t] for t in tasks if self.totals[t] != self.told[t]}
        self.told.update({task: self.totals[task] for task in grown})
        return Commit(
            [Output("grown", b"%d" % task, b"%d" % more) for task, more in grown.items()],
            [Change(task, b"total", b"%d" % self.totals[task]) for task in grown],
        )
