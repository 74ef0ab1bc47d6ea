"""Workers that are killed, told to go, frozen, more and fewer."""

from __future__ import annotations

import re
import signal

from tests.chaos.run import Run

__all__ = ["kill_9", "restart", "scale", "zombie"]

_KILLS = 10
_RESTARTS = 5
_FENCED = ("the group went on without this worker's tasks", "fenced", "Unknown member")
_RUNNING = re.compile(r"tasks of \w+ running: [1-9]")


def kill_9(run: Run) -> None:
    """Kills while observe goes on, spread over the records; each time it must have gone on."""
    run.start_all()
    seen = -1
    for turn in range(_KILLS):
        run.reach((turn + run.random.random()) / (_KILLS + 4), since=seen)
        seen = run.ground.observed()
        name = run.random.choice(run.workers.running())
        run.say(f"kill -9 {name} at {run.under_way('a kill')}")
        run.workers.kill(name)
        run.counts["kills"] += 1
        run.start(name)
    _every_life_worked(run)


def restart(run: Run) -> None:
    """SIGTERM, status 0, and back."""
    run.start_all()
    seen = -1
    for turn in range(_RESTARTS):
        run.reach((turn + run.random.random()) / (_RESTARTS + 1), since=seen)
        seen = run.ground.observed()
        name = run.random.choice(run.workers.running())
        run.say(f"SIGTERM {name} at {run.under_way('a restart')}")
        status = run.workers.terminate(name)
        run.require(status == 0, f"{name} ended with {status} when told to")
        run.counts["restarts"] += 1
        run.start(name)


def scale(run: Run) -> None:
    """More workers, or fewer, at a third of the records; as before at two thirds."""
    run.start_all()
    other = 3 if run.count < 3 else 1
    run.reach(0.25)
    _become(run, other)
    run.reach(0.6, since=run.ground.observed())
    _become(run, run.count)


def zombie(run: Run) -> None:
    """A worker is frozen until the others have taken its tasks, and goes on as if nothing was."""
    run.start_all()
    run.reach(0.15)
    frozen = run.random.choice(run.workers.running())
    run.say(f"SIGSTOP {frozen} at {run.under_way('a freeze')}")
    life = run.workers.places[frozen]
    said = len(life.text())
    run.workers.signal(frozen, signal.SIGSTOP)
    others = [name for name in run.workers.running() if name != frozen]
    before = sum(_assignments(run, name) for name in others)
    if not others:
        others = [f"w{run.count}"]
        run.start(others[0])
    taken = before + 2 * len(others)  # observe's and detect's tasks, of each
    run.until(lambda: sum(_assignments(run, name) for name in others) >= taken, "a takeover")
    run.say(f"SIGCONT {frozen} at {run.ground.observed():,}; its tasks are with {others}")
    run.workers.signal(frozen, signal.SIGCONT)

    def fenced() -> bool:
        return any(sign in life.text()[said:] for sign in _FENCED)

    run.until(lambda: fenced() or not life.running, "the zombie to be fenced")
    run.require(fenced(), f"the zombie ended with {life.process.returncode} and says nothing")
    run.counts["zombies fenced"] += 1
    run.say(f"{frozen} was fenced" + ("" if life.running else " and ended"))


def _become(run: Run, count: int) -> None:
    running = run.workers.running()
    before = {name: _assignments(run, name) for name in running}
    run.say(f"{len(running)} → {count} workers at {run.under_way('a change')}")
    run.pace(count)
    for number in range(len(running), count):
        run.start(f"w{number}")
    for name in running[count:]:
        status = run.workers.terminate(name)
        run.require(status == 0, f"{name} ended with {status} when told to")
    for name in run.workers.running():
        seen = before.get(name, 0)
        run.until(lambda: _assignments(run, name) > seen or run.ground.behind() == 0, "rebalance")  # noqa: B023  # called within the turn
    run.counts["changes of the number"] += 1


def _assignments(run: Run, name: str) -> int:
    return len(_RUNNING.findall(run.workers.places[name].text()))


def _every_life_worked(run: Run) -> None:
    told = run.workers.told()
    run.require(told["assignments"] > 2 * run.count, "no task was ever taken up again")
