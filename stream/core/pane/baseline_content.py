"""What a profile says of outcomes, as a record. What a topic holds is distrusted."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from stream.core.labels import MAX_CLASSES, LabelKind, scored_classes
from stream.core.pane.plain import count_of, finite_of, items_of, share_of, text_of
from stream.core.rules import OutcomeReference
from stream.core.specs import Profile

__all__ = ["outcome_from_record", "outcome_to_record"]


def outcome_to_record(outcome: OutcomeReference) -> dict[str, Any]:
    """The outcome as plain values, in the form of schemas/reference_profile.avsc."""
    return {
        "kind": outcome.kind,
        "classes": list(outcome.classes),
        "rows": outcome.rows,
        "calibration": list(outcome.calibration),
        "predicted_positive": list(outcome.predicted_positive),
        "metrics": dict(outcome.metrics),
    }


def outcome_from_record(record: Mapping[str, Any], profile: Profile) -> OutcomeReference:
    """The outcome that a record describes, of a profile with these variables.

    Raises ValueError, TypeError or KeyError for one that isn't to be relied on: no such kind,
    classes that the kind can't have, shares outside 0 to 1 or not one a bin of the score, a
    calibration that falls.
    """
    outcome = OutcomeReference(
        kind=LabelKind(text_of(record["kind"])).value,
        classes=tuple(text_of(name) for name in items_of(record["classes"])),
        rows=count_of(record["rows"]),
        calibration=tuple(share_of(item) for item in items_of(record["calibration"])),
        predicted_positive=tuple(share_of(item) for item in items_of(record["predicted_positive"])),
        metrics=tuple(
            sorted((text_of(name), finite_of(value)) for name, value in record["metrics"].items())
        ),
    )
    _check_classes(outcome)
    _check_calibration(outcome, profile)
    if not 0 < outcome.rows <= profile.rows:
        raise ValueError(f"{outcome.rows} labels of {profile.rows} rows")
    return outcome


def _check_classes(outcome: OutcomeReference) -> None:
    classes = outcome.classes
    fits = {
        LabelKind.BINARY: len(classes) == 2,
        LabelKind.MULTICLASS: 2 <= len(classes) <= MAX_CLASSES and list(classes) == sorted(classes),
        LabelKind.REGRESSION: not classes,
    }
    if not fits[LabelKind(outcome.kind)] or len(set(classes)) < len(classes):
        raise ValueError(f"{classes!r} are not the classes of a {outcome.kind} model")


def _check_calibration(outcome: OutcomeReference, profile: Profile) -> None:
    scored = scored_classes(profile, LabelKind(outcome.kind), outcome.classes)
    sizes = [variable.size for _, variable in scored]
    if len(outcome.predicted_positive) != len(outcome.calibration):
        raise ValueError("calibration and predicted_positive differ in length")
    if len(outcome.calibration) not in {0, sum(sizes)}:
        raise ValueError(f"a calibration of {len(outcome.calibration)} bins fits no score's")
    start = 0
    for size in sizes:
        if any(low > high for low, high in pairwise(outcome.calibration[start : start + size])):
            raise ValueError("the calibration falls")
        start += size
