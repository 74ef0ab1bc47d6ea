"""How a model was served in a window: latency quantiles, error share, throughput."""

from __future__ import annotations

import math

from stream.core.ledger import SERVING, Part
from stream.core.logbins import LATENCIES
from stream.core.records import Int64s
from stream.core.score.performance.interval import UNDEFINED, Estimate, Z, estimate, wilson

__all__ = ["SERVING_METRICS", "serving"]

_QUANTILES = {
    "latency_p50": 0.5,
    "latency_p90": 0.9,
    "latency_p95": 0.95,
    "latency_p99": 0.99,
}
SERVING_METRICS = (*_QUANTILES, "error_share", "throughput")


def serving(counts: Int64s, predictions: int, window_ms: int) -> dict[str, Estimate]:
    """The metrics of SERVING_METRICS, from a vector of the ledger SERVING.

    Latencies are in milliseconds, over the predictions that say one, and within 2 % (0 for less
    than 10 µs); their intervals lie between the two order statistics whose ranks have normal
    95 % limits (Conover, Practical nonparametric statistics, 1999, 3.2). `error_share` is the
    share of all `predictions` that say they are errors, with Wilson's interval; `throughput` is
    the predictions a second over the window's length, with that of a Poisson count on the square
    root's scale (Anscombe, The transformation of Poisson, binomial and negative-binomial data,
    1948).
    """
    told = {
        name: _latency(SERVING.part(counts, Part.LATENCIES), q) for name, q in _QUANTILES.items()
    }
    if predictions <= 0:
        return told | {"error_share": UNDEFINED, "throughput": UNDEFINED}
    errors = min(int(SERVING.part(counts, Part.ANSWERS)[1]), predictions)
    told["error_share"] = estimate(errors / predictions, wilson(errors, predictions), predictions)
    seconds = window_ms / 1000.0
    root = math.sqrt(predictions + 0.375)
    reach = Z / 2.0
    low, high = (max(root - reach, 0.0) ** 2 - 0.375, (root + reach) ** 2 - 0.375)
    interval = (max(low, 0.0) / seconds, high / seconds)
    told["throughput"] = estimate(predictions / seconds, interval, predictions)
    return told


def _latency(counts: Int64s, q: float) -> Estimate:
    n = int(counts.sum())
    value = LATENCIES.quantile(counts, q)
    if value is None:
        return UNDEFINED
    reach = Z * math.sqrt(q * (1.0 - q) / n)
    low = LATENCIES.quantile(counts, max(q - reach, 0.0))
    high = LATENCIES.quantile(counts, min(q + reach + 1.0 / n, 1.0))
    if low is None or high is None:
        return UNDEFINED
    return estimate(value, (low, high), n)
