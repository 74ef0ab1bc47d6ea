"""The workload's end: rows behind everything, so that all windows close by watermarks alone.

Each model gets predictions and their labels after all that is late, in its last windows; an hour
later a row in every partition passes their ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream.core.records import Scalar
from stream.workload.cases import CASES, Drift
from stream.workload.ids import ids_for, partition_of
from stream.workload.models import MODELS, monitors
from stream.workload.plan import MINUTE_MS, Plan
from stream.workload.requests import Row

__all__ = ["Last", "closing_rows", "last_windows"]

_SECOND_MS = 1_000
_CLOSER = "sparse"  # whose rows pass the ends of all others' windows
_VERSION = "2"
_CLOSING = 24  # last rows of each model: so many that a sample of labels holds some


class Last(NamedTuple):
    """The last window of a model's kind, of all its rows."""

    model: str
    version: str
    kind: str
    end_ms: int


def closing_rows(plan: Plan) -> Iterator[Row]:
    """The last rows of every model, and then of every partition that isn't idle."""
    rng = np.random.default_rng([plan.seed, 2_000])
    at_ms = plan.closing_ms + MINUTE_MS
    late = np.ones(_CLOSING, dtype=np.bool_)
    for model in MODELS:
        for own in ids_for(plan, rng, "last", late):
            case = CASES[model.kind](rng, Drift())
            yield _prediction(own, model.name, at_ms, case.prediction)
            yield _label(own, at_ms + 30 * _SECOND_MS, case.truth)
    going_on = [partition for partition in plan.active if partition != plan.stopping]
    for own in _one_a_partition(plan, rng, going_on):
        yield _prediction(own, _CLOSER, plan.over_ms, 1)
        body = {"prediction_id": own, "model": _CLOSER, "version": _VERSION}
        row = {**body, "event_time_ms": plan.over_ms, "features": {"amount": 1.0}}
        yield Row("features", plan.over_ms, "json", row)
    for own in _one_a_partition(plan, rng, plan.active):
        yield _label(own, plan.over_ms, 1)


def last_windows(plan: Plan) -> tuple[Last, ...]:
    """The windows whose writing is the last thing that a worker does."""
    found = []
    for changes in monitors(plan):
        spec = changes[-1]
        for kind in ("data", "performance"):
            at_ms = plan.closing_ms + MINUTE_MS
            if spec.model == _CLOSER and kind == "data":
                at_ms = plan.over_ms
            end_ms = at_ms // spec.hop_ms * spec.hop_ms + spec.window_ms
            found.append(Last(spec.model, _VERSION, kind, end_ms))
    return tuple(found)


def _one_a_partition(plan: Plan, rng: np.random.Generator, partitions: Sequence[int]) -> list[str]:
    """A new id for each of the partitions, in their order."""
    found: dict[int, str] = {}
    while not set(partitions) <= set(found):
        drawn = ids_for(plan, rng, "over", np.zeros(plan.partitions, dtype=np.bool_))
        for own, partition in zip(drawn, partition_of(plan, drawn), strict=True):
            found.setdefault(partition, own)
    return [found[partition] for partition in partitions]


def _prediction(own: str, model: str, at_ms: int, prediction: Scalar) -> Row:
    body = {
        "prediction_id": own,
        "model": model,
        "version": _VERSION,
        "event_time_ms": at_ms,
        "features": {},
        "prediction": prediction,
    }
    return Row("predictions", at_ms, "json", body)


def _label(own: str, at_ms: int, label: Scalar) -> Row:
    body = {"prediction_id": own, "label": label, "event_time_ms": at_ms}
    return Row("labels", at_ms, "json", body)
