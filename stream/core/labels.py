"""What labels are to a model, and when two label values are the same."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xxhash

from stream.core.records import Int64s, Scalar
from stream.core.rules import LabelRule
from stream.core.specs import SCORE_PREFIX, NumericVariable, Profile, category

__all__ = [
    "MAX_CLASSES",
    "Form",
    "LabelKind",
    "LabelSpec",
    "Labels",
    "label_bits",
    "label_spec",
    "reads_as_reference",
    "scored_classes",
]

MAX_CLASSES = 100  # more aren't told apart: outcomes are counted by predicted and true class


class LabelKind(StrEnum):
    """What kind of outcome a model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Form(IntEnum):
    """How a label's value is held in 64 bits."""

    NULL = 0  # a retraction
    NUMBER = 1  # the bits of a float64
    TEXT = 2  # xxh3-64 of the text, UTF-8


def label_bits(value: Scalar) -> tuple[Form, int]:
    """A value's form and its 64 bits; two values of one class have the same of both.

    1, 1.0, True and "1" are one class (`specs.category`); NaN is a retraction, as null is.

    >>> label_bits(True) == label_bits("1") == label_bits(1.0), label_bits("yes")[0].name
    (True, 'TEXT')
    """
    if isinstance(value, str):
        number = _number(value)
        if number is None or category(number) != value:
            return Form.TEXT, xxhash.xxh3_64_intdigest(value.encode())
        value = number
    if value is None or value != value:
        return Form.NULL, 0
    if isinstance(value, int) and not -(1 << 53) <= value <= 1 << 53:
        return Form.TEXT, xxhash.xxh3_64_intdigest(str(value).encode())
    return Form.NUMBER, int(np.float64(value + 0.0).view(np.uint64))


def _number(text: str) -> float | None:
    if len(text) > 24 or not (text[:1] == "-" or text[:1].isdigit()):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= 1 << 53 else None


