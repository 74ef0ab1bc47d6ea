"""One run while it is disturbed: waiting under supervision, a journal, what it must prove."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from stream.adapters.kafka.local import LocalKafka
from stream.cli.digest.canonical import Digest
from stream.workload.plan import TIMES
from tests.chaos.braked import BRAKE, BRAKED
from tests.chaos.ground import Ground
from tests.chaos.workers import ENDED_BY_KAFKA, WORKER, Life, Workers

__all__ = ["CaseError", "Run"]

_LOOK_SECONDS = 0.1
_SETTLE_SECONDS = float(TIMES["idle_after"].removesuffix("s"))
_DIGEST_SECONDS = 1.5
_BRAKED_SECONDS = 40.0  # what the work takes that is disturbed, at the least
_LARGE = 1_000
# Few records a fetch and topics side by side: with large slices too it takes a while to the end.
_SLOWLY = {
    "MAX_LEAD": "3m",
    "KAFKA_FETCH_MESSAGE_MAX_BYTES": "1",
    "KAFKA_QUEUED_MIN_MESSAGES": "1",
    "KAFKA_FETCH_QUEUE_BACKOFF_MS": "20",
}
_REVIVALS = 8  # a supervisor would go on; more than these is a defect


class CaseError(AssertionError):
    """A case did not end as it must."""


@dataclass(slots=True)
class Run:
    """A workload being worked off by workers; what is done to them is told to the journal.

    `moving` is the kind of windows that move, if any: its last ones are others than undisturbed.
    `revive` is asked first about a worker that ended by itself; True: it has seen to that.
    """

    ground: Ground
    kafka: LocalKafka
    workers: Workers
    count: int
    slice_records: int
    random: Random
    seconds: float
    moving: str = ""
    journal: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    revive: Callable[[Life], bool] | None = None
    brake: Path | None = None
    started: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        """A line of the journal, with the time since the run began."""
        self.journal.append(f"{time.monotonic() - self.started:6.1f} s  {what}")

    @contextmanager
    def braked(self) -> Iterator[None]:
        """Within it workers take their time: however fast the machine, they are disturbed."""
        self.brake = self.workers.folder / "brake"
        self.pace(self.count)
        self.workers.environ[BRAKE] = str(self.brake)
        try:
            yield
        finally:
            self.brake.unlink()

    def pace(self, count: int) -> None:
        """Brakes workers so that so many of them take as long together as those before."""
        if self.brake is not None:
            seconds = _BRAKED_SECONDS * count / self.ground.total
            fresh = self.brake.with_suffix(".new")
            fresh.write_text(f"{seconds:.6f}", "ascii")
            fresh.replace(self.brake)

    def start(self, name: str, command: Sequence[str] = ()) -> None:
        """A worker; those of even numbers are static members of their groups."""
        static = int(name.removeprefix("w")) % 2 == 0
        slowly = _SLOWLY if self.slice_records >= _LARGE else {}
        settings = {"SLICE_RECORDS": str(self.slice_records), **slowly}
        command = command or (BRAKED if self.brake else WORKER)
        self.workers.start(name, command, INSTANCE_ID=name if static else "", **settings)

    def start_all(self) -> None:
        """As many workers as the case has."""
        for number in range(self.count):
            self.start(f"w{number}")

    def under_way(self, what: str) -> str:
        """How far observe is, in words; CaseError if everything is worked off already."""
        seen = self.ground.observed()
        self.require(seen < self.ground.total, f"{what} came when the work was over")
        return f"{seen:,} of {self.ground.total:,} records"

    def require(self, holds: object, what: str) -> None:
        """CaseError with these words unless it holds."""
        if not holds:
            raise CaseError(what)

    def until(
        self, condition: Callable[[], object], what: str, every: float = _LOOK_SECONDS
    ) -> None:
        """Returns when it holds; workers that Kafka ended are started again. CaseError if never."""
        pause = threading.Event()
        deadline = time.monotonic() + self.seconds
        while not condition():
            self._supervise()
            if time.monotonic() > deadline:
                raise CaseError(f"waited {self.seconds:.0f} s for {what}{self._outside()}")
            pause.wait(every)

    def _outside(self) -> str:
        """What Kafka itself has to do with a wait in vain, in words."""
        hidden = self.ground.hidden()
        told = f"; open transactions hide {hidden}" if hidden else ""
        for broker in range(len(self.kafka.bootstrap_servers.split(","))):
            if not self.kafka.running(broker):
                told += f"; broker {broker} does not run: {self.kafka.log_tail(broker)}"
        return told if told or self.ground.ends(["partials"]) else "; no broker answers"

    def let_pass(self, seconds: float) -> None:
        """Returns after so long."""
        over = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= over, f"{seconds} s")

    def reach(self, share: float, since: int = -1) -> None:
        """Waits until observe has committed this share of all records, and more than `since`."""
        goal = max(int(share * self.ground.total), since + 1)
        self.require(goal <= self.ground.total, "the work was over before it could be disturbed")
        self.until(lambda: self.ground.observed() >= goal, f"{goal:,} records")

    def complete(self) -> Digest:
        """The digest when everything is worked off and nothing has changed for a while."""
        self.until(lambda: self.ground.behind() == 0, "all sources read and committed")
        self.say("all sources read and committed")
        told = self.ground.partials()
        self.until(lambda: self.ground.detected(told), "all partials read and committed")
        digest, since = self.ground.digest(), time.monotonic()

        def settled() -> bool:
            nonlocal digest, since
            now = self.ground.digest()
            if (now.hex, now.moved_hex) != (digest.hex, digest.moved_hex):
                digest, since = now, time.monotonic()
            quiet = time.monotonic() - since >= _SETTLE_SECONDS
            moved = bool(now.moved) or not self.moving
            return quiet and moved and not self.ground.missing(now, self.moving)

        try:
            self.until(settled, "the last windows", _DIGEST_SECONDS)
        except CaseError as failed:
            missing = self.ground.missing(digest, self.moving)
            there = self.ground.there(digest)
            raise CaseError(
                f"{failed}; missing {missing}; there are {there}; {self.ground.lags()}"
            ) from failed
        told = self.ground.partials()
        self.until(lambda: self.ground.detected(told), "the last partials")
        failed_to_leave = self.workers.stop()
        self.require(not failed_to_leave, f"{failed_to_leave} did not end with status 0")
        self.say("workers stopped")
        return self.ground.digest()

    def log(self) -> str:
        """The ends of all logs."""
        texts = ((life.log.name, life.text()) for life in self.workers.lives)
        return "\n".join(f"{name}:\n{text[-2_000:]}" for name, text in texts)

    def save_log(self, path: Path) -> None:
        """All logs in one file."""
        texts = [f"=== {life.log.name}\n{life.text()}" for life in self.workers.lives]
        path.write_text("\n".join(texts), "utf-8")

    def _supervise(self) -> None:
        for life in self.workers.fallen():
            if self.revive is not None and self.revive(life):
                continue
            status = life.process.returncode
            self.require(status == ENDED_BY_KAFKA, f"{life.name} ended with {status}")
            self.counts["revived"] += 1
            self.require(self.counts["revived"] <= _REVIVALS, f"{life.name} ends again and again")
            self.say(f"{life.name} ended with {status} and is started again")
            self.start(life.name, life.command)
