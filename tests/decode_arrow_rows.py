"""Six rows in Arrow columns."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from stream.core.records import Header
from tests.decode_rows import ARROW, NOW_MS

__all__ = ["HEADERS", "ROWS", "columns"]

HEADERS: tuple[Header, ...] = (("content-type", ARROW.encode()),)
ROWS = 6


def columns(**given: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "prediction_id": pa.array([f"id-{i}" for i in range(ROWS)]),
        "event_time_ms": pa.array([NOW_MS + i for i in range(ROWS)]),
        "features.age": pa.array([0.5, None, 1.5, math.nan, math.inf, 2.5], pa.float32()),
        "features.income": pa.array([1, 2, None, 4, 5, 6], pa.int16()),
        "features.state": pa.array(["CA", "XX", None, "TX", "NY", "CA"]).dictionary_encode(),
        "features.code": pa.array([1, 2, None, 1, 0, 1]),
        "prediction": pa.array([True, False, None, True, True, False]),
        "score": pa.array([0.5, 0.25, None, 1, 0, 0.75]),
    }
    whole.update({name.replace("__", "."): value for name, value in given.items()})
    return {name: value for name, value in whole.items() if value is not None}
