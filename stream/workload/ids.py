"""Prediction ids that leave the idle partitions idle."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.partitioner import partitions_of
from stream.workload.plan import Plan

__all__ = ["ids_for", "partition_of"]


def ids_for(
    plan: Plan, rng: np.random.Generator, name: str, last_half: npt.NDArray[np.bool_]
) -> list[str]:
    """An id for each request: UUIDs and words by turns, none of a partition that is idle.

    Those of requests in the last half also keep away from the partition that stops.
    """
    ids = [""] * len(last_half)
    missing = np.arange(len(last_half))
    while len(missing):
        for place in missing.tolist():
            ids[place] = _drawn(rng, name, place)
        found = partitions_of([ids[place].encode() for place in missing.tolist()], plan.partitions)
        wrong = np.isin(found, np.array(plan.silent, dtype=np.int64))
        wrong |= (found == plan.stopping) & last_half[missing]
        missing = missing[wrong]
    return ids


def _drawn(rng: np.random.Generator, name: str, place: int) -> str:
    if place % 3:
        return str(uuid.UUID(bytes=rng.bytes(16), version=4))
    return f"{name}-{place}-{int(rng.integers(1 << 30)):x}"


def partition_of(plan: Plan, ids: Sequence[str]) -> list[int]:
    """The partition of each id."""
    found: list[int] = partitions_of([each.encode() for each in ids], plan.partitions).tolist()
    return found
