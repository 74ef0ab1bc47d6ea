"""Predictions that wait, labels that meet them, and what comes of it: the join's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

from stream.core.labels import LabelSpec
from stream.core.records import Int64s, ModelKey

__all__ = ["Change", "Cohort", "JoinEvent", "LabelRows", "Outcomes", "PredictionRows"]


@dataclass(frozen=True, slots=True)
class Cohort:
    """What all rows of one kind share: model@version, how labels are read, where they count.

    `segments` are the names of the segments that the rows belong to besides "" (all rows), such
    as ("country=US", "age >= 65"). `horizon_ms` is the model's `label_horizon`. With `joined`
    the rows' bodies are kept and put out with their labels.
    """

    model: ModelKey
    spec: LabelSpec
    segments: tuple[str, ...] = ()
    horizon_ms: int = 7 * 86_400_000
    joined: bool = False


@dataclass(frozen=True, slots=True)
class PredictionRows:
    """n predictions to be kept, in offset order within each task.

    task       (n,) int32
    ids        (n, 2) uint64
    cohort     (n,) int32    number of the row's Cohort
    time_ms    (n,) int64    effective time
    code       (n,) int32    classification: index of the predicted class in the cohort's
                             `spec.classes`, -1 where it is none of them or absent
    value      (n,) float64  regression: the predicted number; binary: P(positive); NaN: absent
    extras     what else must be kept of a row: a multiclass row's probabilities (K float64 as
               bytes), then its body; None where no row has any
    """

    task: npt.NDArray[np.int32]
    ids: npt.NDArray[np.uint64]
    cohort: npt.NDArray[np.int32]
    time_ms: Int64s
    code: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    extras: Sequence[bytes | None] | None = None

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True, slots=True)
class LabelRows:
    """n labels, in offset order within each task.

    task          (n,) int32
    ids           (n, 2) uint64
    time_ms       (n,) int64    effective time
    watermark_ms  (n,) int64    W of the labels' partition just before the row
    form, bits    (n,) uint8, uint64   the value (`labels.label_bits`)
    model         (n,) int32    number of the model's name (`JoinBuffer.name`), -1: any
    late          (n,) bool     it came after the pane of its own event time had passed
    offset        (n,) int64    of its record
    """

    task: npt.NDArray[np.int32]
    ids: npt.NDArray[np.uint64]
    time_ms: Int64s
    watermark_ms: Int64s
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    model: npt.NDArray[np.int32]
    late: npt.NDArray[np.bool_]
    offset: Int64s

    def __len__(self) -> int:
        return len(self.task)


class Change(IntEnum):
    """What an outcome does to its pane."""

    FIRST = 0  # the first label of its prediction: it is counted
    OUT = 1  # a corrected or retracted one is taken out …
    IN = 2  # … and what takes its place put in
    REFUSED = 3  # nothing: the label can't be of its model's kind


@dataclass(frozen=True, slots=True)
class Outcomes:
    """n outcomes: a prediction with the label in force, or one that no longer is.

    task        (n,) int32
    cohort      (n,) int32
    code        (n,) int32     of the prediction (`PredictionRows.code`)
    value       (n,) float64   of the prediction (`PredictionRows.value`)
    form, bits  (n,) uint8, uint64   of the label; never Form.NULL
    time_ms     (n,) int64     max of both rows' effective times, at the first outcome: its pane;
                               of a refused label its own effective time
    delay_ms    (n,) int64     the first label's effective time less the prediction's, at least 0
    change      (n,) uint8     `Change`
    late        (n,) bool      the label was late; False where `change` isn't FIRST
    ids         (n, 2) uint64  of the prediction
    offset      (n,) int64     of the label's record
    extras      of the predictions; None where none has any
    """

    task: npt.NDArray[np.int32]
    cohort: npt.NDArray[np.int32]
    code: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    time_ms: Int64s
    delay_ms: Int64s
    change: npt.NDArray[np.uint8]
    late: npt.NDArray[np.bool_]
    ids: npt.NDArray[np.uint64]
    offset: Int64s
    extras: Sequence[bytes | None] | None = None

    def __len__(self) -> int:
        return len(self.task)


class JoinEvent(StrEnum):
    """What became of a row, or of a label and one of its predictions. Metrics carry the names."""

    DUPLICATE = "duplicate"  # a prediction that was there before
    UNKEPT = "unkept"  # a prediction beyond `max_pending`
    JOINED = "joined"  # a prediction's first label
    NULL_FIRST = "null_first"  # a retraction of what was never labelled
    DUPLICATE_LABEL = "duplicate_label"  # the value that is in force already
    CORRECTION = "correction"  # another value, in time
    CORRECTION_LATE = "correction_late"  # another value, after the outcome's pane
    UNMATCHED = "unmatched"  # a label that waited in vain
    REFUSED = "refused"  # a label beyond `max_waiting`: it doesn't wait