@dataclass(frozen=True)
class LabelSpec:
    """How a model's labels are read: the same for all rows of a profile and a monitor.

    Of BINARY `classes` are (negative, positive); of MULTICLASS all, sorted; of REGRESSION none.
    Classes are categories (`specs.category`). `edges` (B + 1,) cut scores into the bins that
    ROC-AUC and calibration are computed from: ascending from 0 to 1, bin j holds
    edges[j] <= p < edges[j + 1], the last one 1 too; empty for REGRESSION.
    """

    kind: LabelKind
    classes: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @cached_property
    def hash(self) -> str:
        """Names what is counted: groups of outcomes carry it where others carry a profile's."""
        content = json.dumps([self.kind.value, self.classes, self.edges])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @cached_property
    def bits(self) -> npt.NDArray[np.uint64]:
        """(K, 2) form and bits of each class (`label_bits`)."""
        pairs = [label_bits(name) for name in self.classes]
        return np.array(pairs, dtype=np.uint64).reshape(len(pairs), 2)

    def class_of(self, form: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]) -> Int64s:
        """The index of each value's class, -1 for none of them; all (n,). Not of REGRESSION."""
        found = np.zeros(len(form), dtype=np.int8)  # one more than the index: a byte is enough
        for number, (known, value) in enumerate(self.bits.tolist(), start=1):
            same = bits == value
            same &= form == known
            np.maximum(found, same * np.int8(number), out=found)
        return found.astype(np.int64) - 1

    def reads(
        self, form: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        """Whether each value (n,) can be a label of the model: null always can.

        A text is no label of REGRESSION, and of BINARY only the two classes are.
        """
        good = np.ones(len(form), dtype=np.bool_)
        if self.kind is LabelKind.REGRESSION:
            np.not_equal(form, Form.TEXT, out=good)
        elif self.kind is LabelKind.BINARY:
            np.equal(form, Form.NULL, out=good)
            good |= self.class_of(form, bits) >= 0
        return good


def label_spec(profile: Profile | None, rule: LabelRule) -> LabelSpec | None:
    """How a model's labels are read; None where they aren't wanted or nothing says how.

    The monitor's word comes first, then the profile's outcomes, then the profile's prediction:
    a numeric one is a regression's, one of two categories binary, of more multiclass. Of two
    classes the positive one is the monitor's, else the greater (1 of 0 and 1); more than
    MAX_CLASSES can't be read. A profile that was warmed up says nothing: when it becomes known
    depends on the run.
    """
    if not rule.wanted:
        return None
    if profile is not None and profile.warmed_up:
        profile = None
    outcome = None if profile is None else profile.outcome
    predicted = None
    if profile is not None:
        predicted = next((v for v in profile.variables if v.name == "prediction"), None)
    classes = rule.classes
    if not classes and outcome is not None:
        classes = outcome.classes
    numeric = isinstance(predicted, NumericVariable)
    if not classes and predicted is not None and not isinstance(predicted, NumericVariable):
        classes = tuple(sorted((*predicted.categories, *predicted.others)))
    kind = rule.kind or (outcome.kind if outcome is not None else "")
    if not kind and numeric and not classes:
        kind = LabelKind.REGRESSION
    if not kind and classes:
        kind = LabelKind.BINARY if len(classes) == 2 else LabelKind.MULTICLASS
    if kind == LabelKind.REGRESSION:
        return LabelSpec(LabelKind.REGRESSION)
    if kind == LabelKind.BINARY:
        classes = _two(classes, rule.positive)
    if not kind or not 2 <= len(classes) <= MAX_CLASSES:
        return None
    if kind == LabelKind.MULTICLASS:
        classes = tuple(sorted(classes))
    return LabelSpec(LabelKind(kind), classes, _edges(profile, LabelKind(kind), classes))


def reads_as_reference(profile: Profile, rule: LabelRule) -> bool:
    """Whether labels are read as the reference's were, so that its figures compare with theirs.

    True where the reference had none, or no labels are read.
    """
    spec, outcome = label_spec(profile, rule), profile.outcome
    if spec is None or outcome is None:
        return True
    return (spec.kind, spec.classes) == (outcome.kind, outcome.classes)


def scored_classes(
    profile: Profile, kind: LabelKind, classes: tuple[str, ...]
) -> tuple[tuple[str, NumericVariable], ...]:
    """The classes whose probability the profile knows, each with its variable; calibrated so.

    Of a binary model the positive class, by the variable `score`, else by `score.<class>`; of a
    multiclass one all classes by `score.<class>`, or none where one lacks its variable.
    """
    known = {variable.name: variable for variable in profile.numeric}
    if kind is LabelKind.BINARY:
        found = known.get("score", known.get(SCORE_PREFIX + classes[1]))
        return () if found is None else ((classes[1], found),)
    if kind is LabelKind.MULTICLASS and all(SCORE_PREFIX + name in known for name in classes):
        return tuple((name, known[SCORE_PREFIX + name]) for name in classes)
    return ()


def _two(classes: tuple[str, ...], positive: str) -> tuple[str, ...]:
    """(negative, positive); () where they aren't known."""
    if len(classes) == 2:
        if positive in classes:
            return (classes[0] if classes[1] == positive else classes[1], positive)
        return classes if not positive else ()
    return ("0", "1") if not classes and positive in {"", "1"} else ()


def _edges(profile: Profile | None, kind: LabelKind, classes: tuple[str, ...]) -> tuple[float, ...]:
    """The profile's bins of a binary model's score, stretched to [0, 1]; else 64 equal ones."""
    inner: list[float] = []
    if profile is not None and kind is LabelKind.BINARY:
        for _, score in scored_classes(profile, kind, classes):
            inner = [edge for edge in score.edges[1:-1] if 0 < edge < 1]
    if not inner:
        inner = [place / 64 for place in range(1, 64)]
    return (0.0, *inner, 1.0)


@dataclass(frozen=True, slots=True)
class Labels:
    """n decoded labels, ascending by (record, row).

    record         (n,) int32   index of the row's record in the slice
    row            (n,) int32   the row's position within its record
    event_time_ms  (n,) int64
    ids            (n, 2) uint64   the key of each prediction_id (`ids.ids_of`)
    form           (n,) uint8   `Form`
    bits           (n,) uint64  the value (`label_bits`)
    model          (n,) int32   index into `models`; -1 where the label names no model
    texts          what the text values were: bits -> text
    """

    record: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    event_time_ms: Int64s
    ids: npt.NDArray[np.uint64]
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    model: npt.NDArray[np.int32]
    models: Sequence[str]
    texts: dict[int, str]

    def __len__(self) -> int:
        return len(self.record)
