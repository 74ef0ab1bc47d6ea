"""What is declared: time rules of a deployment, reference profiles, monitors. All frozen.

A *variable* is something whose distribution is watched: a feature (`features.age`), the
`prediction`, the `score`, or one class's score (`score.approve`). A profile lists its numeric
variables first, then its categorical ones; the count vector of a group of rows is the
concatenation of the variables' slots in that order.

A variable of k regular slots (bins, or categories) has k + SPECIALS slots:

    numeric       k bins, then BELOW, ABOVE, MISSING, MISTYPED
    categorical   k categories, then OTHER, UNSEEN, MISSING, MISTYPED
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np

from stream.core.records import Int64s, ModelKey, Scalar
from stream.core.rules import LabelRule, MetricRule, OutcomeReference, SegmentRule

__all__ = [
    "ABOVE",
    "BELOW",
    "FEATURE_PREFIX",
    "MISSING",
    "MISTYPED",
    "OTHER",
    "SCORE_PREFIX",
    "SPECIALS",
    "UNSEEN",
    "CategoricalVariable",
    "FeatureRule",
    "MonitorSpec",
    "NumericVariable",
    "Profile",
    "Role",
    "Severity",
    "TimeSpec",
    "Variable",
    "category",
    "role_of",
]

SPECIALS = 4
BELOW, ABOVE = 0, 1  # numeric: offsets behind the bins
OTHER, UNSEEN = 0, 1  # categorical: offsets behind the categories
MISSING, MISTYPED = 2, 3  # both

FEATURE_PREFIX = "features."
SCORE_PREFIX = "score."

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS


class Role(StrEnum):
    """What a variable is to the model."""

    FEATURE = "feature"
    PREDICTION = "prediction"
    SCORE = "score"


class Severity(StrEnum):
    """How loud an incident is; they order info < warning < critical."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def role_of(name: str) -> Role:
    """The role that a variable's name implies."""
    if name == "prediction":
        return Role.PREDICTION
    if name == "score" or name.startswith(SCORE_PREFIX):
        return Role.SCORE
    return Role.FEATURE


def category(value: Scalar) -> str | None:
    """The category that a scalar is: 1, 1.0, True and "1" are one; None and NaN are none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(int(value))


@dataclass(frozen=True, slots=True)
class NumericVariable:
    """A numeric variable's bins, frozen from the reference.

    `edges` are k + 1 strictly ascending floats; bin j holds edges[j] <= x < edges[j + 1], the
    last bin its upper edge too. `counts` are the reference's k + SPECIALS slot counts.
    mean, std, low and high are of the reference's finite values.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float
    std: float
    low: float
    high: float

    @property
    def size(self) -> int:
        """The number of regular slots (bins)."""
        return len(self.edges) - 1

    @property
    def width(self) -> int:
        """The number of all slots."""
        return len(self.edges) - 1 + SPECIALS

    @property
    def label(self) -> str:
        """The name without the features prefix, as windows show it."""
        return self.name.removeprefix(FEATURE_PREFIX)

    @property
    def role(self) -> Role:
        """Feature, prediction or score."""
        return role_of(self.name)


