"""Window ranges: pure functions of the monitors' timeline. Windows are whole numbers of panes.

A monitor's windows are [k·hop, k·hop + window), cut to the time in which it is in force: the
first ones begin when it takes effect, the last one ends when it is replaced.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from stream.core.catalog import Monitors

__all__ = ["Range", "last_window", "span_of", "window_after"]


class Range(NamedTuple):
    """A range of event time, [start_ms, end_ms)."""

    start_ms: int
    end_ms: int


def window_after(monitors: Monitors, model: str, time_ms: int) -> Range:
    """The first of the model's windows that ends after `time_ms`, which it holds.

    >>> from stream.core.specs import MonitorSpec
    >>> window_after(Monitors(MonitorSpec(window_ms=60, hop_ms=20)), "m", 130)
    Range(start_ms=80, end_ms=140)
    """
    spec = monitors.at(model, time_ms)
    start_ms = ((time_ms - spec.window_ms) // spec.hop_ms + 1) * spec.hop_ms
    return _in_force(monitors, model, time_ms, Range(start_ms, start_ms + spec.window_ms))


def last_window(monitors: Monitors, model: str, time_ms: int) -> Range:
    """The last of the model's windows that holds `time_ms`.

    >>> from stream.core.specs import MonitorSpec
    >>> last_window(Monitors(MonitorSpec(window_ms=60, hop_ms=20)), "m", 130)
    Range(start_ms=120, end_ms=180)
    """
    spec = monitors.at(model, time_ms)
    start_ms = time_ms // spec.hop_ms * spec.hop_ms
    return _in_force(monitors, model, time_ms, Range(start_ms, start_ms + spec.window_ms))


def span_of(monitors: Monitors, model: str, time_ms: int) -> Range:
    """The span that holds `time_ms`: the longest ranges that every window is made of.

    >>> from stream.core.specs import MonitorSpec
    >>> span_of(Monitors(MonitorSpec(window_ms=60, hop_ms=40)), "m", 130)
    Range(start_ms=120, end_ms=140)
    """
    spec = monitors.at(model, time_ms)
    length_ms = math.gcd(spec.window_ms, spec.hop_ms)
    start_ms = time_ms // length_ms * length_ms
    return _in_force(monitors, model, time_ms, Range(start_ms, start_ms + length_ms))


def _in_force(monitors: Monitors, model: str, time_ms: int, whole: Range) -> Range:
    from_ms = max(monitors.at(model, time_ms).effective_from_ms, 0)
    until_ms = monitors.replaced_at(model, time_ms)
    end_ms = whole.end_ms if until_ms is None else min(whole.end_ms, until_ms)
    return Range(max(whole.start_ms, from_ms), end_ms)
