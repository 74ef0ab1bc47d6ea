"""What a reference's labels say: kinds and classes, isotonic calibration, segments, records."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from stream.core.errors import ProfileError
from stream.core.labels import MAX_CLASSES, LabelKind, label_spec
from stream.core.pane.calibration import isotonic
from stream.core.pane.reference import (
    Column,
    LabelColumn,
    build_profile,
    profile_from_record,
    profile_to_record,
)
from stream.core.records import ModelKey
from stream.core.rules import LabelRule, OutcomeReference
from stream.core.specs import NumericVariable, Profile

MODEL = ModelKey("credit", "3")


def profile_of(labels: Column, kind: str = "", positive: str = "", **columns: Column) -> Profile:
    named: dict[str, Column] = {"features.x": [0.0] * len(labels)}
    named |= {name.replace("__", "."): column for name, column in columns.items()}
    return build_profile(MODEL, named, label=LabelColumn(labels, kind, positive))


def outcome_of(
    labels: Column, kind: str = "", positive: str = "", **columns: Column
) -> OutcomeReference:
    outcome = profile_of(labels, kind, positive, **columns).outcome
    assert outcome is not None
    return outcome


bins = st.lists(
    st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=40,
)


@given(bins)
def test_isotonic_is_scikit_learns_on_the_binned_means(rows: list[tuple[int, int]]) -> None:
    positives, counts = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    fitted = isotonic(positives, counts)
    held = np.flatnonzero(counts)
    if not len(held):
        assert fitted == ()
        return
    expected = IsotonicRegression(increasing=True).fit(
        held, positives[held] / counts[held], sample_weight=counts[held]
    )
    assert np.array(fitted)[held] == pytest.approx(expected.predict(held), abs=1e-8)
    assert list(fitted) == sorted(fitted)
    for place in np.flatnonzero(counts == 0):  # a bin without rows has its lower neighbour's value
        assert fitted[place] == fitted[place - 1 if place > held[0] else held[0]]


def test_the_calibration_is_that_of_the_rows_in_each_bin() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random(20_000).round(4)
    labels = (rng.random(20_000) < scores**2).astype(float)
    labels[:2_000] = np.nan
    profile = profile_of(labels, score=scores, prediction=(scores > 0.3).astype(int))
    outcome = profile.outcome
    assert outcome is not None and outcome.rows == 18_000
    edges = profile.numeric[1].edges
    place = np.digitize(scores, edges[1:-1])
    assert profile.numeric[1].size == 128
    known = ~np.isnan(labels)
    means = [labels[known & (place == j)].mean() for j in range(128)]
    weights = [np.sum(known & (place == j)) for j in range(128)]
    expected = IsotonicRegression().fit_transform(np.arange(128), means, sample_weight=weights)
    assert outcome.calibration == pytest.approx(expected, abs=1e-8)
    called = [np.mean(scores[place == j] > 0.3) for j in range(128)]
    assert outcome.predicted_positive == pytest.approx(called, abs=1e-8)


def test_without_predictions_half_is_the_threshold() -> None:
    outcome = outcome_of([0, 0, 1, 1], score=[0.1, 0.4, 0.5, 0.9])
    assert outcome.calibration == outcome.predicted_positive == (0.0, 0.0, 1.0, 1.0)
    outcome = outcome_of([0, 0, 1, 1], score=[0.1, 0.4, 0.5, 0.9], prediction=[1, None, 0, None])
    assert outcome.predicted_positive == (1.0, 0.0, 0.0, 1.0)


def test_a_score_of_gaps_counts_where_it_is_a_number() -> None:
    outcome = outcome_of([0, 1, 1, 0, 1], score=[0.25, None, 0.75, 0.75, math.inf])
    assert (outcome.rows, outcome.calibration) == (5, (0.0, 0.5))


@pytest.mark.parametrize(
    ("labels", "options", "kind", "classes"),
    [
        ([0, 1, None], {}, "binary", ("0", "1")),
        ([True, False], {}, "binary", ("0", "1")),
        (["yes", "no"], {}, "binary", ("no", "yes")),
        (["yes", "no"], {"positive": "no"}, "binary", ("yes", "no")),
        ([1, 1], {}, "binary", ("0", "1")),
        (["ok", "ok"], {"positive": "fraud"}, "binary", ("ok", "fraud")),
        (["a", "a"], {"prediction": ["a", "b"]}, "binary", ("a", "b")),
        (["a", "b"], {"prediction": ["a", "c"]}, "multiclass", ("a", "b", "c")),
        (["a", "b"], {"score__c": [0.1, 0.2]}, "multiclass", ("a", "b", "c")),
        ([1, 2, 3], {}, "multiclass", ("1", "2", "3")),
        ([0, 1], {"kind": "multiclass"}, "multiclass", ("0", "1")),
        ([0.5, 1.5], {}, "regression", ()),
        ([1, 2, 3], {"prediction": [1.2, 2.2, 2.9]}, "regression", ()),
        ([1, 2, 3], {"kind": "regression"}, "regression", ()),
        ([0, 1], {"prediction": [0.2, 0.9]}, "binary", ("0", "1")),
        (np.arange(30.0), {}, "regression", ()),
    ],
)
def test_kind_and_classes(
    labels: Column, options: dict[str, Any], kind: str, classes: tuple[str, ...]
) -> None:
    outcome = outcome_of(labels, **options)
    assert (outcome.kind, outcome.classes) == (kind, classes)


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        ([None, math.nan], {"positive": "1"}, "classes among the labels"),
        ([None, "x"], {"kind": "regression"}, "holds none"),
        (["a", "a"], {}, "1 classes among the labels"),
        ([f"c{i}" for i in range(MAX_CLASSES + 1)], {}, "101 classes"),
        (["a", "b", "c"], {"kind": "binary"}, "has two classes, not a, b, c"),
        (["a", "b"], {"positive": "c"}, "'c' is none of a, b"),
        (["a", "b", "c"], {"positive": "a"}, "is a binary model's"),
        (["a", "b"], {"kind": "ordinal"}, "no kind 'ordinal'"),
        (["yes", "no"], {"prediction": [0, 1]}, "share no class"),
    ],
)
def test_labels_that_make_no_outcome(labels: Column, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        outcome_of(labels, **options)


def test_the_join_reads_labels_as_the_profile_says() -> None:
    profile = profile_of(["no", "yes"], positive="no", score=[0.25, 0.75])
    spec = label_spec(profile, LabelRule())
    assert spec is not None
    assert (spec.kind, spec.classes, spec.edges) == (LabelKind.BINARY, ("yes", "no"), (0, 0.5, 1))
    texts: Column = [f"answer {i}" for i in range(MAX_CLASSES + 1)]
    assert label_spec(build_profile(MODEL, {"prediction": texts}), LabelRule()) is None


def test_segments_are_the_most_frequent_values() -> None:
    values: list[Any] = [f"v{i:02}" for i in range(30) for _ in range(30 - i)]
    profile = build_profile(
        MODEL,
        {"features.x": [0.0] * len(values)},
        segments={"tags.t": values, "age": [1, 1.0, True, None, 2]},
    )
    assert profile.segments == (
        ("age", ("1", "2")),
        ("tags.t", tuple(f"v{i:02}" for i in range(20))),
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, None, "1", True]),
            st.sampled_from([0.0, 0.25, 0.5, 1.0, None, "x", math.inf, -math.inf]),
            st.sampled_from([0, 1, None, "2"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_any_labelled_rows_make_one_profile_whatever_their_order(
    rows: list[tuple[Any, Any, Any]], random: Any
) -> None:
    def built(ordered: list[tuple[Any, Any, Any]]) -> Profile | str:
        labels, scores, predictions = map(list, zip(*ordered, strict=True))
        try:
            return build_profile(
                MODEL,
                {"score": scores, "prediction": predictions},
                kinds={"score": "numeric"},
                label=LabelColumn(labels),
            )
        except ProfileError as error:
            return str(error)

    first = built(rows)
    random.shuffle(rows)
    assert built(rows) == first
    if isinstance(first, Profile):
        assert profile_from_record(json.loads(json.dumps(profile_to_record(first)))) == first


def test_a_profile_of_many_bins_still_fits_its_record() -> None:
    scores = np.linspace(0, 1, 2_000)
    profile = build_profile(
        MODEL, {"score": scores}, label=LabelColumn((scores > 0.4).astype(int)), max_bytes=2_000
    )
    assert profile.outcome is not None
    assert isinstance(profile.numeric[0], NumericVariable)
    assert profile.numeric[0].size == len(profile.outcome.calibration) < 64


def test_several_classes_are_calibrated_one_behind_the_other() -> None:
    labels = ["a", "b", "c", "a"]
    outcome = outcome_of(
        labels,
        prediction=["a", "b", "c", "c"],
        score__a=[0.7, 0.1, 0.1, 0.7],
        score__b=[0.1, 0.6, 0.1, 0.1],
        score__c=[0.2, 0.3, 0.8, 0.2],
    )
    assert outcome.calibration == (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0)
    assert outcome.predicted_positive == (0.0, 0.5, 0.0, 1.0, 0.5, 0.0, 1.0)