@dataclass(frozen=True, slots=True)
class CategoricalVariable:
    """A categorical variable's categories, frozen from the reference.

    `categories` have a slot each (most frequent first, ties by name); `others` are further
    categories of the reference, counted together in OTHER; anything else is UNSEEN.
    `counts` are the reference's k + SPECIALS slot counts.
    """

    name: str
    categories: tuple[str, ...]
    others: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of regular slots (categories)."""
        return len(self.categories)

    @property
    def width(self) -> int:
        """The number of all slots."""
        return len(self.categories) + SPECIALS

    @property
    def label(self) -> str:
        """The name without the features prefix, as windows show it."""
        return self.name.removeprefix(FEATURE_PREFIX)

    @property
    def role(self) -> Role:
        """Feature, prediction or score."""
        return role_of(self.name)


Variable = NumericVariable | CategoricalVariable


@dataclass(frozen=True)
class Profile:
    """A model@version's reference: how each variable was distributed, over which bins.

    `hash` identifies the content (all but `effective_from_ms`, `warmed_up`, `created_ms`).
    `segments` are columns to segment by and their most frequent values, sorted by column.
    `provenance` holds what the builder knew: data file, training time, Git, DVC, MLflow ids.
    """

    model: ModelKey
    hash: str
    rows: int
    numeric: tuple[NumericVariable, ...]
    categorical: tuple[CategoricalVariable, ...]
    effective_from_ms: int = 0
    warmed_up: bool = False
    created_ms: int = 0
    provenance: tuple[tuple[str, str], ...] = ()
    outcome: OutcomeReference | None = None
    segments: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """All variables in the order of the count vector: numeric, then categorical."""
        return (*self.numeric, *self.categorical)

    @cached_property
    def starts(self) -> Int64s:
        """Where each variable's slots start in the count vector, and the vector's length."""
        return np.cumsum([0, *(variable.width for variable in self.variables)], dtype=np.int64)

    @cached_property
    def width(self) -> int:
        """The length of the count vector."""
        return int(self.starts[-1])

    @cached_property
    def counts(self) -> Int64s:
        """The reference's own count vector."""
        parts = [np.asarray(variable.counts, dtype=np.int64) for variable in self.variables]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TimeSpec:
    """The time rules of a deployment, all in milliseconds (DESIGN, Time)."""

    pane_ms: int = _MINUTE_MS
    out_of_orderness_ms: int = 30_000
    max_clock_skew_ms: int = 5 * _MINUTE_MS
    idle_after_ms: int = 30_000
    max_hold_ms: int = 15 * _MINUTE_MS
    early_label_horizon_ms: int = _HOUR_MS
    label_patience_ms: int = _HOUR_MS
    max_lead_ms: int = 10 * _MINUTE_MS

    @property
    def lasting(self) -> dict[str, str]:
        """Settings that no worker may have otherwise: state and partials are made by them."""
        return {"pane": f"{self.pane_ms}ms"}


@dataclass(frozen=True, slots=True)
class FeatureRule:
    """What a monitor says of one variable; None means the monitor's own default.

    `alert` true makes this variable's threshold alone open an incident.
    """

    score: str | None = None
    threshold: float | None = None
    alert: bool = False
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class MonitorSpec:
    """What is watched about a model, and when it alerts. The defaults serve an unknown model.

    A window [k·hop, k·hop + window) is scored with at least `min_rows` rows. A variable is
    drifted when its `score` exceeds `threshold` (None: the score's own default). The window
    is dirty when the share of drifted variables of role feature exceeds `drift_share`, or a
    variable whose rule says alert is drifted. An incident opens when `open_after` of the last
    `open_within` scored windows are dirty, and resolves after `resolve_after` clean ones; no
    other opens within `cooldown_ms` of the resolution. `severity_by_share` are (severity,
    share) pairs that raise the severity where the share of drifted features exceeds them.

    `labels` says how labels are read, `segments` what rows are told apart by. `performance`,
    `estimated`, `serving` and `fairness` are thresholds by metric. A performance window below
    `min_coverage` opens no incident. With `joined` predictions are put out with their labels.
    """

    model: str = ""
    effective_from_ms: int = 0
    window_ms: int = _HOUR_MS
    hop_ms: int = _HOUR_MS
    min_rows: int = 500
    warmup_rows: int = 10_000
    score: str = "psi"
    threshold: float | None = None
    drift_share: float = 0.2
    features: dict[str, FeatureRule] = field(default_factory=dict)
    open_after: int = 1
    open_within: int = 1
    resolve_after: int = 2
    cooldown_ms: int = 0
    severity: Severity = Severity.INFO
    severity_by_share: tuple[tuple[Severity, float], ...] = ()
    labels: LabelRule = field(default_factory=LabelRule)
    segments: tuple[SegmentRule, ...] = ()
    performance: dict[str, MetricRule] = field(default_factory=dict)
    estimated: dict[str, MetricRule] = field(default_factory=dict)
    serving: dict[str, MetricRule] = field(default_factory=dict)
    fairness: dict[str, MetricRule] = field(default_factory=dict)
    min_coverage: float = 0.0
    joined: bool = False
