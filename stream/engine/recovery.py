"""Tasks from their changelogs, in the order that leaves no gap for a worker that died or stalls.

1. The group's committed offsets, asked for read_committed, so that the answer waits for a
   transaction that has sent offsets and may still be committed (a zombie's, a dead worker's).
2. The changelog's end, asked for read_uncommitted: an open transaction hides nothing of it.
3. The changelog, read read_committed until the position reaches that end.
4. The positions in the changelog must be the committed ones.

Every step is short or gives up soon and is repeated, so that the group hears of its member.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.broadcast import read_on
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.offsets import Partition, beginnings, committed, ends
from stream.core.errors import StateError
from stream.core.records import Source
from stream.engine.positions import POSITIONS, read_positions
from stream.engine.settings import EngineSettings

__all__ = ["Kept", "Recovery", "Restored"]

_log = logging.getLogger("stream.engine")

_ANSWER_SECONDS = 1.0
_WAIT_SECONDS = 0.02
_COMPLAIN_SECONDS = 20.0  # longer than a transaction of a dead worker lives by default


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a suspended task: its positions, and its changelog's end then."""

    positions: Mapping[Source, int]
    end: int
    since: float


@dataclass(frozen=True, slots=True)
class Restored:
    """A task that may start: where to read from, and its state; None if it was kept.

    `recorded` are the positions that the last commit holds: none for a new source.
    """

    task: int
    positions: Mapping[Source, int]
    recorded: Mapping[Source, int]
    state: Mapping[bytes, bytes] | None


