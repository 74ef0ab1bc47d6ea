"""Monitors as records of the `monitors` topic, and from when a change of one applies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from stream import schemas
from stream.adapters.monitor_rules import rule_problems
from stream.core.errors import ConfigError, SchemaError
from stream.core.names import model_problems
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import FeatureRule, MonitorSpec, Severity, TimeSpec

__all__ = [
    "HISTORY",
    "MonitorChanges",
    "check_monitor",
    "decode_monitors",
    "default_monitor",
    "encode_monitors",
    "in_force",
    "next_boundary_ms",
    "with_change",
]

_R = TypeVar("_R", LabelRule, SegmentRule, MetricRule)

MonitorChanges = tuple[MonitorSpec, ...]
"""A model's monitors, oldest first; each applies until the next one's `effective_from_ms`."""

HISTORY = 100  # earlier monitors that a record keeps
_MAX_BYTES = 900_000  # of a record
_LATEST_MS = 253_402_300_800_000  # the year 10000
_PLAIN = (
    "effective_from_ms",
    "window_ms",
    "hop_ms",
    "min_rows",
    "warmup_rows",
    "score",
    "threshold",
    "drift_share",
    "open_after",
    "open_within",
    "resolve_after",
    "cooldown_ms",
    "min_coverage",
    "joined",
)
_METRICS = ("performance", "estimated", "serving", "fairness")


def default_monitor(pane_ms: int) -> MonitorSpec:
    """What watches a model that has no monitor: windows of an hour, in whole panes."""
    usual = MonitorSpec()
    length = -(-usual.window_ms // pane_ms) * pane_ms
    return replace(usual, window_ms=length, hop_ms=length)


def check_monitor(spec: MonitorSpec, pane_ms: int | None = None) -> None:
    """Raises a ConfigError that lists everything that is wrong with a monitor.

    With `pane_ms`, windows and hops must be whole panes of that length.
    """
    wrong: list[str] = []

    def ensure(fine: bool, problem: str) -> None:
        if not fine:
            wrong.append(problem)

    wrong.extend(model_problems(spec.model))
    ensure(0 < spec.hop_ms <= spec.window_ms, "hop must be longer than 0, at most the window")
    ensure(0 <= spec.effective_from_ms < _LATEST_MS, "effective_from_ms must be a time")
    ensure(spec.min_rows >= 1, "min_rows must be at least 1")
    ensure(spec.warmup_rows >= 1, "warmup_rows must be at least 1")
    ensure(0 <= spec.drift_share <= 1, "drift_share must be from 0 to 1")
    ensure(1 <= spec.open_after <= spec.open_within, "open_after must be 1 to open_within")
    ensure(spec.resolve_after >= 1, "resolve_after must be at least 1")
    ensure(spec.cooldown_ms >= 0, "cooldown must not be below 0")
    for name, threshold in [
        ("threshold", spec.threshold),
        *((f"features.{name}.threshold", rule.threshold) for name, rule in spec.features.items()),
    ]:
        ensure(
            threshold is None or (math.isfinite(threshold) and threshold >= 0),
            f"{name} must be a number from 0 on",
        )
    for severity, share in spec.severity_by_share:
        ensure(0 <= share <= 1, f"severity_by_share.{severity} must be from 0 to 1")
    ensure(0 <= spec.min_coverage <= 1, "min_coverage must be from 0 to 1")
    wrong.extend(rule_problems(spec))
    if pane_ms is not None:
        for name, length in (("window", spec.window_ms), ("hop", spec.hop_ms)):
            ensure(
                length % pane_ms == 0,
                f"{name} of {length} ms must be a whole number of panes of {pane_ms} ms",
            )
        ensure(spec.effective_from_ms % pane_ms == 0, "effective_from_ms must be a pane's start")
    if wrong:
        raise ConfigError(f"monitor of model {spec.model!r}: {'; '.join(wrong)}")


def encode_monitors(changes: MonitorChanges) -> bytes:
    """The record of a model's monitors: the last one's fields, the earlier ones as `history`.

    Of the history the last 100 are kept, fewer where the record would be above 900,000 bytes.
    Raises ConfigError where the last monitor alone is above that.
    """
    *past, latest = changes[-(HISTORY + 1) :]
    history = [_fields(spec) for spec in past]
    while True:
        record = {"model": latest.model, **_fields(latest), "history": history}
        value = schemas.encode_json("monitor", record)
        if len(value) <= _MAX_BYTES:
            return value
        if not history:
            raise ConfigError(
                f"monitor of model {latest.model!r}: its record of {len(value)} bytes is above "
                f"{_MAX_BYTES}; say less of single features or segments"
            )
        history = history[(len(history) + 9) // 10 :]


def decode_monitors(value: bytes, pane_ms: int | None = None) -> MonitorChanges:
    """The model's monitors that a record of the topic holds, oldest first; never empty.

    Raises ConfigError for anything that isn't a monitor to be relied on; fields that a newer
    release added are passed over. With `pane_ms`, windows must be whole panes.
    """
    try:
        record = schemas.decode_json("monitor", value)
        model = record["model"]
        changes = tuple(_spec(model, fields) for fields in (*record["history"], record))
    except (SchemaError, ValueError) as error:
        raise ConfigError(f"not a monitor: {error}; apply it again") from error
    for spec in changes:
        check_monitor(spec, pane_ms)
    starts = [spec.effective_from_ms for spec in changes]
    if starts != sorted(set(starts)):
        raise ConfigError(f"monitor of model {model!r}: its history is not in order of time")
    return changes


def in_force(changes: Sequence[MonitorSpec], time_ms: int, pane_ms: int) -> MonitorSpec:
    """The monitor that applies at a time; the default one where there is none yet."""
    for spec in reversed(changes):
        if spec.effective_from_ms <= time_ms:
            return spec
    return default_monitor(pane_ms)


def next_boundary_ms(changes: Sequence[MonitorSpec], now_ms: int, time: TimeSpec) -> int:
    """The earliest time from which a model that has windows can change.

    That is the first window boundary, of the grid then in force, after now + `max_clock_skew` +
    a pane: no row that a worker has stepped over can be that late.
    """
    after = now_ms + time.max_clock_skew_ms + time.pane_ms
    hop = in_force(changes, after, time.pane_ms).hop_ms
    return (after // hop + 1) * hop


def with_change(
    changes: Sequence[MonitorSpec], spec: MonitorSpec, effective_from_ms: int
) -> MonitorChanges | None:
    """The model's monitors with `spec` from a time on; None where nothing changes by it.

    Those that would have begun then or later are replaced.
    """
    wanted = replace(spec, effective_from_ms=effective_from_ms)
    if changes and replace(changes[-1], effective_from_ms=effective_from_ms) == wanted:
        return None
    kept = tuple(each for each in changes if each.effective_from_ms < effective_from_ms)
    return (*kept, wanted)


def _fields(spec: MonitorSpec) -> dict[str, Any]:
    return {
        **{name: getattr(spec, name) for name in _PLAIN},
        "severity": str(spec.severity),
        "severity_by_share": [
            {"severity": str(severity), "share": share}
            for severity, share in spec.severity_by_share
        ],
        "features": {
            name: {
                "score": rule.score,
                "threshold": rule.threshold,
                "alert": rule.alert,
                "ignore": rule.ignore,
            }
            for name, rule in sorted(spec.features.items())
        },
        "labels": asdict(spec.labels),
        "segments": [asdict(rule) for rule in spec.segments],
        **{
            kind: {name: asdict(rule) for name, rule in sorted(getattr(spec, kind).items())}
            for kind in _METRICS
        },
    }


def _spec(model: str, fields: Mapping[str, Any]) -> MonitorSpec:
    return MonitorSpec(
        model=model,
        **{name: fields[name] for name in _PLAIN},
        severity=Severity(fields["severity"]),
        severity_by_share=tuple(
            (Severity(step["severity"]), step["share"]) for step in fields["severity_by_share"]
        ),
        features={
            name: FeatureRule(
                score=rule["score"],
                threshold=rule["threshold"],
                alert=rule["alert"],
                ignore=rule["ignore"],
            )
            for name, rule in fields["features"].items()
        },
        labels=_rule(LabelRule, fields["labels"]),
        segments=tuple(_rule(SegmentRule, rule) for rule in fields["segments"]),
        performance=_metrics(fields["performance"]),
        estimated=_metrics(fields["estimated"]),
        serving=_metrics(fields["serving"]),
        fairness=_metrics(fields["fairness"]),
    )


def _metrics(records: Mapping[str, Mapping[str, Any]]) -> dict[str, MetricRule]:
    return {name: _rule(MetricRule, rule) for name, rule in records.items()}


def _rule(kind: type[_R], record: Mapping[str, Any]) -> _R:
    """A rule of a record's fields; those of a newer release are passed over."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = record[field.name]
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
