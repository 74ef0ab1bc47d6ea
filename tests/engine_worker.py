"""A worker process of the counting agent, to be killed by tests.

python -m tests.engine_worker BOOTSTRAP PREFIX INSTANCE
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from stream.engine import EngineSettings, Runner
from tests.engine_agents import Counting

__all__: list[str] = []


def main(bootstrap: str, prefix: str, instance: str) -> None:
    """Counts until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = EngineSettings(
        bootstrap,
        prefix,
        commit_interval_ms=50,
        slice_records=200,
        transaction_timeout_ms=3_000,
        session_timeout_ms=6_000 if instance else 30_000,  # who has no name has to say goodbye
        instance_id=instance,
    )
    Runner(Counting(), settings).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
