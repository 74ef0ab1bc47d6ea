"""What an agent is to the engine: topics by name, tasks, slices, state. No Kafka in sight.

Task p of an agent reads partition p of each of its input topics. The engine calls an agent from
one thread only. Whatever `step` and `commit` return is produced in the open transaction, with
the input positions; if that transaction aborts, the engine drops the tasks, assigns them again
from their last committed state and feeds the same records once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from stream.core.records import Output, Slice, Source

__all__ = [
    "Agent",
    "Broadcast",
    "Change",
    "Commit",
    "Following",
    "Pausing",
    "Spilling",
    "Working",
]


@dataclass(frozen=True, slots=True)
class Change:
    """A write to a task's changelog: `value` None removes the key."""

    task: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Commit:
    """What an agent adds to a transaction that is about to be committed."""

    outputs: Sequence[Output] = ()
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A record of a topic that every worker reads whole, in offset order."""

    topic: str
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class Agent(Protocol):
    """A stateful program over co-partitioned topics."""

    @property
    def name(self) -> str:
        """Names the consumer group and the changelog; a word such as `observe`."""

    @property
    def inputs(self) -> Sequence[str]:
        """Logical names of the input topics; all have one number of partitions."""

    @property
    def rules(self) -> Mapping[str, str]:
        """The settings a task's state was made by, a word each: with others it can't go on."""

    @property
    def broadcasts(self) -> Sequence[str]:
        """Logical names of topics to be read to their end before each `broadcast_every_ms`."""

    @property
    def broadcast_every_ms(self) -> int:
        """How old, at the most, what `hear` has told may be when `step` is called."""

    def assign(
        self, task: int, positions: Mapping[Source, int], state: Mapping[bytes, bytes]
    ) -> None:
        """Builds a task from its changelog's live records; an empty mapping is a new task.

        `positions` are the offsets that its sources will be read from. Called again for a task
        that exists, it replaces it.
        """

    def suspend(self, task: int) -> None:
        """The task went away and may come back unchanged: keep it, let it do nothing."""

    def resume(self, task: int) -> None:
        """A suspended task is ours again, and nobody has moved its state meanwhile."""

    def drop(self, task: int) -> None:
        """Forgets a task, suspended or not; also one whose transaction was aborted."""

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        """Takes in what is new on the broadcast topics."""

    def wants_broadcasts(self, slice_: Slice) -> bool:
        """True where the slice names something that only a newer broadcast can explain."""

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        """Steps all tasks over one slice; what must be said at once is returned."""

    def commit(self, positions: Mapping[Source, int], now_ms: int) -> Commit:
        """Called before each commit, and each commit interval without input: outputs and changes.

        `positions` are the next offsets of every source of the active tasks.
        """


@runtime_checkable
class Working(Protocol):
    """What an agent has besides, if a slice may lead to more than fits between two commits."""

    def work(self, now_ms: int) -> Sequence[Output]:
        """Goes on for a moment with what `step` and `commit` have left; called after each slice.

        What it does counts for the open transaction, as a step does.
        """


@runtime_checkable
class Spilling(Protocol):
    """What an agent has besides, if much of its state may change between two commits."""

    def spill(self) -> Sequence[Change]:
        """Some of what the next commit's changes would hold, to be written now.

        Asked after each slice, so that the changelog is written while slices are stepped, not
        while the commit waits. The open transaction has them, as it will have the rest.
        """


@runtime_checkable
class Pausing(Protocol):
    """What an agent has besides, if it holds sources back at times."""

    def paused(self, now_ms: int) -> Set[Source]:
        """The sources not to be read now; asked after each slice and, at the latest, each second.

        A paused source keeps its position; it is read on when it is no longer named.
        """


@runtime_checkable
class Following(Protocol):
    """What an agent has besides, if it is cheaper to read one of its topics behind another."""

    @property
    def follows(self) -> Mapping[str, str]:
        """Which input follows which: a backlog of both comes as it was appended, task by task.

        So a record of `labels`, say, is stepped with or after the predictions appended before
        it. It isn't promised: where the other topic gives nothing, there is no waiting for it.
        A topic that is followed may not follow one itself.
        """
