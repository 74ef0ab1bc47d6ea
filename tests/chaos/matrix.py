"""Runs cases one after another and compares each with the undisturbed run of its workload."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from confluent_kafka import KafkaException

from stream.adapters.kafka.local import LocalKafka
from stream.core.errors import DriftstreamError
from stream.workload import Plan
from tests.chaos.cases import Case
from tests.chaos.comparing import Outcome, differences
from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.ground import Ground
from tests.chaos.run import Run
from tests.chaos.workers import Workers

__all__ = ["Matrix", "Result"]

_REFERENCE_SLICES = 2_000
_PATIENT = {"broker.session.timeout.ms": "9000"}  # Kafka's own, with heartbeats twice a second


@dataclass(slots=True)
class Result:
    """How a case went; `failure` is empty where it is as it must be."""

    case: Case
    seconds: float = 0.0
    digest: str = ""
    windows: int = 0
    incidents: int = 0
    moved: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    failure: str = ""


class Matrix:
    """The undisturbed outcomes that a number of cases share; brokers are each run's own.

    `folder` gets the logs of cases that fail. `seconds` bounds each wait of a run.
    """

    def __init__(
        self, seed: int, folder: Path, seconds: float, say: Callable[[str], None] = print
    ) -> None:
        self._seed = seed
        self._folder = folder
        self._seconds = seconds
        self._say = say
        self._references: dict[tuple[Plan, bool], Outcome] = {}

    def results(self, cases: Sequence[Case]) -> Iterator[Result]:
        """Each case's result as it comes."""
        for case in cases:
            yield self.result(case)

    def result(self, case: Case) -> Result:
        """Runs a case. What makes it fail is in the result, not raised."""
        result = Result(case)
        started = time.monotonic()
        disturbance = DISTURBANCES[case.disturbance]
        self._say(f"{case.name}: {disturbance.says}")
        try:
            reference = self.reference(case.plan, disturbance.appended)
            started = time.monotonic()
            with self._run(case, appended=disturbance.appended) as run:
                result.journal = run.journal
                try:
                    self._disturbed(run, case, reference, result)
                finally:
                    result.counts = dict(run.counts + run.workers.told())
        except (AssertionError, DriftstreamError, KafkaException, OSError) as error:
            result.failure = f"{type(error).__name__}: {error}"
        result.seconds = time.monotonic() - started
        return result

    def reference(self, plan: Plan, appended: bool = False) -> Outcome:
        """What one undisturbed worker makes of a workload."""
        key = (plan, appended)
        if key not in self._references:
            case = Case("undisturbed", _REFERENCE_SLICES, 1, plan)
            with self._run(case, appended=appended) as run:
                run.start_all()
                digest = run.complete()
                everything = [each.place for each in (*digest.windows, *digest.incidents)]
                bodies = run.ground.bodies(set(everything))  # the cluster may not live to the end
                self._references[key] = Outcome(digest, lambda places: bodies)
            run.require(not digest.doubled, f"found twice, undisturbed: {digest.doubled}")
            run.require(not digest.odd, f"neither windows nor alerts: {digest.odd}")
            run.require(not digest.moved, f"{len(digest.moved)} moved windows, undisturbed")
            self._say(
                f"reference of {plan.rows:,} rows, {run.ground.total:,} records: {digest.hex}, "
                f"{len(digest.windows):,} windows, {len(digest.incidents)} incidents"
            )
        return self._references[key]

    def _disturbed(self, run: Run, case: Case, reference: Outcome, result: Result) -> None:
        disturbance = DISTURBANCES[case.disturbance]
        with run.braked() if disturbance.braked else nullcontext():
            disturbance.act(run)
        digest = run.complete()
        result.digest, result.windows = digest.hex, len(digest.windows)
        result.incidents, result.moved = len(digest.incidents), len(digest.moved)
        outcome = Outcome(digest, run.ground.bodies)
        apart = differences(reference, outcome, moving=disturbance.moving)
        result.failure = "\n".join(apart)

    @contextmanager
    def _run(self, case: Case, *, appended: bool = False) -> Iterator[Run]:
        disturbance = DISTURBANCES[case.disturbance]
        prefix = f"chaos-{uuid.uuid4().hex[:8]}."
        folder = self._folder / prefix.rstrip(".")
        folder.mkdir(parents=True)
        random = Random(f"{self._seed} {case.name}")
        brokers = disturbance.brokers
        with LocalKafka(brokers, quick=True, properties=_PATIENT) as kafka:
            ground = Ground(kafka.bootstrap_servers, prefix, case.plan, appended)
            ground.prepare(disturbance.held)
            workers = Workers(ground.environ, folder)
            run = Run(
                ground, kafka, workers, case.workers, case.slice_records, random, self._seconds
            )
            run.moving = disturbance.moving
            try:
                yield run
            finally:
                workers.end()
                ground.close()
                for broker in range(brokers):
                    kafka.resume(broker)
