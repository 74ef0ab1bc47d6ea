"""Workers as processes of their own, and what a supervisor does: start again what ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ENDED_BY_KAFKA", "WORKER", "Life", "Workers"]

WORKER = ("-c", "from stream.cli.entry import main; main()", "worker")
ENDED_BY_KAFKA = 3  # what a supervisor starts again: fenced, or a client beyond repair
_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 60.0
_SETTINGS = {
    "SESSION_TIMEOUT": "8s",
    "TRANSACTION_TIMEOUT": "8s",
    "COMMIT_INTERVAL": "200ms",
    "HTTP_PORT": "0",
    "REPLICATION": "0",
}
_TOLD = {
    "restored": re.compile(r"tasks of \w+ running: (\d+),"),
    "lost": re.compile(r"(the group went on without) this worker's tasks"),
    "went back": re.compile(r"(goes back) to its last commit"),
    "fatal": re.compile(r"(FatalBrokerError|beyond repair|has not answered for)"),
    "died by itself": re.compile(r"(dies at its commit)"),
}


@dataclass(slots=True)
class Life:
    """One process of a worker, from its start to its end."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    command: Sequence[str]
    expected: bool = False  # somebody else than the worker itself ended it

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def text(self) -> str:
        """What it logged."""
        return self.log.read_text("utf-8", "replace")


@dataclass(slots=True)
class Workers:
    """The workers of one run; each place is one that is started again when it ends."""

    environ: dict[str, str]
    folder: Path
    lives: list[Life] = field(default_factory=list)
    places: dict[str, Life] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str] = WORKER, **settings: str) -> Life:
        """Starts a worker of this name; `settings` are driftstream's."""
        own = {f"DRIFTSTREAM_{key}": value for key, value in {**_SETTINGS, **settings}.items()}
        log = self.folder / f"{name}-{len(self.lives)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **self.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=_ROOT,
            )
        life = Life(name, process, log, command)
        self.lives.append(life)
        self.places[name] = life
        return life

    def running(self) -> list[str]:
        """The names of workers that run, sorted."""
        return sorted(name for name, life in self.places.items() if life.running)

    def kill(self, name: str) -> None:
        """Kill -9, and waits for the end."""
        life = self.places[name]
        life.expected = True
        life.process.kill()
        life.process.wait()

    def terminate(self, name: str) -> int:
        """SIGTERM; returns the exit status, which is to be 0."""
        life = self.places[name]
        life.expected = True
        life.process.terminate()
        return life.process.wait(_STOP_SECONDS)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal."""
        self.places[name].process.send_signal(number)

    def fallen(self) -> list[Life]:
        """Workers that ended and that nobody told to."""
        return [x for x in self.places.values() if not x.running and not x.expected]

    def stop(self) -> list[str]:
        """SIGTERM to all that run; the names of those that did not end with status 0."""
        names = self.running()
        for name in names:
            self.places[name].expected = True
            self.places[name].process.terminate()
        return [name for name in names if self.places[name].process.wait(_STOP_SECONDS)]

    def end(self) -> None:
        """Kills whatever still runs."""
        for life in self.lives:
            if life.running:
                life.process.kill()
                life.process.wait()

    def told(self) -> Counter[str]:
        """What the logs tell: tasks restored, assignments, losses, aborts, ends."""
        found: Counter[str] = Counter()
        for life in self.lives:
            text = life.text()
            for what, sign in _TOLD.items():
                hits = sign.findall(text)
                if what == "restored":
                    found["assignments"] += len(hits)
                    found["tasks restored"] += sum(map(int, hits))
                else:
                    found[what] += len(hits)
        return found
