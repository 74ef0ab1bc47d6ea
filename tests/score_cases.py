"""Profiles and count vectors made from a few columns, for tests of scores."""

from __future__ import annotations

from collections.abc import Sequence

from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import build_profile
from stream.core.records import CARRIES_COLUMN, Int64s, ModelKey, RawColumns, Scalar
from stream.core.score import VariableScores, score_window
from stream.core.specs import MonitorSpec, Profile

__all__ = ["EAGER", "MODEL", "counts_of", "one", "profile_of"]

MODEL = ModelKey("credit", "3")
EAGER = MonitorSpec(min_rows=1)


def profile_of(**columns: Sequence[Scalar]) -> Profile:
    return build_profile(MODEL, {f"features.{name}": values for name, values in columns.items()})


def counts_of(profile: Profile, **columns: Sequence[Scalar]) -> Int64s:
    raw: RawColumns = {f"features.{name}": list(values) for name, values in columns.items()}
    raw[CARRIES_COLUMN] = [3] * max(map(len, raw.values()))
    return bin_raw(raw, profile).counts


def one(profile: Profile, values: Sequence[Scalar], monitor: MonitorSpec = EAGER) -> VariableScores:
    return score_window(profile, counts_of(profile, x=values), monitor)[0]
