"""A few rows that no decoder takes, each for another reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from stream.core.records import Header
from stream.workload.ids import ids_for
from stream.workload.plan import HOUR_MS, Plan

__all__ = ["BROKEN", "broken"]

_TIMES = 4  # of each kind
_Value = tuple[bytes | None, tuple[Header, ...]]


def _row(at_ms: int, **other: Any) -> bytes:
    body = {"prediction_id": "broken", "model": "fraud", "version": "1", "event_time_ms": at_ms}
    return orjson.dumps({**body, "features": {"amount": 1.0}, "prediction": 1, **other})


def _label(at_ms: int, **other: Any) -> bytes:
    return orjson.dumps({"prediction_id": "broken", "label": 1, "event_time_ms": at_ms, **other})


# By the dead letter's reason; of each the topic and the value and headers at a time.
BROKEN: Mapping[str, tuple[tuple[str, Callable[[int], _Value]], ...]] = {
    "malformed": (
        ("predictions", lambda at: (_row(at)[:-20], ())),
        ("predictions", lambda _: (b"\x0ccut", (("content-type", b"application/avro"),))),
        ("predictions", lambda _: (b"\xff\xff\xff\xff\x10", ())),
    ),
    "unknown_format": (("predictions", lambda _: (b"\x93 what is this", ())),),
    "missing_field": (
        ("predictions", lambda _: (b'{"model": "fraud"}', ())),
        ("labels", lambda _: (b'{"prediction_id": "broken"}', ())),
    ),
    "wrong_type": (
        ("predictions", lambda at: (_row(at, features={"amount": [1, 2]}), ())),
        ("labels", lambda at: (_label(at, label={"no": 1}), ())),
    ),
    "time_out_of_range": (("features", lambda _: (_row(-5), ())),),
    "event_time_in_future": (("labels", lambda at: (_label(at + HOUR_MS), ())),),
    "empty": (("features", lambda _: (None, ())),),
    "schema_unknown": (("predictions", lambda _: (b"\x00\x00\x00\x03\xe7row", ())),),
}


def broken(
    plan: Plan, rng: np.random.Generator
) -> Iterator[tuple[str, str, int, bytes | None, tuple[Header, ...]]]:
    """Topic, key, time, value and headers of each such record."""
    kinds = [kind for kinds in BROKEN.values() for kind in kinds] * _TIMES
    keys = ids_for(plan, rng, "broken", np.zeros(len(kinds), dtype=np.bool_))
    for (topic, make), key in zip(kinds, keys, strict=True):
        at_ms = int(rng.integers(plan.start_ms, plan.half_ms))
        yield topic, key, at_ms, *make(at_ms)
