"""Reference profiles: bins, order of rows, odd columns, records and their hash."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.errors import ProfileError
from stream.core.numbers import equal_mass
from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import (
    Column,
    build_profile,
    profile_from_record,
    profile_key,
    profile_to_record,
)
from stream.core.records import CARRIES_COLUMN, ModelKey, RawColumns, Scalar
from stream.core.specs import CategoricalVariable, NumericVariable, Profile

MODEL = ModelKey("credit", "3")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from(["a", "b", "1", "", "ü" * 300]),
)


def numeric_of(values: Column, **options: Any) -> NumericVariable:
    profile = build_profile(
        MODEL, {"features.x": values}, kinds={"features.x": "numeric"}, **options
    )
    return profile.numeric[0]


def categorical_of(values: Column, **options: Any) -> CategoricalVariable:
    profile = build_profile(
        MODEL, {"features.x": values}, kinds={"features.x": "categorical"}, **options
    )
    return profile.categorical[0]


def test_a_continuous_column_gets_64_bins_of_equal_mass() -> None:
    values = np.random.default_rng(1).normal(size=64_000)
    variable = numeric_of(values)
    assert variable.size == 64
    assert max(variable.counts[:64]) - min(variable.counts[:64]) <= 1
    assert variable.edges[0] == variable.low == values.min()
    assert variable.edges[-1] == variable.high == values.max()
    assert variable.mean == pytest.approx(values.mean(), rel=1e-8)
    assert variable.std == pytest.approx(values.std(), rel=1e-8)


def test_each_of_a_few_values_gets_its_bin() -> None:
    variable = numeric_of([0, 1, 1, 2, 5])
    assert variable.edges == (-0.5, 0.5, 1.5, 3.5, 6.5)
    assert variable.counts == (1, 2, 1, 1, 0, 0, 0, 0)


def test_a_heavy_value_gets_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(10_000) < 0.5, 0.0, rng.normal(size=10_000))
    variable = numeric_of(values)
    heaviest = max(range(variable.size), key=lambda place: variable.counts[place])
    low, high = variable.edges[heaviest], variable.edges[heaviest + 1]
    assert low < 0.0 < high
    assert high - low < 0.01
    assert variable.size > 40


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-300, 1e308, -1.7976931348623157e308, 5e-324])
def test_a_constant_column_has_one_bin_around_its_value(value: float) -> None:
    variable = numeric_of([value] * 3)
    assert variable.counts == (3, 0, 0, 0, 0)
    assert variable.edges[0] <= value <= variable.edges[1]
    assert (variable.mean, variable.std) == (float(f"{value:.9g}"), 0.0)


def test_a_constant_holds_its_float32_copy_and_not_its_neighbours() -> None:
    low, high = numeric_of([0.1, 0.1]).edges
    assert low < float(np.float32(0.1)) < high
    assert not low < 0.101 < high


def test_infinities_are_out_of_range_and_nan_is_missing() -> None:
    variable = numeric_of([1.0, math.inf, -math.inf, -math.inf, math.nan, None, "text", True])
    assert variable.counts == (2, 2, 1, 2, 1)


def test_neighbouring_floats_share_a_bin_at_worst() -> None:
    values = [1.0, math.nextafter(1.0, 2.0), math.nextafter(math.nextafter(1.0, 2.0), 2.0)]
    variable = numeric_of(values)
    assert sum(variable.counts[: variable.size]) == 3
    assert list(variable.edges) == sorted(set(variable.edges))


def test_moments_survive_the_ends_of_the_floats() -> None:
    variable = numeric_of([1.5e308, -1.5e308, 1.5e308, -1.5e308])
    assert variable.mean == 0.0
    assert variable.std == 1.5e308
    assert numeric_of([1e16, 1.0, -1e16]).mean == pytest.approx(1 / 3, rel=1e-8)


def test_categories_are_ranked_named_and_bounded() -> None:
    values = ["b"] * 3 + ["a"] * 3 + ["c"] * 2 + ["d", "e", "f" * 300, None]
    variable = categorical_of(values, categories=2, max_others=2)
    assert variable.categories == ("a", "b")
    assert variable.others == ("c", "d")
    assert variable.counts == (3, 3, 3, 2, 1, 0)  # other: c c d; unseen: e and the long name


def test_a_profile_fits_one_record() -> None:
    rng = np.random.default_rng(3)
    columns: dict[str, Column] = {f"features.x{i}": rng.normal(size=200) for i in range(1_200)}
    columns["features.names"] = [f"{'n' * 200}{i}" for i in range(200)]
    columns["prediction"] = ["yes", "no"] * 100
    wide = build_profile(MODEL, columns, max_bytes=200_000)
    assert len(json.dumps(profile_to_record(wide))) < 201_000
    assert 100 < len(wide.variables) < 1_000
    assert wide.variables[-1].name == "prediction"
    assert profile_from_record(profile_to_record(wide)) == wide


def test_of_too_many_variables_those_with_most_values_are_kept() -> None:
    columns: dict[str, Column] = {f"features.x{i}": [1.0, None] for i in range(1_100)}
    columns["features.y"] = [1.0, 2.0]
    profile = build_profile(MODEL, columns)
    assert len(profile.variables) == 1_000
    assert profile.numeric[-1].name == "features.y"


def test_what_is_no_unicode_text_has_no_name() -> None:
    surrogate = json.loads('"\\ud800"')
    profile = build_profile(
        MODEL, {"features.x": [surrogate, "a"], f"features.{surrogate}": [1, 2]}
    )
    assert [variable.name for variable in profile.variables] == ["features.x"]
    assert profile.categorical[0].counts == (1, 0, 1, 0, 0)


def test_one_category_however_it_is_written() -> None:
    variable = categorical_of([1, 1.0, True, "1", math.nan, None])
    assert (variable.categories, variable.counts) == (("1",), (4, 0, 0, 2, 0))


def test_a_column_without_values_is_categorical_and_empty() -> None:
    profile = build_profile(
        MODEL, {"features.x": [None, math.nan], "features.y": np.full(2, np.nan)}
    )
    assert [variable.counts for variable in profile.categorical] == [(0, 0, 2, 0)] * 2


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("features.x", [1, 2.5, None], "numeric"),
        ("features.x", [True, False, None], "categorical"),
        ("features.x", ["1", "2"], "categorical"),
        ("features.x", ["?", *range(20)], "numeric"),
        ("features.x", ["?", "?", "?", *range(20)], "categorical"),
        ("prediction", [0, 1, 1], "categorical"),
        ("prediction", np.array([0.0, 1.0]), "categorical"),
        ("prediction", list(range(21)), "numeric"),
        ("prediction", [0.5, 1.5], "numeric"),
        ("prediction", ["yes", "no"], "categorical"),
        ("score", [0.0, 1.0], "numeric"),
    ],
)
def test_the_kind_is_guessed(name: str, values: Column, kind: str) -> None:
    profile = build_profile(MODEL, {name: values})
    assert len(profile.numeric if kind == "numeric" else profile.categorical) == 1


def test_only_rows_that_carry_a_variable_count() -> None:
    columns: RawColumns = {
        CARRIES_COLUMN: [1, 2, 3],
        "features.x": [None, 1.0, 2.0],
        "prediction": ["a", None, "b"],
    }
    profile = build_profile(MODEL, columns)
    assert profile.rows == 3
    assert sum(profile.numeric[0].counts) == 2
    assert profile.categorical[0].counts == (1, 1, 0, 0, 0, 0)


def test_no_rows_make_no_profile() -> None:
    with pytest.raises(ProfileError, match="needs rows"):
        build_profile(MODEL, {"features.x": []})


@given(st.lists(scalars, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(values: list[Scalar], random: Any) -> None:
    other = values.copy()
    random.shuffle(other)
    first = build_profile(MODEL, {"features.x": values, "prediction": values}, bins=8)
    second = build_profile(MODEL, {"prediction": other, "features.x": other}, bins=8)
    assert json.dumps(profile_to_record(first)) == json.dumps(profile_to_record(second))


@given(
    st.lists(scalars, min_size=1, max_size=60),
    st.sampled_from(["numeric", "categorical", None]),
    st.integers(1, 9),
)
def test_the_reference_itself_is_counted_as_its_profile_says(
    values: list[Scalar], kind: Any, bins: int
) -> None:
    kinds = {"features.x": kind} if kind else None
    profile = build_profile(MODEL, {"features.x": values}, bins=bins, categories=3, kinds=kinds)
    columns: RawColumns = {CARRIES_COLUMN: [3] * len(values), "features.x": values}
    assert bin_raw(columns, profile).counts.tolist() == profile.counts.tolist()
    assert int(profile.counts.sum()) == len(values)
    assert profile_from_record(json.loads(json.dumps(profile_to_record(profile)))) == profile


def example() -> Profile:
    return build_profile(
        MODEL,
        {
            "features.x": [1, 2, 2, 3],
            "features.c": ["a", "b", "b", None],
            "score": [0.1, 0.2, 0.3, 1],
        },
        provenance={"file": "reference.parquet"},
    )


def test_the_hash_is_of_the_content_alone() -> None:
    columns: dict[str, Column] = {"features.x": [1, 2]}
    first = build_profile(MODEL, columns)
    assert first.hash == build_profile(MODEL, columns, created_ms=5, warmed_up=True).hash
    assert first.hash != build_profile(MODEL, columns, provenance={"git": "abc"}).hash
    assert first.hash != build_profile(ModelKey("credit", "4"), columns).hash
    assert first.hash == "8c66ab62abbe61397413e2c06e15d4fb"
    assert profile_key(first) == b"credit@3/" + first.hash.encode()


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        at: Any = record
        for parent in parents:
            at = at[int(parent)] if parent.isdigit() else at[parent]
        at[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("rows", -1),
        _set("rows", "4"),
        _set("model", None),
        _set("hash", "0" * 32),
        _set("numeric.0.edges", [2.0, 1.0]),
        _set("numeric.0.edges", [1.0]),
        _set("numeric.0.edges", [0.0, math.nan, 1.0]),
        _set("numeric.0.counts", [1]),
        _set("numeric.0.name", "score"),
        _set("numeric.0.mean", math.inf),
        _set("numeric", {}),
        _set("categorical.0.categories", ["a", "a"]),
        _set("categorical.0.counts", [1, 1, 1, 1, 1, -1]),
        _set("provenance", []),
        lambda record: record.pop("categorical"),
    ],
)
def test_nonsense_is_a_profile_error(change: Callable[[dict[str, Any]], None]) -> None:
    record = profile_to_record(example())
    assert profile_from_record(record) == example()
    change(record)
    with pytest.raises(ProfileError):
        profile_from_record(record)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=80), st.integers(1, 20), st.integers(1, 30)
)
def test_runs_of_equal_mass_keep_their_promises(counts: list[int], groups: int, least: int) -> None:
    starts = equal_mass(np.array(counts, dtype=np.int64), groups, least).tolist()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert len(starts) <= groups
    masses = [sum(counts[a:b]) for a, b in zip(starts, [*starts[1:], len(counts)], strict=True)]
    assert len(masses) == 1 or min(masses) >= least
