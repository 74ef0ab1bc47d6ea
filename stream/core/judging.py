"""What closed windows say, judged by their profile and monitor: pure functions of one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stream.core.labels import LabelSpec, reads_as_reference
from stream.core.ledger import SERVING, ledger_of
from stream.core.numbers import significant
from stream.core.pane.grouping import columns_of_segment
from stream.core.pane.open import WindowEnd
from stream.core.records import Int64s
from stream.core.results import Coverage, DataResult, PerformanceResult
from stream.core.score import drift_share, score_window
from stream.core.score.estimate import estimate, standard_errors
from stream.core.score.fairness import fairness, fairness_breaches
from stream.core.score.performance import Estimate, breaches, delay_quantiles, performance
from stream.core.score.serving import serving
from stream.core.signal.incident import IncidentKind, Verdict, is_dirty, severity_of
from stream.core.specs import FEATURE_PREFIX, FeatureRule, MonitorSpec, Profile, Severity

__all__ = ["data_result", "data_verdicts", "performance_result", "performance_verdicts"]

_Z = 1.959963984540054  # the standard normal's 97.5 % point


def data_result(end: WindowEnd, profile: Profile | None) -> DataResult:
    """The scores, estimates and serving metrics of a data window."""
    closed, monitor = end.closed, end.monitor
    served = _served(end)
    found = {IncidentKind.SERVING: breaches(served, monitor.serving, {})}
    result = DataResult(end.subject, closed, profile, monitor, serving=served, breaches=found)
    if profile is None or closed.counts is None:
        return result
    scores = score_window(profile, closed.counts, _of_segment(monitor, end.subject.segment))
    share = drift_share(scores)
    alarmed = any(variable.drifted and variable.alert for variable in scores)
    estimated: dict[str, Estimate] = {}
    if reads_as_reference(profile, monitor.labels):
        estimated = _estimated(profile, closed.counts, closed.scored_rows)
    reference = _reference_of(profile, monitor)
    found[IncidentKind.ESTIMATED] = breaches(estimated, monitor.estimated, reference)
    return replace(
        result,
        scores=scores,
        drift_share=share,
        dirty=is_dirty(monitor, share, alarmed=alarmed),
        estimated=estimated,
        breaches=found,
    )


def data_verdicts(result: DataResult) -> dict[IncidentKind, Verdict]:
    """What a data window says to each kind of incident; nothing to those that it can't judge."""
    window, monitor = result.closed.window, result.monitor
    found: dict[IncidentKind, Verdict] = {}
    if result.drift_share is not None:
        severity = severity_of(monitor, result.drift_share)
        found[IncidentKind.DRIFT] = Verdict(*window, result.dirty, result.drift_share, severity)
    if result.estimated:
        dirty = bool(result.breaches.get(IncidentKind.ESTIMATED))
        found[IncidentKind.ESTIMATED] = Verdict(*window, dirty, severity=Severity.WARNING)
    if result.serving and result.closed.totals.rows >= monitor.min_rows:
        found[IncidentKind.SERVING] = Verdict(
            *window, bool(result.breaches.get(IncidentKind.SERVING))
        )
    return found


def performance_result(
    end: WindowEnd,
    spec: LabelSpec | None,
    profile: Profile | None,
    coverage: Coverage,
    estimated: Mapping[str, Estimate],
    groups: Sequence[tuple[str, Mapping[str, Int64s]]],
) -> PerformanceResult:
    """The metrics of a performance window, beside what was expected of the same range.

    `groups` are, of each protected rule, the segment to compare with ("": the largest) and the
    vectors by segment.
    """
    closed, monitor = end.closed, end.monitor
    reference = _reference_of(profile, monitor)
    result = PerformanceResult(
        end.subject,
        closed,
        spec,
        profile,
        monitor,
        coverage,
        estimated=estimated,
        reference=reference,
    )
    if spec is None or closed.counts is None or len(closed.counts) != ledger_of(spec).width:
        return result
    metrics = performance(spec, closed.counts, closed.scored_rows)
    found = breaches(metrics, monitor.performance, reference)
    fair: dict[str, Estimate] = {}
    for base, vectors in groups:
        fair |= fairness(spec, vectors, base)
    return replace(
        result,
        metrics=metrics,
        fairness=fair,
        delay=delay_quantiles(spec, closed.counts),
        residual=_residual(metrics, estimated) if closed.scored_from_ms is None else {},
        dirty=bool(found),
        breaches={
            IncidentKind.PERFORMANCE: found,
            IncidentKind.FAIRNESS: fairness_breaches(fair, monitor.fairness),
        },
    )


def performance_verdicts(result: PerformanceResult) -> dict[IncidentKind, Verdict]:
    """What a performance window says to each kind of incident; nothing below `min_coverage`."""
    if not result.metrics or not _covered(result.coverage, result.monitor):
        return {}
    window = result.closed.window
    kinds = [IncidentKind.PERFORMANCE]
    if result.fairness:
        kinds.append(IncidentKind.FAIRNESS)
    return {kind: Verdict(*window, bool(result.breaches.get(kind))) for kind in kinds}


def _of_segment(monitor: MonitorSpec, segment: str) -> MonitorSpec:
    """The monitor that doesn't judge the features by which a segment's rows were chosen.

    They differ from the reference, which is of all rows, by construction.
    """
    chosen = columns_of_segment(monitor.segments, segment)
    if not chosen:
        return monitor
    ignored = {FEATURE_PREFIX + column: FeatureRule(ignore=True) for column in chosen}
    return replace(monitor, features={**monitor.features, **ignored})


def _reference_of(profile: Profile | None, monitor: MonitorSpec) -> dict[str, float]:
    """The metrics of the reference's own labels, {} where there are none or were read otherwise."""
    if profile is None or profile.outcome is None:
        return {}
    return dict(profile.outcome.metrics) if reads_as_reference(profile, monitor.labels) else {}


def _served(end: WindowEnd) -> dict[str, Estimate]:
    """{} where no row of the window said a latency or a status."""
    closed, window = end.closed, end.closed.window
    if closed.served is None or len(closed.served) != SERVING.width:
        return {}
    return serving(closed.served, closed.totals.rows, window.end_ms - window.start_ms)


def _covered(coverage: Coverage, monitor: MonitorSpec) -> bool:
    share = 0.0 if coverage.share is None else coverage.share
    return share >= monitor.min_coverage


def _estimated(profile: Profile, counts: Int64s, rows: int) -> dict[str, Estimate]:
    values = estimate(profile, counts)
    errors = standard_errors(profile, counts) if values else {}
    return {
        name: _interval(value, errors.get(name), rows) for name, value in sorted(values.items())
    }


def _interval(value: float, error: float | None, rows: int) -> Estimate:
    """All estimated metrics are shares: their interval stays within [0, 1]."""
    if error is None:
        return Estimate(value, None, None, rows)
    low, high = max(value - _Z * error, 0.0), min(value + _Z * error, 1.0)
    return Estimate(value, significant(low), significant(high), rows)


def _residual(
    realised: Mapping[str, Estimate], estimated: Mapping[str, Estimate]
) -> dict[str, float]:
    found = {}
    for name in sorted(realised.keys() & estimated.keys()):
        now, expected = realised[name].value, estimated[name].value
        if now is not None and expected is not None:
            found[name] = significant(now - expected)
    return found
