"""Where outcomes are counted: the places of the vector that all outcomes of one spec add up in.

A ledger's vector is int64 throughout: counts, and digits of fixed-point sums (`fixed`). Adding
two vectors merges their outcomes, subtracting takes outcomes out, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import prod

import numpy as np

from stream.core.fixed import SHARE, WIDE
from stream.core.labels import LabelKind, LabelSpec
from stream.core.logbins import DELAYS, LATENCIES
from stream.core.records import Int64s

__all__ = [
    "LOSS_SUMS",
    "REGRESSION_LIMIT",
    "REGRESSION_SUMS",
    "RELIABILITY_BINS",
    "SERVING",
    "Ledger",
    "Part",
    "ledger_of",
]

RELIABILITY_BINS = 10
LOSS_SUMS = ("log_loss", "log_loss_squared", "brier", "brier_squared")
REGRESSION_SUMS = (
    "label",
    "label_squared",
    "label_cubed",
    "label_fourth",
    "error",
    "error_squared",
    "error_fourth",
    "error_squared_label",
    "error_squared_label_squared",
    "error_absolute",
    "ratio",
    "ratio_squared",
)
REGRESSION_LIMIT = 1e11  # labels and predictions beyond are counted apart: their powers overflow


class Part(StrEnum):
    """A stretch of places with one meaning. K is the number of classes, D a form's digits.

    CONFUSION         (K + 1, K + 1) rows by predicted class and label, the last of each: other
                      (of a prediction: absent too)
    SCORES            (B, 2) binary: rows with a score by the spec's score bin and label
    RELIABILITY       (10, 2) rows with a score, and those that came true, by ten equal bins of
                      P(positive); of multiclass by that of the likeliest class
    RELIABILITY_SUMS  (10, D) sums of those probabilities, form SHARE
    LOSSES            (len(LOSS_SUMS), D) of rows with a score, form SHARE
    MOMENTS           (len(REGRESSION_SUMS), D) of regression, form WIDE; `error` is the
                      prediction less the label, `ratio` the absolute error by the absolute label
                      where that isn't 0
    USED              (3,) regression: rows in MOMENTS; of these, rows in `ratio`; rows whose
                      prediction or label is absent, not finite or beyond REGRESSION_LIMIT
    DELAYS            rows by label delay, bins `logbins.DELAYS`
    ANSWERS           (3,) serving: rows with latency or error; errors; rows with latency
    LATENCIES         rows by latency, bins `logbins.LATENCIES`
    """

    CONFUSION = "confusion"
    SCORES = "scores"
    RELIABILITY = "reliability"
    RELIABILITY_SUMS = "reliability_sums"
    LOSSES = "losses"
    MOMENTS = "moments"
    USED = "used"
    DELAYS = "delays"
    ANSWERS = "answers"
    LATENCIES = "latencies"


@dataclass(frozen=True)
class Ledger:
    """Where each part of a vector of `width` places starts, and its shape."""

    shapes: dict[Part, tuple[int, ...]]
    starts: dict[Part, int]
    width: int

    @classmethod
    def of(cls, shapes: dict[Part, tuple[int, ...]]) -> Ledger:
        """The ledger of these parts, one behind the other."""
        ends = np.cumsum([0, *(prod(shape) for shape in shapes.values())]).tolist()
        return cls(shapes, dict(zip(shapes, ends[:-1], strict=True)), ends[-1])

    def __contains__(self, part: object) -> bool:
        return part in self.shapes

    def part(self, counts: Int64s, part: Part) -> Int64s:
        """A view of one part of a vector (or of vectors, (…, width)), in the part's shape."""
        start, shape = self.starts[part], self.shapes[part]
        return counts[..., start : start + prod(shape)].reshape(*counts.shape[:-1], *shape)

    def zeros(self) -> Int64s:
        """A vector of no outcomes."""
        return np.zeros(self.width, dtype=np.int64)


@lru_cache(maxsize=1024)
def ledger_of(spec: LabelSpec) -> Ledger:
    """The ledger that outcomes of a spec are counted in; the same for equal specs.

    >>> ledger_of(LabelSpec(LabelKind.REGRESSION)).starts[Part.USED]
    96
    """
    delays = (DELAYS.size,)
    if spec.kind is LabelKind.REGRESSION:
        moments = (len(REGRESSION_SUMS), WIDE.digits)
        return Ledger.of({Part.MOMENTS: moments, Part.USED: (3,), Part.DELAYS: delays})
    places = len(spec.classes) + 1
    shapes: dict[Part, tuple[int, ...]] = {Part.CONFUSION: (places, places)}
    if spec.kind is LabelKind.BINARY:
        shapes[Part.SCORES] = (len(spec.edges) - 1, 2)
    shapes |= {
        Part.RELIABILITY: (RELIABILITY_BINS, 2),
        Part.RELIABILITY_SUMS: (RELIABILITY_BINS, SHARE.digits),
        Part.LOSSES: (len(LOSS_SUMS), SHARE.digits),
        Part.DELAYS: delays,
    }
    return Ledger.of(shapes)


SERVING = Ledger.of({Part.ANSWERS: (3,), Part.LATENCIES: (LATENCIES.size,)})
