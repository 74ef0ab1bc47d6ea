"""Which cases there are: every pair of slices, workers and disturbance, in one of its places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from stream.workload import Plan
from tests.chaos.disturbances import DISTURBANCES

__all__ = ["SLICES", "WORKERS", "Case", "long_form", "plans", "short_form"]

SLICES = (1, 7, 10_000)
WORKERS = (1, 2, 3)
_LONG = Plan(seed=0, rows=6_000, hours=4)
_SHORT = Plan(seed=0, rows=1_500, hours=2)
_SMALL = Plan(seed=0, rows=1_500, hours=2)  # for slices of one record

_CHOSEN = (
    ("kill-9", 7, 2),
    ("zombie", 10_000, 2),
    ("before-commit", 7, 1),
    ("after-commit", 10_000, 2),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix."""

    disturbance: str
    slice_records: int
    workers: int
    plan: Plan

    @property
    def name(self) -> str:
        """Its name, unique within a form."""
        return f"{self.disturbance}/{self.slice_records}x{self.workers}"


def long_form(seed: int) -> list[Case]:
    """Each disturbance with each slice and each number of workers, in seeded places."""
    random = Random(seed)
    cases = []
    for disturbance in DISTURBANCES:
        workers = random.sample(WORKERS, len(WORKERS))
        for slice_records, count in zip(SLICES, workers, strict=True):
            cases.append(_case(disturbance, slice_records, count, replace(_LONG, seed=seed)))
    for slice_records in SLICES:  # what the sample has left out
        for count in WORKERS:
            if not any((c.slice_records, c.workers) == (slice_records, count) for c in cases):
                plan = replace(_LONG, seed=seed)
                cases.append(_case("undisturbed", slice_records, count, plan))
    return cases


def short_form(seed: int) -> list[Case]:
    """The most telling ones on a small workload."""
    return [_case(*chosen, replace(_SHORT, seed=seed)) for chosen in _CHOSEN]


def _case(disturbance: str, slice_records: int, workers: int, plan: Plan) -> Case:
    if slice_records == 1:
        plan = replace(_SMALL, seed=plan.seed)
    return Case(disturbance, slice_records, workers, plan)


def plans(cases: Sequence[Case]) -> list[Plan]:
    """The different workloads of the cases, in order."""
    return list(dict.fromkeys(case.plan for case in cases))
