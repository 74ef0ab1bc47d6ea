"""What is done to workers and brokers while they work; each proves that it came in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.chaos.coming_and_going import kill_9, restart, scale, zombie
from tests.chaos.doomed import after_the_commit, before_the_commit
from tests.chaos.run import Run
from tests.chaos.surroundings import (
    broker_killed,
    broker_stalled,
    hold_back,
    one_of_three_killed,
    without_features,
)

__all__ = ["DISTURBANCES", "Disturbance"]


@dataclass(frozen=True, slots=True)
class Disturbance:
    """`act` starts the workers and disturbs them; the run is then waited for.

    `held` are topics that `act` releases itself; `brokers` how many the case needs. `appended`
    topics have the broker's timestamps, so that silence is told from what was there before.
    `moving` says of which kind windows must record moved rows; those aren't compared.
    `braked` workers take their time until `act` is over.
    """

    act: Callable[[Run], None]
    says: str
    held: tuple[str, ...] = ()
    brokers: int = 1
    appended: bool = False
    moving: str = ""
    braked: bool = False


def _nothing(run: Run) -> None:
    run.start_all()


DISTURBANCES: Mapping[str, Disturbance] = {
    "undisturbed": Disturbance(_nothing, "nothing is done"),
    "kill-9": Disturbance(
        kill_9, "kill -9 of a random worker, ten times, each back at once", braked=True
    ),
    "sigterm": Disturbance(
        restart, "SIGTERM to a random worker, five times, each back at once", braked=True
    ),
    "scale": Disturbance(
        scale, "workers n → 3 → n (of three: 3 → 1 → 3) during the run", braked=True
    ),
    "broker-killed": Disturbance(
        broker_killed, "kill -9 of the broker and restart, twice", braked=True
    ),
    "one-of-three": Disturbance(
        one_of_three_killed, "of three brokers one is killed and stays away", brokers=3, braked=True
    ),
    "zombie": Disturbance(
        zombie, "SIGSTOP of a worker until others have its tasks, SIGCONT", braked=True
    ),
    "broker-stalled": Disturbance(
        broker_stalled,
        "SIGSTOP of the broker for 2, 5 and 11 s: a changelog that stalls",
        braked=True,
    ),
    "before-commit": Disturbance(
        before_the_commit, "workers die between their last produce and the commit", braked=True
    ),
    "after-commit": Disturbance(
        after_the_commit, "workers die between a commit and the next poll", braked=True
    ),
    "labels-late": Disturbance(
        hold_back("labels"),
        "labels come when everything else has been read, and is silent",
        held=("labels",),
        appended=True,
    ),
    "predictions-late": Disturbance(
        hold_back("features", "predictions"),
        "predictions and features come when labels have been read, and are silent",
        held=("features", "predictions"),
        appended=True,
        moving="performance",
    ),
    "no-avx512": Disturbance(without_features("AVX512"), "numpy with AVX512 switched off"),
    "no-avx2": Disturbance(without_features("AVX2"), "numpy with AVX2 and FMA switched off"),
}
