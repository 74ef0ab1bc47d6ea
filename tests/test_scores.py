"""Every score equals scipy's or a plain formula's on the same bins; what monitors make of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial, stats

from stream.core.records import Int64s, Scalar
from stream.core.score import (
    SCORES,
    score_window,
)
from stream.core.score.merge import MERGED, merged_columns, plan
from stream.core.specs import MonitorSpec, NumericVariable, Profile
from tests.score_cases import EAGER, counts_of, one, profile_of

VALUES = ("psi", "js", "hellinger", "chi2", "ks", "wasserstein")


def numeric_case(seed: int) -> tuple[Profile, Int64s]:
    """A numeric feature with missing and out-of-range values, and a categorical one."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(200, 4000)), int(rng.integers(20, 2000))

    def rows(count: int, shift: float, missing: float) -> dict[str, list[Scalar]]:
        x: list[Scalar] = [*rng.normal(shift, 1 + abs(shift), size=count).tolist()]
        for place in np.flatnonzero(rng.random(count) < missing):
            x[int(place)] = None
        weights = np.roll(np.arange(1, 31), int(shift * 3))
        c: list[Scalar] = [
            *rng.choice([f"k{i}" for i in range(30)], count, p=weights / 465).tolist()
        ]
        return {"x": x, "c": c}

    profile = profile_of(**rows(n, 0.0, 0.05))
    return profile, counts_of(profile, **rows(m, float(rng.normal()), 0.2))


