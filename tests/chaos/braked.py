"""A worker that takes its time, so that what is done to it comes while it works.

python -m tests.chaos.braked: `driftstream worker` whose observe agent rests after each slice, for
as many seconds a record as the file says that the environment's `CHAOS_BRAKE` names; not at all
once that file is gone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from stream.core.records import Slice
from stream.engine.runner import Runner
from stream.engine.session import Session

__all__ = ["BRAKE", "BRAKED", "BrakedSession"]

BRAKE = "CHAOS_BRAKE"
BRAKED = ("-m", "tests.chaos.braked")
_LONGEST_SECONDS = 4.0  # the group must hear of its member


class BrakedSession(Session):
    """A session that rests after each slice of observe while its brake is on."""

    def _step(self, slice_: Slice) -> None:
        super()._step(slice_)
        if self._agent.name == "observe":
            time.sleep(min(_LONGEST_SECONDS, len(slice_) * _seconds_a_record()))


def _seconds_a_record() -> float:
    path = os.environ.get(BRAKE)
    if path is None:
        return 0.0
    try:
        return float(Path(path).read_text("ascii"))
    except FileNotFoundError:
        return 0.0


def main() -> None:
    """A worker, braked."""
    from stream.cli.application import run

    Runner.session = BrakedSession
    sys.exit(run(["worker"]))


if __name__ == "__main__":
    main()
