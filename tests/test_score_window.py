"""What a monitor makes of a window's scores; which bins moved; false alarms and power."""

from __future__ import annotations

import numpy as np
import pytest

from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import build_profile
from stream.core.records import CARRIES_COLUMN, RawColumns, Scalar
from stream.core.score import SCORES, bin_shares, drift_share, score_window
from stream.core.specs import FeatureRule, MonitorSpec
from tests.score_cases import EAGER, MODEL, counts_of, one, profile_of


def test_thresholds_come_from_the_rule_then_the_monitor_then_the_score() -> None:
    values = [float(value) for value in range(1000)]
    profile = build_profile(
        MODEL,
        {
            "features.x": values,
            "features.y": values,
            "features.c": ["a"] * 1000,
            "prediction": values,
        },
    )
    monitor = MonitorSpec(
        score="ks",
        threshold=0.3,
        features={
            "x": FeatureRule(score="js", alert=True),
            "features.y": FeatureRule(threshold=0.4),
            "prediction": FeatureRule(ignore=True),
        },
    )
    c, x, y = sorted(score_window(profile, profile.counts, monitor), key=lambda told: told.name)
    assert (x.score, x.threshold, x.alert) == ("js", SCORES["js"].threshold, True)
    assert (y.score, y.threshold) == ("ks", 0.4)
    assert (c.score, c.threshold) == ("psi", 0.2)
    unknown = score_window(profile, profile.counts, MonitorSpec(score="newer", threshold=9.0))
    assert {(told.score, told.threshold) for told in unknown} == {("psi", 0.2)}


def test_share_and_rank() -> None:
    values = [float(value) for value in range(1000)]
    names = ["features.a", "features.b", "features.c", "score"]
    profile = build_profile(MODEL, dict.fromkeys(names, values))
    shifted: list[Scalar] = [value + 900 for value in values]
    raw: RawColumns = {
        CARRIES_COLUMN: [3] * 1000,
        "features.a": list(values),
        "features.b": [value + 300 for value in values],
        "features.c": shifted,
        "score": shifted,
    }
    told = score_window(profile, bin_raw(raw, profile).counts, MonitorSpec())
    assert [scores.drifted for scores in told] == [False, True, True, True]
    assert [scores.rank for scores in told] == [4, 3, 1, 2]
    assert drift_share(told) == 0.666666667
    assert drift_share(()) == 0.0


def test_a_variable_of_too_few_rows_is_not_drifted() -> None:
    profile = profile_of(x=[float(value) for value in range(1000)])
    assert one(profile, [5000.0] * 10).drifted
    assert not one(profile, [5000.0] * 10, MonitorSpec(min_rows=11)).drifted
    assert one(profile, []).rows == 0


def test_counts_of_another_profile_are_refused() -> None:
    with pytest.raises(ValueError, match="slots"):
        score_window(profile_of(x=[1, 2]), np.zeros(3, dtype=np.int64), EAGER)


def test_bin_shares_say_what_moved() -> None:
    profile = profile_of(x=[0] * 300 + [1] * 700, c=["a"] * 400 + ["b"] * 600)
    counts = counts_of(profile, x=[0, 1, 2, None], c=["z", "a", "b", "b"])
    x = [
        (share.bin, share.reference, share.window) for share in bin_shares(profile, counts, 0, 500)
    ]
    c = [
        (share.bin, share.reference, share.window) for share in bin_shares(profile, counts, 1, 500)
    ]
    assert x == [
        ("< 0.5", 0.3, 0.25),
        (">= 0.5", 0.7, 0.25),
        ("out of range", 0.0, 0.25),
        ("missing", 0.0, 0.25),
    ]
    assert c == [("b", 0.6, 0.5), ("a", 0.4, 0.25), ("other", 0.0, 0.25)]


def test_no_false_alarm_and_power_against_half_a_standard_deviation() -> None:
    """A small run of benchmarks/false_alarms.py."""
    rng = np.random.default_rng(7)
    profile = build_profile(MODEL, {f"features.f{i}": rng.normal(size=10_000) for i in range(20)})

    def alarms(shift: float) -> tuple[int, int]:
        windows = drifted = 0
        for _ in range(50):
            rows = rng.normal(shift, 1, size=(20, 500))
            counts = np.zeros(profile.width, dtype=np.int64)
            for variable, start, x in zip(profile.numeric, profile.starts[:-1], rows, strict=True):
                inner = np.searchsorted(variable.edges[1:-1], x, side="right")
                counts[start : start + variable.size] = np.bincount(inner, minlength=variable.size)
            told = score_window(profile, counts, MonitorSpec())
            windows += drift_share(told) > 0.2
            drifted += sum(scores.drifted for scores in told)
        return windows, drifted

    assert alarms(0.0) == (0, 0)
    windows, drifted = alarms(0.5)
    assert windows == 50
    assert drifted > 900
