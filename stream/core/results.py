"""What closed windows say: data windows, performance windows, and what they did to incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from stream.core.errors import ProfileError
from stream.core.labels import LabelSpec
from stream.core.pane.past import Stood
from stream.core.pane.spans import Closed, Subject
from stream.core.records import ModelKey
from stream.core.score import VariableScores
from stream.core.score.performance import Breach, Estimate
from stream.core.signal.incident import Change, IncidentKind
from stream.core.specs import MonitorSpec, Profile

__all__ = [
    "Advance",
    "Coverage",
    "DataResult",
    "Folded",
    "PerformanceResult",
    "Said",
    "Signal",
    "Silence",
    "WindowResult",
]


@dataclass(frozen=True, slots=True)
class Signal:
    """What a window did to an incident, and the limits it crossed.

    `cites` are the drift incidents that were open at the window's end.
    """

    kind: IncidentKind
    change: Change
    breaches: tuple[Breach, ...] = ()
    cites: tuple[Stood, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """An incident that was resolved because its subject had no scored window for so long."""

    subject: Subject
    kind: IncidentKind
    change: Change


@dataclass(frozen=True, slots=True)
class Coverage:
    """Outcomes that became known and predictions made, both from `from_ms` to a window's end.

    `sample` is the share of predictions whose labels are looked for; the share covered is of
    these. None where no predictions are known.
    """

    outcomes: int
    predictions: int
    sample: float
    from_ms: int
    share: float | None


@dataclass(frozen=True, slots=True)
class DataResult:
    """A closed window of predictions and features.

    `profile` is the one in force at the window's end, None during warm-up; `scores` is empty,
    and `drift_share` None, where the window isn't scored. `breaches` are limits crossed, by the
    kind of incident that they lead to.
    """

    subject: Subject
    closed: Closed
    profile: Profile | None
    monitor: MonitorSpec
    scores: tuple[VariableScores, ...] = ()
    drift_share: float | None = None
    dirty: bool = False
    estimated: Mapping[str, Estimate] = field(default_factory=dict)
    serving: Mapping[str, Estimate] = field(default_factory=dict)
    breaches: Mapping[IncidentKind, tuple[Breach, ...]] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class PerformanceResult:
    """A closed window of outcomes.

    `spec` says how labels were read at the window's end, None where nothing did. `metrics` is
    empty where the window isn't scored. `estimated` is what the data window of the same range
    expected, `residual` the realised value less that, where no earlier outcomes are in it.
    `reference` are the profile's own metrics.
    `fairness` compares the groups of protected segments, in the window of all rows.
    """

    subject: Subject
    closed: Closed
    spec: LabelSpec | None
    profile: Profile | None
    monitor: MonitorSpec
    coverage: Coverage
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    delay: Mapping[str, float] = field(default_factory=dict)
    estimated: Mapping[str, Estimate] = field(default_factory=dict)
    residual: Mapping[str, float] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    fairness: Mapping[str, Estimate] = field(default_factory=dict)
    dirty: bool = False
    breaches: Mapping[IncidentKind, tuple[Breach, ...]] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()


WindowResult = DataResult | PerformanceResult


class Folded(NamedTuple):
    """Rows that were moved, corrections dropped because their pane was closed, rows refused.

    `refused` are predictions and labels of models beyond the bound.
    """

    moved: int = 0
    correction_late: int = 0
    refused: Mapping[ModelKey, int] = MappingProxyType({})


Said = WindowResult | Profile | ProfileError | Silence


@dataclass(frozen=True, slots=True)
class Advance:
    """What closing panes led to, in order; `refused` says why a warm-up made no profile."""

    windows: list[WindowResult] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)

    def note(self, said: Said) -> None:
        """Adds one of them."""
        if isinstance(said, Profile):
            self.profiles.append(said)
        elif isinstance(said, ProfileError):
            self.refused.append(str(said))
        elif isinstance(said, Silence):
            self.silences.append(said)
        else:
            self.windows.append(said)
