"""When models are asked, when the rows of it arrive at the broker, and what these rows say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.workload.cases import CASES, Case, Drift
from stream.workload.ids import ids_for
from stream.workload.models import MODELS, Model
from stream.workload.plan import HOUR_MS, MINUTE_MS, Plan

__all__ = ["Request", "Row", "requests", "rows_of"]

_Times = npt.NDArray[np.int64]

_AWAY_MS = 3 * MINUTE_MS  # no request so short before half time falls on the partition that stops
_CHALLENGED = (0.4, 0.6)  # shares of the time in which both versions answer …
_CHALLENGES = 0.4  # … this share of the requests
_AHEAD, _FAR_AHEAD, _LATE = 0.02, 0.004, 0.06
_TWICE, _REUSED = 0.015, 0.002
_SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model: asked at `asked_ms`, its rows at the broker at `arrive_ms`.

    `event_ms` is the producer's clock, which may run ahead. `versions` answered, each with this
    case, under this drift. `hourly` rows were scored in a batch.
    `again_ms` is when it is sent once more, 0: never.
    """

    model: Model
    id: str
    asked_ms: int
    event_ms: int
    arrive_ms: int
    versions: tuple[str, ...]
    drift: Drift
    case: Case
    hourly: bool
    again_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row for a topic, in its JSON form, and when it arrives.

    `form` is json, avro or arrow. Rows of one `batch` (not 0) may share a record.
    """

    topic: str
    arrive_ms: int
    form: str
    body: dict[str, Any]
    batch: int = 0


def requests(plan: Plan) -> Iterator[Request]:
    """Every request, a model after the other."""
    for number, model in enumerate(MODELS):
        rng = np.random.default_rng([plan.seed, number])
        if model.share:
            count = int(model.share * plan.rows)
        else:  # a row every few windows
            count = 5 * plan.hours
        yield from _of_model(plan, rng, model, count)


def _of_model(plan: Plan, rng: np.random.Generator, model: Model, count: int) -> Iterator[Request]:
    asked = np.sort(rng.integers(plan.start_ms, plan.end_ms, count))
    kind = rng.random(count)
    hourly = rng.random(count) < model.hourly
    event = asked.copy()
    if model.form == "json":
        ahead = kind < _AHEAD
        event[ahead] += rng.integers(10 * _SECOND_MS, 4 * MINUTE_MS, count)[ahead]
        far = kind > 1 - _FAR_AHEAD
        event[far] += rng.integers(20 * MINUTE_MS, HOUR_MS, count)[far]
    arrive = _arrivals(rng, asked, hourly)
    twice = rng.random(count)
    again = arrive + rng.integers(_SECOND_MS, MINUTE_MS, count)
    reused = twice < _REUSED  # beyond the shortest label horizon: another prediction
    again[reused] = (arrive + rng.integers(70 * MINUTE_MS, 90 * MINUTE_MS, count))[reused]
    again[twice >= _TWICE] = 0
    last_half = np.maximum(arrive, again) >= plan.half_ms - _AWAY_MS
    ids = ids_for(plan, rng, model.name, last_half)
    span = plan.end_ms - plan.start_ms
    for place in range(count):
        share = (int(asked[place]) - plan.start_ms) / span
        both = _CHALLENGED[0] <= share < _CHALLENGED[1] and rng.random() < _CHALLENGES
        current = "1" if int(asked[place]) < plan.half_ms else "2"
        drift = model.drift(share)
        yield Request(
            model=model,
            id=ids[place],
            asked_ms=int(asked[place]),
            event_ms=int(event[place]),
            arrive_ms=int(arrive[place]),
            versions=("1", "2") if both else (current,),
            drift=drift,
            case=CASES[model.kind](rng, drift),
            hourly=bool(hourly[place]),
            again_ms=int(again[place]),
        )


def _arrivals(rng: np.random.Generator, asked: _Times, hourly: npt.NDArray[np.bool_]) -> _Times:
    """Most within `out_of_orderness`, some minutes late; batches at full hours in random order."""
    count = len(asked)
    usual = np.minimum(rng.exponential(4 * _SECOND_MS, count), 25 * _SECOND_MS).astype(np.int64)
    late = rng.integers(45 * _SECOND_MS, 12 * MINUTE_MS, count)
    delay = np.where(rng.random(count) < _LATE, late, usual)
    full = (asked // HOUR_MS + 1) * HOUR_MS + rng.integers(0, 20 * _SECOND_MS, count)
    arrive: _Times = np.where(hourly, full, asked + delay)
    return arrive


def rows_of(rng: np.random.Generator, request: Request) -> Iterator[Row]:
    """The rows that a request makes on `predictions` and `features`."""
    case, model = request.case, request.model
    form = model.form
    if form == "mixed":
        form = ("json", "avro", "arrow")[int(rng.integers(3))]
    for version in request.versions:
        body = {
            "prediction_id": request.id,
            "model": model.name,
            "version": version,
            "event_time_ms": request.event_ms,
        }
        answer = {**body, "prediction": case.prediction}
        if case.score is not None:
            answer["score"] = case.score
        if not model.apart:
            answer["features"] = dict(case.features)
        if model.kind == "binary":
            answer |= _serving(rng, request)
        batch = request.arrive_ms // HOUR_MS if request.hourly else 0
        sent = [Row("predictions", request.arrive_ms, form, answer, batch)]
        if request.again_ms:
            sent.append(Row("predictions", request.again_ms, "json", answer))
        for row in sent:
            yield row
            if model.apart:
                features = {**body, "features": dict(case.features)}
                at_ms = row.arrive_ms + int(rng.integers(-900, 900))
                yield Row("features", at_ms, row.form, features)


def _serving(rng: np.random.Generator, request: Request) -> dict[str, Any]:
    """Latency, status and tags; errors have an answer all the same."""
    scale = 30.0 if request.drift.data > 1 else 6.0
    fields: dict[str, Any] = {"latency_ms": round(float(rng.gamma(3.0, scale)), 2)}
    fields["status"] = "error" if rng.random() < 0.02 else "ok"
    if rng.random() < 0.8:
        fields["tags"] = {"channel": "web" if rng.random() < 0.6 else "app"}
    return fields
