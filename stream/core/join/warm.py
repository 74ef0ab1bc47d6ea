"""Compiles the join's loops before records come: at a process's first start it takes a while."""

from __future__ import annotations

from functools import cache

import numpy as np

from stream.core.join.buffer import JoinBuffer, JoinRules
from stream.core.labels import Form, LabelKind, LabelSpec
from stream.core.outcomes import Cohort, LabelRows, PredictionRows
from stream.core.records import ModelKey

__all__ = ["warm_up"]

_ROWS = 2_000  # more than an index has cells for from the start


@cache
def warm_up() -> None:
    """Plays rows through everything a join does, once a process.

    Otherwise the loops would be compiled within a transaction, which may time out meanwhile.
    """
    cohorts = [Cohort(ModelKey("", ""), LabelSpec(LabelKind.REGRESSION))]
    rules = JoinRules(pane_ms=1, early_label_horizon_ms=1, max_pending=_ROWS, max_waiting=_ROWS)
    join, restored = JoinBuffer(rules, cohorts), JoinBuffer(rules, cohorts)
    join.labels(_labels())
    join.predictions(_predictions())
    state = dict(join.changes(0))
    restored.restore(0, {key: value or b"" for key, value in state.items()}, cohorts.index)
    restored.labels(_labels(bits=1))
    restored.changes(0)
    restored.advance(0, 1 << 40, 1 << 40)


def _predictions() -> PredictionRows:
    return PredictionRows(
        task=np.zeros(_ROWS, dtype=np.int32),
        ids=np.arange(2 * _ROWS, dtype=np.uint64).reshape(_ROWS, 2),
        cohort=np.zeros(_ROWS, dtype=np.int32),
        time_ms=np.zeros(_ROWS, dtype=np.int64),
        code=np.zeros(_ROWS, dtype=np.int32),
        value=np.zeros(_ROWS),
    )


def _labels(bits: int = 0) -> LabelRows:
    return LabelRows(
        task=np.zeros(_ROWS, dtype=np.int32),
        ids=np.arange(2 * _ROWS, dtype=np.uint64).reshape(_ROWS, 2),
        time_ms=np.zeros(_ROWS, dtype=np.int64),
        watermark_ms=np.zeros(_ROWS, dtype=np.int64),
        form=np.full(_ROWS, Form.NUMBER, dtype=np.uint8),
        bits=np.full(_ROWS, bits, dtype=np.uint64),
        model=np.full(_ROWS, -1, dtype=np.int32),
        late=np.zeros(_ROWS, dtype=np.bool_),
        offset=np.arange(_ROWS),
    )
