"""A window of the topic `windows` in one line for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream.cli.output import instant
from stream.core.records import ModelKey

__all__ = ["window_line"]

_FIRST = ("accuracy", "f1", "f1_macro", "roc_auc", "mae", "rmse", "r2")
_SIGNS = {"min": "<", "max_drop": "<", "max": ">", "max_rise": ">"}


def window_line(window: Mapping[str, Any], metrics: Sequence[str] = ()) -> str:
    """When, which model and segment, how many rows, and what was found.

    Of a data window that is what drifted, and the performance estimated from scores; of a
    performance window its coverage and metrics, each with its interval and, where there is one,
    its estimate. `metrics` names those to show in place of the usual ones.
    """
    parts = [_head(window), *_findings(window, metrics)]
    breaches = [_breach(one) for one in window.get("breaches") or ()]
    if breaches:
        parts.append(f"crossed: {', '.join(breaches)}")
    return "  ".join(parts)


def _head(window: Mapping[str, Any]) -> str:
    when = f"{instant(window['start_ms'])} - {instant(window['end_ms'])[11:]}"
    model = str(ModelKey(window["model"], window["version"]))
    segment = f" [{window['segment']}]" if window.get("segment") else ""
    what = "outcomes" if window.get("kind") == "performance" else "rows"
    named = (("late", window.get("late_rows")), ("kept for no label", window.get("unkept_rows")))
    of_them = ", ".join(f"{rows:,} {name}" for name, rows in named if rows)
    told = f" ({of_them})" if of_them else ""
    return f"{when}  {model}{segment}  {window['rows']:,} {what}{told}"


def _findings(window: Mapping[str, Any], metrics: Sequence[str]) -> Iterator[str]:
    performance = window.get("kind") == "performance"
    coverage = window.get("coverage")
    if performance and coverage is not None:
        yield f"coverage {coverage:.0%}"
    if not window.get("scored"):
        yield f"not scored: {window.get('reason') or 'too few rows'}"
        return
    if not performance:
        drifted = window.get("drifted") or []
        share = window.get("drift_share")
        yield f"drifted {0.0 if share is None else share:.0%}: {', '.join(drifted) or 'none'}"
    realised, estimated = window.get("metrics") or {}, window.get("estimated") or {}
    known = realised if performance else {**estimated, **(window.get("serving") or {})}
    usual = [name for name in _FIRST if name in (realised if performance else estimated)]
    usual = usual if performance else usual[:1]
    for name in metrics or usual:
        shown = _interval(known.get(name))
        beside = _value(estimated.get(name))
        if performance:
            yield f"{name} {shown}" + (f" (estimated {beside})" if beside else "")
        else:
            yield f"{'estimated ' if name in estimated else ''}{name} {shown}"


def _interval(metric: Mapping[str, Any] | None) -> str:
    value = _value(metric)
    if not value or metric is None:
        return "unknown"
    low, high = metric.get("low"), metric.get("high")
    return value if low is None or high is None else f"{value} [{low:.4g}, {high:.4g}]"


def _value(metric: Mapping[str, Any] | None) -> str:
    value = None if metric is None else metric.get("value")
    return "" if value is None else f"{value:.4g}"


def _breach(breach: Mapping[str, Any]) -> str:
    sign = _SIGNS.get(breach["rule"], "beyond")
    return f"{breach['metric']} {breach['value']:.4g} {sign} {breach['limit']:.4g}"