class Recovery:
    """One assignment's way from the partitions' numbers to tasks that may start.

    `first` remembers where sources begin that have no commit: a restore before the first one
    begins there again, not at an end that has moved on.
    """

    def __init__(
        self,
        agent: str,
        rules: Mapping[str, str],
        topics: Sequence[str],
        tasks: Sequence[int],
        kept: Mapping[int, Kept],
        connection: Connection,
        admin: AdminClient,
        settings: EngineSettings,
        first: dict[Source, int],
    ) -> None:
        self._agent = agent
        self._rules = rules
        self._first = first
        self._topics = tuple(topics)
        self._kept = {task: kept[task] for task in tasks if task in kept}
        self._connection = connection
        self._admin = admin
        self._settings = settings
        self._changelog = settings.changelog(agent)
        self._committed: dict[int, dict[Source, int]] | None = None
        self._targets: dict[Partition, int] | None = None
        self._oldest: dict[Partition, int] = {}
        self._latest: dict[Partition, int] = {}
        self._reader: Consumer | None = None
        self._read: dict[Partition, int] = {}
        self._states: dict[int, dict[bytes, bytes]] = {}
        self.tasks = tuple(tasks)
        self.records = 0
        self.started = time.monotonic()
        self._moved = math.inf  # when records came last, from the first look on

    def advance(self, consumer: Consumer) -> list[Restored] | None:
        """Goes one short step on; returns the tasks when all may start, else None.

        `consumer` is the group's member. BrokerError: call again later, nothing is lost.
        StateError: the changelog and the committed offsets disagree.
        """
        if self._committed is None:
            self._committed = self._ask_committed(consumer)
        elif self._targets is None:
            self._ask_offsets()
        elif not self._reached(self._targets):
            self._read_on()
        else:
            return self._finish()
        return None

    def close(self) -> None:
        """Lets go of the changelog."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _ask_committed(self, consumer: Consumer) -> dict[int, dict[Source, int]]:
        found: dict[int, dict[Source, int]] = {task: {} for task in self.tasks}
        if self.tasks:
            offsets = committed(consumer, self._inputs(), _ANSWER_SECONDS)
            for (name, task), offset in offsets.items():
                topic = name.removeprefix(self._settings.prefix)
                found[task][Source(topic, task)] = offset
        return found

    def _ask_offsets(self) -> None:
        self._oldest = beginnings(self._admin, self._inputs())
        self._latest = ends(self._admin, self._inputs(), IsolationLevel.READ_UNCOMMITTED)
        targets = self._ends(IsolationLevel.READ_UNCOMMITTED)
        for task, kept in list(self._kept.items()):
            unmoved = targets[self._changelog, task] == kept.end
            if not unmoved or (self._committed or {})[task] != dict(kept.positions):
                del self._kept[task]
        self._ask_beginnings()
        self._targets = {one: end for one, end in targets.items() if one[1] not in self._kept}
        self._read = dict.fromkeys(self._targets, 0)
        self._states = {task: {} for _, task in self._targets}

    def _ask_beginnings(self) -> None:
        """Where sources are read from that have no commit, and are not known to begin somewhere."""
        new = [
            source
            for task, known in (self._committed or {}).items()
            for source in self._sources(task)
            if source not in known
            and self._first.get(source, math.inf) > self._latest[self._name(source)]
        ]
        found = self._oldest
        if new and self._settings.start_from == "latest":
            names = [self._name(source) for source in new]
            found = ends(self._admin, names, IsolationLevel.READ_COMMITTED)
        self._first.update({source: found[self._name(source)] for source in new})

    def _ends(self, isolation: IsolationLevel) -> dict[Partition, int]:
        changelogs = [(self._changelog, task) for task in self.tasks]
        return ends(self._admin, changelogs, isolation)

    def _reached(self, targets: Mapping[Partition, int]) -> bool:
        return all(self._read[one] >= end for one, end in targets.items())

    def _read_on(self) -> None:
        if self._reader is None:
            self._reader = self._connection.reader()
            self._reader.assign([TopicPartition(*one, 0) for one in self._read])
            self._moved = time.monotonic()
        before = dict(self._read)
        records = read_on(self._reader, self._read, _WAIT_SECONDS, self._connection.login)
        self._complain(moved=self._read != before)
        for message in records:
            state = self._states[message.partition() or 0]
            key, value = message.key() or b"", message.value()
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
            self.records += 1

    def _complain(self, *, moved: bool) -> None:
        """Says where an open transaction hides the changelog's end for long."""
        now = time.monotonic()
        if moved:
            self._moved = now
        elif now - self._moved > _COMPLAIN_SECONDS:
            self._moved = now
            stable = self._ends(IsolationLevel.READ_COMMITTED)
            hidden = [
                f"{name}/{task} {stable[name, task]} to {end}"
                for (name, task), end in sorted((self._targets or {}).items())
                if stable[name, task] < end
            ]
            if not hidden:
                return
            _log.warning(
                "%s waits: a transaction that nobody ends hides records of its changelog (%s). "
                "Kafka aborts it when it times out; where that never comes, "
                "`kafka-transactions.sh find-hanging` tells of it",
                self._agent, ", ".join(hidden[:8]),
            )  # fmt: skip

    def _finish(self) -> list[Restored]:
        self.close()
        recorded = self._committed or {}
        done: list[Restored] = []
        for task in self.tasks:
            kept = self._kept.get(task)
            if kept is not None:
                done.append(Restored(task, kept.positions, recorded[task], None))
                continue
            state = self._states[task]
            self._check(task, state.pop(POSITIONS, None), recorded[task])
            positions = {s: recorded[task].get(s, -1) for s in self._sources(task)}
            done.append(Restored(task, self._resolved(positions), recorded[task], state))
        return done

    def _check(self, task: int, record: bytes | None, found: Mapping[Source, int]) -> None:
        """The fourth step: StateError unless the changelog's positions are the group's.

        And unless its state was made by the rules of this worker's agent.
        """
        at, rules = read_positions(record) if record is not None else ({}, {})
        self._check_rules(task, rules)
        known = {Source(topic, task): offset for topic, offset in at.items()}
        if all(known.get(source) == found.get(source) for source in self._sources(task)):
            return
        raise StateError(
            f"task {task} of {self._agent}: its changelog {self._changelog} is at "
            f"{_words(known)}, but the group {self._settings.group(self._agent)} has committed "
            f"{_words(found)}. Someone reset the group's offsets, or one of the two was deleted "
            "or expired. Stop the workers and run `driftstream state reset "
            f"{self._agent}` to say where to go on from"
        )

    def _check_rules(self, task: int, rules: Mapping[str, str]) -> None:
        for name in sorted(rules.keys() & self._rules.keys()):
            if rules[name] != self._rules[name]:
                raise StateError(
                    f"task {task} of {self._agent}: its state was made with {name} = "
                    f"{rules[name]}, and this worker has {name} = {self._rules[name]}. Give all "
                    f"workers the same `{name}`; to change it, stop them and run `driftstream "
                    f"state reset {self._agent}`, and the same for the other agents"
                )

    def _resolved(self, positions: Mapping[Source, int]) -> dict[Source, int]:
        """Positions for sources that have none, and the oldest record's for those behind it.

        StateError for one that is beyond the log's end.
        """
        resolved: dict[Source, int] = {}
        for source, position in positions.items():
            name = self._name(source)
            oldest, end = self._oldest[name], self._latest[name]
            if position > end:
                raise StateError(
                    f"{name[0]} partition {name[1]} ends at {end}, and {self._agent} has read it "
                    f"up to {position}: the topic was deleted and made anew, or records of it were "
                    f"lost. Stop the workers and run `driftstream state reset {self._agent}` to "
                    "say where to go on from"
                )
            resolved[source] = max(oldest, self._first[source] if position < 0 else position)
            if 0 <= position < oldest:
                _log.error(
                    "%s partition %d: records %d to %d were deleted before %s read them; "
                    "raise the topic's retention or add workers",
                    *name, position, oldest - 1, self._agent,
                )  # fmt: skip
        return resolved

    def _sources(self, task: int) -> list[Source]:
        return [Source(topic, task) for topic in self._topics]

    def _inputs(self) -> list[Partition]:
        return [self._name(source) for task in self.tasks for source in self._sources(task)]

    def _name(self, source: Source) -> Partition:
        return self._settings.topic(source.topic), source.partition


def _words(positions: Mapping[Source, int]) -> str:
    return ", ".join(f"{s.topic} {at}" for s, at in sorted(positions.items())) or "nothing"
