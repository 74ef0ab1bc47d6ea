"""Pieces of columns, and columns put together again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from stream.core.outcomes import LabelRows, Outcomes, PredictionRows

__all__ = ["part_of", "splice"]

_T = TypeVar("_T", PredictionRows, LabelRows)
_EMPTY = Outcomes(
    task=np.zeros(0, dtype=np.int32),
    cohort=np.zeros(0, dtype=np.int32),
    code=np.zeros(0, dtype=np.int32),
    value=np.zeros(0, dtype=np.float64),
    form=np.zeros(0, dtype=np.uint8),
    bits=np.zeros(0, dtype=np.uint64),
    time_ms=np.zeros(0, dtype=np.int64),
    delay_ms=np.zeros(0, dtype=np.int64),
    change=np.zeros(0, dtype=np.uint8),
    late=np.zeros(0, dtype=np.bool_),
    ids=np.zeros((0, 2), dtype=np.uint64),
    offset=np.zeros(0, dtype=np.int64),
)


def part_of(rows: _T, start: int, stop: int) -> _T:
    """The rows from `start` to `stop`, all of them where that is all."""
    if start == 0 and stop >= len(rows):
        return rows
    cut: dict[str, Any] = {}
    for field in dataclasses.fields(rows):
        column = getattr(rows, field.name)
        cut[field.name] = None if column is None else column[start:stop]
    return dataclasses.replace(rows, **cut)


def splice(parts: Sequence[Outcomes]) -> Outcomes:
    """The outcomes of all parts, one after another."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return _EMPTY
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(Outcomes)
        if field.name != "extras"
    }
    extras: list[bytes | None] | None = None
    if any(part.extras is not None for part in parts):
        extras = []
        for part in parts:
            extras += [None] * len(part) if part.extras is None else part.extras
    return Outcomes(**joined, extras=extras)
