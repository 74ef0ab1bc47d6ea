"""Workers that die at an exact moment of a commit, and a program that is such a worker.

python -m tests.chaos.doomed AGENT POINT NUMBER: `driftstream worker` whose agent's commit of this
number (from 1) is its last moment. The points: everything is produced and not committed
(`produced`); the offsets are in the transaction too (`offsets`); committed, and nothing has been
read since (`committed`).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from stream.engine.runner import Runner
from stream.engine.transaction import Transaction
from tests.chaos.braked import BrakedSession
from tests.chaos.run import Run
from tests.chaos.workers import Life

__all__ = ["after_the_commit", "before_the_commit"]

_DEATHS = 4  # each agent at each point
_log = logging.getLogger("tests.chaos")


def before_the_commit(run: Run) -> None:
    """Deaths with everything produced, by turns with the offsets in the transaction too."""
    _die(run, ("produced", "offsets"))


def after_the_commit(run: Run) -> None:
    """Deaths when the commit has been answered, before anything else is read."""
    _die(run, ("committed",))


def _die(run: Run, points: Sequence[str]) -> None:
    dooms = [
        (("observe", "detect")[turn % 2], points[turn // 2 % len(points)])
        for turn in range(_DEATHS)
    ]
    waiting = iter(dooms)

    def next_life(name: str) -> None:
        doom = next(waiting, None)
        if doom is None:
            run.start(name)
            return
        number = run.random.randint(2, 6)
        run.say(f"{name} is to die at {doom[0]}'s commit {number}: {doom[1]}")
        run.start(name, ("-m", "tests.chaos.doomed", *doom, str(number)))

    def revive(life: Life) -> bool:
        if life.process.returncode != -signal.SIGKILL or "dies at its commit" not in life.text():
            return False
        seen = run.ground.observed()
        run.counts["deaths"] += 1
        run.counts["deaths in the midst"] += seen < run.ground.total
        run.say(f"{life.name} died at {seen:,} of {run.ground.total:,} records")
        next_life(life.name)
        return True

    run.revive = revive
    for number in range(run.count):
        next_life(f"w{number}")
    run.until(lambda: run.counts["deaths"] == _DEATHS, f"{_DEATHS} deaths")
    midst = run.counts["deaths in the midst"]
    run.require(midst >= _DEATHS // 2, f"only {midst} deaths came while work was under way")


def _doom(transaction: Transaction, point: str, number: int) -> None:
    """Lets the transaction's commit of this number be the process's last moment."""
    commit, left = transaction.commit, number

    def dying(offsets: list[TopicPartition], group: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            commit(offsets, group)
            return
        if point == "committed":
            commit(offsets, group)
        else:
            if not transaction.open:
                transaction._begin()
            transaction._producer.flush(10.0)
        if point == "offsets":
            transaction._until_answered(_sending(transaction, offsets, group))
        _log.warning("dies at its commit: %s", point)
        os.kill(os.getpid(), signal.SIGKILL)

    transaction.commit = dying  # type: ignore[method-assign]  # the point of this program


def _sending(
    transaction: Transaction, offsets: list[TopicPartition], group: Any
) -> Callable[[float], None]:
    return lambda seconds: transaction._send_offsets(offsets, group, seconds)


def main(agent: str, point: str, number: int) -> None:
    """A worker, doomed."""
    from stream.cli.application import run

    class DoomedSession(BrakedSession):
        def __init__(self, its_agent: Any, *rest: Any) -> None:
            super().__init__(its_agent, *rest)
            if its_agent.name == agent:
                _doom(self._transaction, point, number)

    Runner.session = DoomedSession
    sys.exit(run(["worker"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
