"""An observe agent behind an intake that keeps labels back: what is kept is no silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from confluent_kafka import Message

from stream.agents.observe.agent import ObserveAgent
from stream.core.records import Source
from tests.intake_world import FOLLOWER, LEADER, World, end, record
from tests.observe_agents import NOW, SETTINGS, partials_of, profile_of_credit
from tests.slices import row_json

_HOUR_MS = 3_600_000
_LABELS = Source(FOLLOWER, 0)
_IDLE_MS = SETTINGS.times.idle_after_ms


class _Worker:
    """Reads, steps and commits, a second a turn: what it claims to be silent is returned."""

    def __init__(self) -> None:
        self.world = World()
        self.agent = ObserveAgent(replace(SETTINGS, sources=(LEADER, FOLLOWER), partitions=1))
        self.agent.hear([profile_of_credit()])
        self.agent.assign(0, {Source(LEADER, 0): 0, _LABELS: 0}, {})
        self.now_ms = NOW
        self._predicted = 0

    def turn(self, messages: Sequence[Message] = (), *, behind_ms: int = _HOUR_MS) -> set[Source]:
        """One prediction more, of a backlog, and these."""
        self.now_ms += 1_000
        time_ms = self.now_ms - behind_ms
        value = row_json(f"id-{self._predicted}", time_ms)
        prediction = record(LEADER, self._predicted, time_ms, value=value)
        self._predicted += 1
        slice_ = self.world.read([prediction, *messages])
        self.agent.step(slice_, self.now_ms)
        commit = self.agent.commit(self.world.intake.of([0]), self.now_ms)
        partials = partials_of(list(commit.outputs))
        return {claim.source for partial in partials for claim in partial.claims}


def _label(offset: int, time_ms: int) -> Message:
    value = b'{"prediction_id": "id-0", "label": 1, "event_time_ms": %d}' % (time_ms - _HOUR_MS)
    return record(FOLLOWER, offset, time_ms, value=value)


@pytest.fixture
def worker() -> _Worker:
    return _Worker()


def test_labels_that_are_kept_behind_a_backlog_are_not_claimed_to_be_silent(
    worker: _Worker,
) -> None:
    worker.turn([end(FOLLOWER, 0)])
    claimed = [worker.turn() for _ in range(_IDLE_MS // 1_000 + 2)]
    assert claimed[-1] == {_LABELS}
    claimed = [worker.turn([_label(0, worker.now_ms)])]
    claimed += [worker.turn() for _ in range(3 * _IDLE_MS // 1_000)]
    assert worker.world.position(FOLLOWER) == 0 and worker.world.intake.waiting
    assert not any(claimed)


def test_labels_that_were_kept_are_silent_when_their_end_was_told(worker: _Worker) -> None:
    worker.turn([end(FOLLOWER, 0)])
    worker.turn([_label(0, worker.now_ms), end(FOLLOWER, 1)])
    assert not worker.turn(behind_ms=0)
    assert worker.world.position(FOLLOWER) == 1
    claimed = [worker.turn(behind_ms=0) for _ in range(_IDLE_MS // 1_000 + 2)]
    assert not any(claimed[: _IDLE_MS // 1_000 - 1]) and claimed[-1] == {_LABELS}


def test_what_comes_and_goes_on_at_once_is_not_said_to_be_kept(worker: _Worker) -> None:
    world = worker.world
    assert world.read([_label(0, 10), record(LEADER, 0, 10)]).kept == ()
    assert world.read([_label(1, 20), _label(2, 30)]).kept == (_LABELS,)
    assert world.read([record(LEADER, 1, 20)]).kept == ()
    assert world.read([_label(3, 30), record(LEADER, 2, 30)]).kept == ()
    assert not world.intake.waiting
