"""Brokers that die or stall, topics that come late, processors that can do less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

from stream.workload.records import SOURCES
from tests.chaos.run import Run

__all__ = [
    "broker_killed",
    "broker_stalled",
    "hold_back",
    "one_of_three_killed",
    "processor",
    "without_features",
]

_STALLS = (2.0, 5.0, 11.0)  # the last is longer than sessions and transactions live
_LONGER_THAN_IDLE = 8.0
_ASK = """
import json
from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatch, __cpu_features__ as has
print(json.dumps([name for name in dispatch if has[name]]))
"""
_MEANS = {  # by the names of numpy 2.4 and of those before
    "AVX512": ("X86_V4", "AVX512"),
    "AVX2": ("X86_V3", "X86_V4", "AVX512", "AVX2", "FMA3"),
}


def broker_killed(run: Run) -> None:
    """Kill -9 of the only broker, back after a while, twice."""
    run.start_all()
    for turn in range(2):
        run.reach((turn + run.random.random()) / 3, since=run.ground.observed())
        run.say(f"kill -9 of the broker at {run.under_way('the kill')}")
        run.kafka.kill()
        run.let_pass(run.random.uniform(0.5, 6.0))
        run.kafka.restart()
        run.say("the broker is back")
        run.counts["broker kills"] += 1


def one_of_three_killed(run: Run) -> None:
    """Kill -9 of a random one of three brokers, which stays away."""
    run.start_all()
    run.reach(run.random.uniform(0.2, 0.5))
    broker = run.random.randrange(3)
    run.say(f"kill -9 of broker {broker} of three at {run.under_way('the kill')}")
    run.kafka.kill(broker)
    run.counts["broker kills"] += 1


def broker_stalled(run: Run) -> None:
    """The broker doesn't answer for a while, nor lose a connection."""
    run.start_all()
    for turn, seconds in enumerate(_STALLS):
        run.reach((turn + run.random.random()) / 4, since=run.ground.observed())
        run.say(f"SIGSTOP of the broker for {seconds} s at {run.under_way('the stall')}")
        run.kafka.pause()
        run.let_pass(seconds)
        run.kafka.resume()
        run.counts["stalls"] += 1


def hold_back(*topics: str) -> Callable[[Run], None]:
    """Topics are filled when the others have been read to the end for longer than idle_after."""
    others = [name for name in SOURCES if name not in topics]

    def act(run: Run) -> None:
        if run.moving:  # the window that rows move to is the last one, and labels are silent
            run.workers.environ["DRIFTSTREAM_LABEL_PATIENCE"] = f"{_LONGER_THAN_IDLE}s"
        run.start_all()
        run.until(lambda: run.ground.behind(others) == 0, f"{others} read and committed")
        run.say(f"{' and '.join(others)} read to the end")
        run.let_pass(_LONGER_THAN_IDLE)
        partials = run.ground.partials()
        run.until(lambda: run.ground.detected(partials), "detect")
        run.counts["records held back"] += run.ground.total - run.ground.observed()
        run.say(f"{' and '.join(topics)} come; {run.under_way('release')} read so far")
        run.ground.release(topics)

    return act


def without_features(of: str) -> Callable[[Run], None]:
    """Workers whose numpy is told that the processor lacks these instructions."""

    def act(run: Run) -> None:
        has = processor()
        off = [name for name in has if name.startswith(_MEANS[of])]
        run.counts["features switched off"] += len(off)
        if off:
            told = {"NPY_DISABLE_CPU_FEATURES": " ".join(off)}
            run.workers.environ.update(told)
            left = processor(**told)
            run.require(not set(left) & set(off), f"numpy still uses {left}")
            run.say(f"numpy without {' '.join(off)}; left: {' '.join(left) or 'its baseline'}")
        else:
            run.say(f"this processor has no {of}: the case is the undisturbed one")
        run.start_all()

    return act


def processor(**environ: str) -> list[str]:
    """The processor's features beyond its baseline that numpy uses, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return [str(name) for name in json.loads(done.stdout)]