def merged(profile: Profile, counts: Int64s, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Reference and window of one variable over its merged bins, those empty in both left out."""
    variable = profile.variables[index]
    start = int(profile.starts[index])
    columns = merged_columns(variable, 1)
    q = np.bincount(columns, weights=variable.counts)
    p = np.bincount(columns, weights=counts[start : start + variable.width])
    live = (p + q) > 0
    return q[live], p[live]


def plain_psi(q: np.ndarray, p: np.ndarray) -> float:
    total = 0.0
    for before, now in zip(q.tolist(), p.tolist(), strict=True):
        expected = (before + 0.5) / (q.sum() + len(q) / 2)
        actual = (now + 0.5) / (p.sum() + len(p) / 2)
        total += (actual - expected) * math.log(actual / expected)
    return total


def plain_hellinger(q: np.ndarray, p: np.ndarray) -> float:
    affinity = float(np.sum(np.sqrt(q / q.sum() * p / p.sum())))
    return math.sqrt(max(1 - affinity, 0.0))


INDEPENDENT: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "psi": plain_psi,
    "js": lambda q, p: float(spatial.distance.jensenshannon(p, q, base=2)),
    "hellinger": plain_hellinger,
    "chi2": lambda q, p: float(stats.chi2_contingency([q, p], correction=False).statistic),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", INDEPENDENT)
def test_scores_of_merged_bins_equal_an_independent_formula(name: str, seed: int) -> None:
    profile, counts = numeric_case(seed)
    for index, told in enumerate(score_window(profile, counts, EAGER)):
        expected = INDEPENDENT[name](*merged(profile, counts, index))
        assert told.scores[name] == pytest.approx(expected, rel=1e-7, abs=1e-9)


def expanded(profile: Profile, counts: Int64s) -> tuple[np.ndarray, np.ndarray]:
    """The numeric variable's values as its bins know them: one point a bin, and the ends."""
    variable = profile.numeric[0]
    edges = np.array(variable.edges)
    points = np.concatenate(((edges[:-1] + edges[1:]) / 2, edges[[0, -1]]))
    held = variable.size + 2
    return np.repeat(points, variable.counts[:held]), np.repeat(points, counts[:held])


@pytest.mark.parametrize("seed", range(8))
def test_ks_and_wasserstein_equal_scipy_on_binned_values(seed: int) -> None:
    profile, counts = numeric_case(seed)
    before, now = expanded(profile, counts)
    scores = score_window(profile, counts, EAGER)[0].scores
    assert scores["ks"] == pytest.approx(stats.ks_2samp(before, now).statistic, abs=1e-9)
    distance = stats.wasserstein_distance(before, now) / profile.numeric[0].std
    assert scores["wasserstein"] == pytest.approx(distance, rel=1e-7)


def test_ks_is_near_that_of_the_raw_values() -> None:
    rng = np.random.default_rng(4)
    before, now = rng.normal(size=20_000), rng.normal(0.3, 1, size=5_000)
    profile = profile_of(x=before.tolist())
    raw = stats.ks_2samp(before, now).statistic
    assert raw - 1 / 64 < one(profile, now.tolist()).scores["ks"] <= raw + 1e-9


def test_ratios_are_shares_and_their_changes() -> None:
    profile = profile_of(x=[*range(100), None, None], c=["a"] * 51 + ["b"] * 51)
    counts = counts_of(profile, x=[-9.0, 500, 3, None, "text"], c=["a", "z", None, "b", "b"])
    x, c = (told.scores for told in score_window(profile, counts, EAGER))
    assert (x["missing_ratio"], x["mistyped_ratio"], x["out_of_range_ratio"]) == (0.2, 0.2, 0.4)
    assert x["missing_change"] == pytest.approx(0.2 - 2 / 102)
    assert (c["missing_ratio"], c["unseen_ratio"]) == (0.2, 0.2)
    assert "ks" not in c
    assert "out_of_range_ratio" not in c
    assert "unseen_ratio" not in x


@pytest.mark.parametrize("name", SCORES)
def test_the_contract_of_a_score(name: str) -> None:
    score = SCORES[name]
    profile, counts = numeric_case(1)
    same = score.of(plan(profile, 500).bin(profile.counts))
    none = score.of(plan(profile, 500).bin(counts * 0))
    other = score.of(plan(profile, 500).bin(counts))
    for values in (same, none, other):
        assert values.shape == (2,)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    if not name.endswith("ratio"):
        assert np.allclose(same, 0.0, atol=1e-7)
    assert score.threshold > 0
    assert score.numeric or score.categorical


@pytest.mark.parametrize("name", VALUES)
def test_a_larger_shift_never_scores_less(name: str) -> None:
    values = [float(value) for value in range(1000)]
    profile = profile_of(x=values)
    told = [one(profile, [v + shift for v in values]) for shift in (0, 50, 200, 800, 5000)]
    scores = [scores.scores[name] for scores in told]
    assert scores == sorted(scores)
    assert scores[0] == 0
    assert told[-1].drifted


def test_a_constant_that_changes_is_drifted() -> None:
    profile = profile_of(x=[5.0] * 1000)
    assert not one(profile, [5.0] * 500).drifted
    assert one(profile, [7.0] * 500).drifted
    assert one(profile, [5.0] * 450 + [7.0] * 50).drifted


def test_a_feature_that_goes_missing_is_drifted() -> None:
    profile = profile_of(x=[float(value) for value in range(1000)])
    values: list[Scalar] = [float(value) for value in range(1000)]
    for place in range(0, 1000, 10):
        values[place] = None
    assert one(profile, values).drifted


def test_an_unseen_category_is_drifted_where_categories_are_few() -> None:
    profile = profile_of(x=["a"] * 600 + ["b"] * 400)
    assert one(profile, ["a"] * 270 + ["b"] * 180 + ["z"] * 50).drifted


def test_many_rare_categories_are_no_drift() -> None:
    rng = np.random.default_rng(5)
    names = [f"city{i}" for i in range(5_000)]
    profile = profile_of(x=rng.choice(names, 10_000).tolist())
    told = one(profile, rng.choice(names, 500).tolist(), MonitorSpec())
    assert told.scores["unseen_ratio"] > 0.05
    assert not told.drifted


def test_a_category_within_a_merged_bin_that_grows_is_drifted() -> None:
    rng = np.random.default_rng(6)
    names = [f"k{i}" for i in range(50)]
    profile = profile_of(x=rng.choice(names, 10_000).tolist())
    grown = [*rng.choice(names, 600).tolist(), *["k30"] * 400]
    assert one(profile, grown, MonitorSpec()).drifted


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=80), st.integers(1, 2000))
def test_merged_bins_are_runs_that_hold_enough(counts: list[int], min_rows: int) -> None:
    edges = tuple(float(edge) for edge in range(len(counts) + 1))
    variable = NumericVariable("score", edges, (*counts, 1, 2, 3, 4), 0.0, 1.0, 0.0, 1.0)
    columns = merged_columns(variable, min_rows)
    regular = columns[: variable.size].tolist()
    assert regular == sorted(regular)
    assert set(regular) == set(range(max(regular) + 1))
    assert max(regular) < MERGED
    assert columns[-2:].tolist() == [MERGED, MERGED]
    held = np.bincount(columns, weights=variable.counts)[: max(regular) + 1]
    total = sum(variable.counts)
    assert len(held) == 1 or min(held) >= max(5, 5 * total / max(min_rows, 50))
