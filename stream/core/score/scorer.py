"""The scores of a window: every variable of a profile at once, and what a monitor says to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream.core.numbers import significant
from stream.core.records import Int64s
from stream.core.score.merge import plan
from stream.core.score.registry import DEFAULT_SCORE, SCORES
from stream.core.specs import FeatureRule, MonitorSpec, NumericVariable, Profile, Role, Variable

__all__ = ["VariableScores", "drift_share", "score_window"]

_NO_RULE = FeatureRule()


@dataclass(frozen=True, slots=True)
class VariableScores:
    """What a window says of one variable.

    `name` is the variable's, `label` the name as windows show it, `kind` numeric or
    categorical. `rows` are the rows that carry it, missing values included. `scores` holds every
    score that applies to the kind; `score` names the one that decides, `threshold` is what it
    must exceed for `drifted`. `alert` is true where the monitor lets this variable alone open an
    incident. `rank` orders the variables by that score ÷ threshold, 1 first.
    """

    name: str
    label: str
    role: Role
    kind: str
    rows: int
    scores: dict[str, float]
    score: str
    threshold: float
    drifted: bool
    alert: bool
    rank: int


def score_window(
    profile: Profile, counts: Int64s, monitor: MonitorSpec
) -> tuple[VariableScores, ...]:
    """The scores of a window's count vector, in the profile's order; ignored variables left out.

    A variable is drifted when its score, rounded to 9 significant digits, exceeds the threshold,
    and at least `min_rows` rows carry it. Thresholds: the variable's rule, else the monitor's,
    else the score's own. A score that doesn't apply to the variable's kind, or that this release
    doesn't know, gives way to `psi` and its own threshold.

    Raises ValueError if `counts` isn't the profile's count vector in length.
    """
    if len(counts) != profile.width:
        raise ValueError(f"{len(counts)} counts for a profile of {profile.width} slots")
    binned = plan(profile, monitor.min_rows).bin(counts)
    rows = binned.window_rows
    table = {name: score.of(binned) for name, score in SCORES.items()}
    told = []
    for row, variable in enumerate(profile.variables):
        rule = _rule(monitor, variable)
        if rule.ignore:
            continue
        numeric = isinstance(variable, NumericVariable)
        scores = {
            name: significant(float(table[name][row])) if rows[row] else 0.0
            for name, score in SCORES.items()
            if score.applies(numeric=numeric)
        }
        told.append(_judged(variable, rule, monitor, scores, int(rows[row])))
    return _ranked(told)


def drift_share(told: Sequence[VariableScores]) -> float:
    """The share of drifted ones among the features, rounded; 0 if there are none."""
    features = [scores.drifted for scores in told if scores.role is Role.FEATURE]
    return significant(sum(features) / len(features)) if features else 0.0


def _rule(monitor: MonitorSpec, variable: Variable) -> FeatureRule:
    """The rule for the variable, by its full name or by its label."""
    if not monitor.features:
        return _NO_RULE
    by_label = monitor.features.get(variable.label, _NO_RULE)
    return monitor.features.get(variable.name, by_label)


def _judged(
    variable: Variable,
    rule: FeatureRule,
    monitor: MonitorSpec,
    scores: dict[str, float],
    rows: int,
) -> VariableScores:
    name = rule.score or monitor.score
    threshold = rule.threshold
    if threshold is None and name == monitor.score:
        threshold = monitor.threshold
    if name not in scores:
        name, threshold = DEFAULT_SCORE, None
    if threshold is None:
        threshold = SCORES[name].threshold
    return VariableScores(
        name=variable.name,
        label=variable.label,
        role=variable.role,
        kind="numeric" if isinstance(variable, NumericVariable) else "categorical",
        rows=rows,
        scores=scores,
        score=name,
        threshold=threshold,
        drifted=rows >= monitor.min_rows and scores[name] > threshold,
        alert=rule.alert,
        rank=0,
    )


def _ranked(told: list[VariableScores]) -> tuple[VariableScores, ...]:
    """Ranks by how many times its threshold a variable's score is; ties by name."""
    order = sorted(
        range(len(told)),
        key=lambda i: (-told[i].scores[told[i].score] / max(told[i].threshold, 1e-9), told[i].name),
    )
    ranks = dict(zip(order, range(1, len(order) + 1), strict=True))
    return tuple(replace(scores, rank=ranks[i]) for i, scores in enumerate(told))
