"""Labels: late, early, twice, corrected, retracted, held back for hours, of nothing at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stream.core.records import Scalar
from stream.workload.cases import CLASSES
from stream.workload.ids import ids_for
from stream.workload.plan import HOUR_MS, MINUTE_MS, Plan
from stream.workload.requests import Request, Row

__all__ = ["labels_of", "unmatched"]

_SECOND_MS = 1_000
_USUAL_MS = 12 * MINUTE_MS
# Shares of the labelled requests.
_EARLY, _HOURS_LATE = 0.03, 0.03
_AGAIN, _CORRECTED, _RETRACTED, _BACK, _NULL_FIRST = 0.05, 0.05, 0.02, 0.4, 0.004
_NAMED, _MISNAMED = 0.2, 0.005
_UNMATCHED = 0.02  # of all requests

_FORMS = ("json", "json", "avro", "arrow")


def labels_of(plan: Plan, rng: np.random.Generator, request: Request) -> Iterator[Row]:
    """The labels of a request, none for some; none is sent after the workload's last hours."""
    model = request.model
    if rng.random() >= model.labelled:
        return
    known_ms = request.asked_ms + _delay(rng)
    told = [(known_ms, request.case.truth), *_more(rng, request, known_ms)]
    named = rng.random()
    form = _FORMS[int(rng.integers(len(_FORMS)))]
    for at_ms, label in told:
        body: dict[str, Any] = {"prediction_id": request.id, "label": label, "event_time_ms": at_ms}
        if named < _NAMED:
            body["model"] = model.name if named >= _MISNAMED else "somebody-else"
        arrive_ms = at_ms + _on_the_way(rng)
        batch = 0
        if model.burst_ms:
            arrive_ms = (at_ms // model.burst_ms + 1) * model.burst_ms
            arrive_ms += int(rng.integers(0, 40 * _SECOND_MS))
            batch = arrive_ms // HOUR_MS
        if arrive_ms < plan.closing_ms - 10 * MINUTE_MS:
            yield Row("labels", arrive_ms, form, body, batch)


def unmatched(plan: Plan, rng: np.random.Generator) -> Iterator[Row]:
    """Labels of ids that nobody predicted."""
    count = max(3, int(_UNMATCHED * plan.rows))
    times = np.sort(rng.integers(plan.start_ms, plan.end_ms, count))
    ids: Sequence[str] = ids_for(plan, rng, "nobody", np.zeros(count, dtype=np.bool_))
    for each, at_ms in zip(ids, times.tolist(), strict=True):
        body = {"prediction_id": each, "label": int(rng.integers(2)), "event_time_ms": at_ms}
        yield Row("labels", at_ms + _on_the_way(rng), "json", body)


def _delay(rng: np.random.Generator) -> int:
    """From the request to its outcome; below 0 where the outcome was known before."""
    kind = rng.random()
    if kind < _EARLY:
        return -int(rng.integers(MINUTE_MS, 40 * MINUTE_MS))
    if kind < _EARLY + _HOURS_LATE:
        return int(rng.integers(HOUR_MS + HOUR_MS // 2, 4 * HOUR_MS))
    return int(rng.exponential(_USUAL_MS))


def _on_the_way(rng: np.random.Generator) -> int:
    """Most arrive soon, some minutes late."""
    if rng.random() < 0.06:
        return int(rng.integers(40 * _SECOND_MS, 20 * MINUTE_MS))
    return int(min(rng.exponential(5 * _SECOND_MS), 25 * _SECOND_MS))


def _more(rng: np.random.Generator, request: Request, known_ms: int) -> list[tuple[int, Scalar]]:
    """What is said of the outcome again: the same, another value, nothing, and then a value."""
    kind, truth = rng.random(), request.case.truth
    soon = known_ms + int(rng.integers(_SECOND_MS, 50 * _SECOND_MS))
    later = known_ms + int(rng.integers(20 * MINUTE_MS, 2 * HOUR_MS))
    at_ms = soon if rng.random() < 0.6 else later
    if kind < _AGAIN:
        return [(at_ms, truth)]
    kind -= _AGAIN
    if kind < _CORRECTED:
        return [(at_ms, _other(rng, request))]
    kind -= _CORRECTED
    if kind < _RETRACTED:
        back: list[tuple[int, Scalar]] = [(at_ms, None)]
        if rng.random() < _BACK:
            back.append((at_ms + 20 * _SECOND_MS, truth))
        return back
    kind -= _RETRACTED
    return [(known_ms - 5 * MINUTE_MS, None)] if kind < _NULL_FIRST else []


def _other(rng: np.random.Generator, request: Request) -> Scalar:
    """Another truth than the one that was told."""
    truth = request.case.truth
    if request.model.kind == "binary":
        return 1 - int(truth or 0)
    if request.model.kind == "multiclass":
        return next(name for name in CLASSES if name != truth)
    return round(float(truth or 0.0) + float(rng.normal(0.0, 30.0)) + 1.0, 2)
