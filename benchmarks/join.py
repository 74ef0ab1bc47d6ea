"""`python -m benchmarks.join`: label look-ups a second with millions of predictions pending.

Fills a buffer, labels half of them, then measures labels of the other half: in the order of
nothing (ids at random), each waiting on for a challenger as a live label does. Prints JSON.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.meter import resident_mb
from stream.core.join import JoinBuffer, JoinRules
from stream.core.labels import Form, LabelKind, LabelSpec
from stream.core.outcomes import Cohort, LabelRows, PredictionRows
from stream.core.records import Int64s, ModelKey

__all__ = ["run"]

_HOUR_MS = 3_600_000
_HORIZON_MS = 7 * 24 * _HOUR_MS
_FIRST_MS, _LAST_MS = 6 * _HOUR_MS, 172 * _HOUR_MS  # of the predictions
_TASKS = 16


def run(pending: int, measured: int, rows: int) -> dict[str, float]:
    """Predictions a second, labels a second, bytes a pending prediction, resident MB."""
    rng = np.random.default_rng(7)
    spec = LabelSpec(LabelKind.BINARY, ("0", "1"), (0.0, 0.5, 1.0))
    cohorts = [Cohort(ModelKey("credit", str(n)), spec, horizon_ms=_HORIZON_MS) for n in range(3)]
    before_mb = resident_mb()
    join = JoinBuffer(JoinRules(60_000, _HOUR_MS, 1 << 30, 1 << 30), cohorts)
    started = perf_counter()
    for start in range(0, pending, rows):
        join.predictions(_predictions(start, min(rows, pending - start), pending))
    filled = pending / (perf_counter() - started)
    order = rng.permutation(pending)
    half = pending // 2
    for task in range(_TASKS):  # the first labels needn't wait, no prediction is given up
        join.advance(task, _LAST_MS + _HOUR_MS // 2, _LAST_MS)
    _label(join, order[:half], rows, _LAST_MS - _HOUR_MS)
    kept = join.nbytes
    rss_mb = resident_mb() - before_mb - order.nbytes / 2**20
    # Labels that wait for an hour come and go; the first of them make the room.
    _label(join, order[half : half + measured], rows, _LAST_MS)
    for task in range(_TASKS):
        while join.waiting(task):
            join.advance(task, _LAST_MS + _HOUR_MS + 60_001, _LAST_MS)
    rate = _label(join, order[half + measured : half + 2 * measured], rows, _LAST_MS + 2 * 60_000)
    return {
        "rate": round(rate),
        "insert_rate": round(filled),
        "bytes_per_pending": round(kept / pending, 1),
        "rss_mb": round(rss_mb, 1),
    }


def _label(join: JoinBuffer, chosen: Int64s, rows: int, time_ms: int) -> float:
    """Labels the chosen predictions; how many a second."""
    seconds = 0.0
    for start in range(0, len(chosen), rows):
        labels = _labels(chosen[start : start + rows], time_ms)
        started = perf_counter()
        joined = join.labels(labels)
        seconds += perf_counter() - started
        assert len(joined.outcomes) == len(labels)
    return len(chosen) / seconds


def _ids(numbers: Int64s) -> npt.NDArray[np.uint64]:
    """Ids as random as a UUID's."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
    mixed ^= mixed >> np.uint64(29)
    return np.stack([mixed * np.uint64(0xBF58_476D_1CE4_E5B9), mixed], axis=1)


def _predictions(start: int, n: int, pending: int) -> PredictionRows:
    numbers = np.arange(start, start + n)
    return PredictionRows(
        task=(numbers % _TASKS).astype(np.int32),
        ids=_ids(numbers),
        cohort=(numbers % 3).astype(np.int32),
        time_ms=_FIRST_MS + numbers * ((_LAST_MS - _FIRST_MS) // pending),
        code=(numbers % 2).astype(np.int32),
        value=numbers / pending,
    )


def _labels(numbers: Int64s, time_ms: int) -> LabelRows:
    n = len(numbers)
    return LabelRows(
        task=(numbers % _TASKS).astype(np.int32),
        ids=_ids(numbers),
        time_ms=np.full(n, time_ms),
        watermark_ms=np.full(n, time_ms - 30_000),
        form=np.full(n, Form.NUMBER, dtype=np.uint8),
        bits=(numbers % 2).astype(np.float64).view(np.uint64),
        model=np.full(n, -1, dtype=np.int32),
        late=np.zeros(n, dtype=np.bool_),
        offset=numbers.astype(np.int64),
    )


def main() -> None:
    """Runs at the size of the promise and prints what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pending", type=int, default=10_000_000)
    parser.add_argument("--measured", type=int, default=2_000_000)
    parser.add_argument("--rows", type=int, default=50_000, help="of a slice")
    options = parser.parse_args()
    found = run(options.pending, options.measured, options.rows)
    print(orjson.dumps(found).decode())


if __name__ == "__main__":
    main()
