"""Folds answers into groups: latencies and errors, by model, segment and pane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.ledger import SERVING, Part
from stream.core.logbins import LATENCIES
from stream.core.records import (
    CARRIES_PREDICTION,
    Batch,
    Group,
    Int64s,
    Kind,
    ModelKey,
    RawBatch,
    Served,
)

__all__ = ["ServingFold"]

_Flags = npt.NDArray[np.bool_]


class ServingFold:
    """The answers since the last `take`, as vectors of the ledger SERVING.

    Counted are predictions that say a latency or an error: those that say neither leave no
    trace, so that shares are of the predictions that the data groups count. Memory is bounded by
    the rows between two takes.
    """

    def __init__(self, profiles: Profiles, pane_ms: int) -> None:
        self._profiles = profiles
        self._pane_ms = pane_ms
        self.clear()

    def clear(self) -> None:
        """Forgets everything since the last take, as when a transaction is aborted."""
        self._counted: dict[tuple[ModelKey, tuple[str, ...], int], Int64s] = {}

    def add(
        self,
        batch: Batch | RawBatch,
        effective_ms: Int64s,
        sets: npt.NDArray[np.int32] | None = None,
        names: Sequence[tuple[str, ...]] = ((),),
        duplicate: _Flags | None = None,
    ) -> None:
        """Folds a batch in; `effective_ms` (n,) decides the panes.

        `sets` (n,) are the numbers of the rows' sets of segments, which `names` lists; None
        where no row has any. Rows that are `duplicate` (n,) aren't counted. A latency that is
        negative or not finite is none.
        """
        served = batch.served
        if served is None or (served.latency_ms is None and served.error is None):
            return
        latency, timed, failed = _columns(served, len(batch))
        counted = (timed | failed) & ((batch.carries & CARRIES_PREDICTION) != 0)
        if duplicate is not None:
            counted &= ~duplicate
        rows = np.flatnonzero(counted)
        if not len(rows):
            return
        keys, group = self._groups(batch, rows, effective_ms, sets)
        cells = np.zeros((len(keys), SERVING.width), dtype=np.int64)
        timed, failed = timed[rows], failed[rows]
        answers = SERVING.part(cells, Part.ANSWERS)
        answers[:, 0] = np.bincount(group, minlength=len(keys))
        answers[:, 1] = np.bincount(group[failed], minlength=len(keys))
        answers[:, 2] = np.bincount(group[timed], minlength=len(keys))
        place = group[timed] * LATENCIES.size + LATENCIES.bin_of(latency[rows[timed]])
        tally = np.bincount(place, minlength=len(keys) * LATENCIES.size)
        SERVING.part(cells, Part.LATENCIES)[:] = tally.reshape(len(keys), LATENCIES.size)
        for (model, number, pane), vector in zip(keys, cells, strict=True):
            held = self._counted.setdefault((model, names[number], pane), vector)
            if held is not vector:
                held += vector

    def take(self) -> list[Group]:
        """All groups since the last call, sorted by model, pane and segment."""
        merged: dict[tuple[ModelKey, int, str], Int64s] = {}
        for (model, segments, pane), vector in self._counted.items():
            for segment in ("", *segments):
                held = merged.get((model, pane, segment))
                merged[model, pane, segment] = vector.copy() if held is None else held + vector
        self.clear()
        return [
            Group(
                model,
                "",
                pane * self._pane_ms,
                int(merged[model, pane, segment][SERVING.starts[Part.ANSWERS]]),
                0,
                0,
                0,
                merged[model, pane, segment],
                width=SERVING.width,
                kind=Kind.SERVING,
                segment=segment,
            )
            for model, pane, segment in sorted(merged)
        ]

    def _groups(
        self,
        batch: Batch | RawBatch,
        rows: Int64s,
        effective_ms: Int64s,
        sets: npt.NDArray[np.int32] | None,
    ) -> tuple[list[tuple[ModelKey, int, int]], Int64s]:
        """The (model, set, pane)s there are, and each row's index among them."""
        pane = effective_ms[rows] // self._pane_ms
        number = np.zeros(len(rows), dtype=np.int64) if sets is None else sets[rows]
        entry = np.zeros(len(rows), dtype=np.int64)
        if isinstance(batch, Batch):
            entry = batch.entry[rows].astype(np.int64)
        low, high = int(pane.min()), int(pane.max())
        span, many = high - low + 1, int(number.max()) + 1
        found, group = np.unique((entry * many + number) * span + (pane - low), return_inverse=True)
        keys = []
        for key in found.tolist():
            left, place = divmod(key, span)
            of_entry, of_set = divmod(left, many)
            model = (
                batch.model
                if isinstance(batch, RawBatch)
                else self._profiles.entries[of_entry].model
            )
            keys.append((model, of_set, place + low))
        return keys, group


def _columns(served: Served, n: int) -> tuple[npt.NDArray[np.float64], _Flags, _Flags]:
    """Latencies, and which rows have one, and which are errors."""
    latency = np.full(n, np.nan) if served.latency_ms is None else served.latency_ms
    timed = np.isfinite(latency) & (latency >= 0.0)
    failed = np.zeros(n, dtype=np.bool_) if served.error is None else served.error
    return latency, timed, failed
