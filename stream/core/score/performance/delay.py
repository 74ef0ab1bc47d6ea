"""How long labels took."""

from __future__ import annotations

from stream.core.labels import LabelSpec
from stream.core.ledger import Part, ledger_of
from stream.core.logbins import DELAYS
from stream.core.numbers import significant
from stream.core.records import Int64s

__all__ = ["delay_quantiles"]

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def delay_quantiles(spec: LabelSpec, counts: Int64s) -> dict[str, float]:
    """p50, p90 and p99 of the label delay in milliseconds, within 2 %; {} of no outcomes.

    A delay below a millisecond is told as 0, one beyond 400 days as that.
    """
    delays = ledger_of(spec).part(counts, Part.DELAYS)
    told = {name: DELAYS.quantile(delays, q) for name, q in _QUANTILES.items()}
    return {name: significant(value) for name, value in told.items() if value is not None}
