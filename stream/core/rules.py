"""What monitors say of labels, segments and metrics, and profiles of outcomes. All frozen."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bounds", "LabelRule", "MetricRule", "OutcomeReference", "SegmentRule"]

_WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How a model's labels are read and how long its predictions wait for them.

    Without `wanted` nothing is kept and duplicates aren't looked for. `kind` (a
    labels.LabelKind), `classes` and `positive` may be left out where a published profile says
    them. `sample` is the share of predictions and labels, chosen by id, that is joined.
    """

    wanted: bool = True
    kind: str = ""
    classes: tuple[str, ...] = ()
    positive: str = ""
    horizon_ms: int = _WEEK_MS
    sample: float = 1.0


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """What rows are told apart by: a column, or an expression over features.

    `by` is a feature's name, `tags.NAME`, or an expression such as `age >= 65`. A column makes
    a segment of each of its `values` (of the profile's, where there are none), and one of all
    others. An expression makes one segment of the rows for which it holds; where it is
    `protected`, another of those for which it doesn't. Groups of a protected rule are compared
    with the group `reference` (a value of the column, else the largest group).
    """

    by: str
    values: tuple[str, ...] = ()
    protected: bool = False
    reference: str = ""


@dataclass(frozen=True, slots=True)
class MetricRule:
    """When a metric is bad: below `low`, above `high`, or so far from the reference's value.

    The metric's interval must lie wholly on the bad side; with `point` its value alone.
    """

    low: float | None = None
    high: float | None = None
    max_drop: float | None = None
    max_rise: float | None = None
    point: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeReference:
    """How the model did on the reference's labels, and what its scores were worth there.

    `kind` is a labels.LabelKind; `classes` (negative, positive) of binary, all of multiclass,
    none of regression. `rows` had a label. For classifiers with scores `calibration` and
    `predicted_positive` have an entry for each regular bin of each of `labels.scored_classes`,
    one behind the other: the calibrated (isotonic) probability of the class, and the share of
    rows that were predicted to be of it.
    `metrics` are the reference's own, by name, sorted.
    """

    kind: str
    classes: tuple[str, ...]
    rows: int
    calibration: tuple[float, ...] = ()
    predicted_positive: tuple[float, ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one task (a partition of `partials`) keeps at the most.

    `models` are model@versions; rows of further ones are counted as refused and nothing of them
    is kept until another was silent so long that it is forgotten. `raw_rows` are rows that wait
    for their model's profile, of all models together; beyond, the models that have the fewest
    give theirs up: they count in windows, not in scores.

    Which ones these are depends on what came first: the one thing here that does.
    """

    models: int = 10_000
    raw_rows: int = 1_000_000
