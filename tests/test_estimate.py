"""Performance estimated from scores alone: scikit-learn on weighted rows, and simulated labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import Column, LabelColumn, build_profile
from stream.core.records import CARRIES_COLUMN, Int64s, ModelKey, RawColumns
from stream.core.rules import OutcomeReference
from stream.core.score.estimate import ESTIMATED, estimate, standard_errors
from stream.core.specs import ABOVE, BELOW, MISSING, MISTYPED, NumericVariable, Profile

MODEL = ModelKey("credit", "3")
Floats = npt.NDArray[np.float64]

shares = st.floats(0, 1).map(lambda value: round(value, 6))
windows = st.lists(st.tuples(st.integers(0, 500), shares, shares), min_size=1, max_size=12)


def profile_with(calibration: list[float], predicted: list[float]) -> Profile:
    """A profile of a feature, then the score with these chances in its bins."""
    size = len(calibration)
    feature = NumericVariable("features.x", (0, 1), (1, 0, 0, 0, 0), 0, 0, 0, 1)
    edges = tuple(np.linspace(0, 1, size + 1).tolist())
    score = NumericVariable("score", edges, (0,) * (size + 4), 0, 0, 0, 1)
    outcome = OutcomeReference("binary", ("0", "1"), 1, tuple(calibration), tuple(predicted))
    return Profile(MODEL, "", 1, (feature, score), (), outcome=outcome)


def counts_of(profile: Profile, rows: list[int]) -> Int64s:
    counts = np.full(profile.width, 7, dtype=np.int64)  # what isn't the score's must not matter
    counts[5:] = [*rows, 0, 0, 0, 0]
    return counts


def weighted_rows(window: list[tuple[int, float, float]]) -> tuple[Floats, ...]:
    """A row for each bin, label and prediction, its weight the expected number of such rows."""
    rows = [
        (place, y, yhat, count * (p if y else 1 - p) * (q if yhat else 1 - q))
        for place, (count, p, q) in enumerate(window)
        for y in (0, 1)
        for yhat in (0, 1)
    ]
    place, y, yhat, weight = (
        np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)
    )
    return place, y, yhat, weight


@given(windows)
def test_estimates_are_scikit_learns_on_weighted_rows(
    window: list[tuple[int, float, float]],
) -> None:
    counts, calibration, predicted = map(list, zip(*window, strict=True))
    profile = profile_with(sorted(calibration), predicted)
    place, y, yhat, weight = weighted_rows(
        list(zip(counts, sorted(calibration), predicted, strict=True))
    )
    found = estimate(profile, counts_of(profile, counts))
    expected = {}
    if weight.sum() > 0:
        expected["accuracy"] = metrics.accuracy_score(y, yhat, sample_weight=weight)
    given_weights = {
        "precision": weight[yhat == 1],
        "recall": weight[y == 1],
        "specificity": weight[y == 0],
        "f1": weight[(y == 1) | (yhat == 1)],
    }
    scores = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "specificity": lambda *a, **k: metrics.recall_score(*a, pos_label=0, **k),
        "f1": metrics.f1_score,
    }
    for name, score in scores.items():
        if given_weights[name].sum() > 0:
            expected[name] = score(y, yhat, sample_weight=weight, zero_division=0)
    if weight[y == 1].sum() > 0 and weight[y == 0].sum() > 0:
        expected["roc_auc"] = metrics.roc_auc_score(y, place, sample_weight=weight)
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-8)
    assert list(found) == sorted(found)
    assert set(standard_errors(profile, counts_of(profile, counts))) == set(found)


def test_two_bins_by_hand() -> None:
    profile = profile_with([0.1, 0.8], [0.0, 1.0])
    found = estimate(profile, counts_of(profile, [60, 40]))
    assert found == {  # true positives 32, false positives 8, false negatives 6, true negatives 54
        "accuracy": 0.86,
        "f1": pytest.approx(64 / 78, rel=1e-9),
        "precision": 0.8,
        "recall": pytest.approx(32 / 38, rel=1e-9),
        "roc_auc": pytest.approx((32 * 54 + (32 * 8 + 6 * 54) / 2) / (38 * 62), rel=1e-9),
        "specificity": pytest.approx(54 / 62, rel=1e-9),
    }
    assert tuple(found) == ESTIMATED
    errors = standard_errors(profile, counts_of(profile, [60, 40]))
    assert errors["precision"] == pytest.approx((0.8 * 0.2 / 40) ** 0.5, rel=1e-8)
    assert errors["accuracy"] == pytest.approx((60 * 0.09 + 40 * 0.16) ** 0.5 / 100, rel=1e-8)


def test_scores_out_of_range_count_in_the_outermost_bins_and_missing_ones_nowhere() -> None:
    profile = profile_with([0.1, 0.8], [0.0, 1.0])
    counts = counts_of(profile, [0, 0])
    assert estimate(profile, counts) == standard_errors(profile, counts) == {}
    counts[7 + MISSING] = counts[7 + MISTYPED] = 1_000
    assert estimate(profile, counts) == {}
    counts[7 + BELOW], counts[7 + ABOVE] = 60, 40
    assert estimate(profile, counts) == estimate(profile, counts_of(profile, [60, 40]))


def test_a_profile_without_calibration_estimates_nothing() -> None:
    profile = profile_with([0.1, 0.8], [0.0, 1.0])
    counts = counts_of(profile, [60, 40])
    for outcome in (None, OutcomeReference("binary", ("0", "1"), 1)):
        assert estimate(replace(profile, outcome=outcome), counts) == {}
        assert standard_errors(replace(profile, outcome=outcome), counts) == {}


def drawn(rng: np.random.Generator, rows: int, shift: float) -> tuple[Floats, Floats]:
    """Scores that are too sure of themselves, and labels: P(positive) = 0.15 + 0.7 · score."""
    scores = 1 / (1 + np.exp(-rng.normal(shift, 1.5, rows)))
    return scores, (rng.random(rows) < 0.15 + 0.7 * scores).astype(np.float64)


def window_counts(profile: Profile, scores: Floats) -> Int64s:
    return bin_raw({CARRIES_COLUMN: [1] * len(scores), "score": scores.tolist()}, profile).counts


def realised(scores: Floats, labels: Floats) -> dict[str, float]:
    called = scores >= 0.5
    return {
        "accuracy": metrics.accuracy_score(labels, called),
        "f1": metrics.f1_score(labels, called),
        "precision": metrics.precision_score(labels, called),
        "recall": metrics.recall_score(labels, called),
        "roc_auc": metrics.roc_auc_score(labels, scores),
        "specificity": metrics.recall_score(labels, called, pos_label=0),
    }


@pytest.mark.parametrize("shift", [0.0, -1.0, 1.5])
def test_realised_figures_stray_as_the_standard_errors_say(shift: float) -> None:
    rng = np.random.default_rng(20261121)
    scores, labels = drawn(rng, 200_000, 0.0)
    profile = build_profile(MODEL, {"score": scores}, label=LabelColumn(labels))
    strayed = []
    for _ in range(120):
        scores, labels = drawn(rng, 2_000, shift)
        counts = window_counts(profile, scores)
        expected, errors = estimate(profile, counts), standard_errors(profile, counts)
        told = realised(scores, labels)
        strayed.append([(told[name] - expected[name]) / errors[name] for name in ESTIMATED])
    apart = np.array(strayed)
    # 120 windows: the mean strays by 0.09 sd itself (the calibration's own error adds as much
    # again under a shift), the sd by 7 %.
    assert np.abs(apart.mean(axis=0)).max() < 0.4
    assert apart.std(axis=0) == pytest.approx(np.ones(len(ESTIMATED)), abs=0.22)


def test_the_reference_itself_is_estimated_as_it_was() -> None:
    scores, labels = drawn(np.random.default_rng(7), 50_000, 0.0)
    profile = build_profile(MODEL, {"score": scores}, label=LabelColumn(labels))
    found = estimate(profile, profile.counts)
    assert found == pytest.approx(realised(scores, labels), abs=2e-3)


def test_a_binary_model_with_a_score_for_each_class_is_estimated_by_that_of_the_positive() -> None:
    scores, labels = drawn(np.random.default_rng(8), 20_000, 0.0)
    alone = build_profile(MODEL, {"score": scores}, label=LabelColumn(labels))
    both = build_profile(
        MODEL, {"score.1": scores, "score.0": 1 - scores}, label=LabelColumn(labels)
    )
    assert [variable.name for variable in both.numeric] == ["score.0", "score.1"]
    assert estimate(both, both.counts) == estimate(alone, alone.counts) != {}
    assert standard_errors(both, both.counts) == standard_errors(alone, alone.counts)


CLASSES = ("bus", "car", "walk")


def of_classes(rng: np.random.Generator, rows: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Probabilities (n, 3) that are too sure of themselves, and the class that came true."""
    shares = rng.dirichlet([1.0, 2.0, 3.0], rows)
    truth = 0.7 * shares + 0.1
    drawn_class = (rng.random(rows)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    return shares, np.minimum(drawn_class, 2)


def columns_of(shares: Floats) -> dict[str, Column]:
    columns: dict[str, Column] = {f"score.{name}": shares[:, k] for k, name in enumerate(CLASSES)}
    columns["prediction"] = [CLASSES[k] for k in shares.argmax(axis=1)]
    return columns


def test_several_classes_are_estimated_each_against_the_others() -> None:
    rng = np.random.default_rng(9)
    shares, truth = of_classes(rng, 100_000)
    labels = LabelColumn([CLASSES[k] for k in truth])
    profile = build_profile(MODEL, columns_of(shares), label=labels)
    strayed = []
    for _ in range(40):
        shares, truth = of_classes(rng, 3_000)
        raw: RawColumns = {name: list(column) for name, column in columns_of(shares).items()}
        counts = bin_raw({CARRIES_COLUMN: [1] * len(truth), **raw}, profile).counts
        expected, errors = estimate(profile, counts), standard_errors(profile, counts)
        called = shares.argmax(axis=1)
        told = {"accuracy": metrics.accuracy_score(truth, called)}
        for name, score in (
            ("f1", metrics.f1_score),
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
        ):
            told[f"{name}_macro"] = score(truth, called, average="macro")
            each = score(truth, called, average=None)
            told |= {f"{name}.{each_name}": each[k] for k, each_name in enumerate(CLASSES)}
        assert set(expected) == set(errors) == set(told)
        strayed.append([(told[name] - expected[name]) / errors[name] for name in sorted(told)])
    apart = np.array(strayed)
    assert np.abs(apart.mean(axis=0)).max() < 0.6
    assert apart.std(axis=0).max() < 1.4
    assert apart.std(axis=0).min() > 0.4  # the bounds of accuracy and means are no more than that


def test_a_class_without_scores_leaves_several_classes_without_estimate() -> None:
    shares, truth = of_classes(np.random.default_rng(9), 500)
    columns = columns_of(shares)
    del columns["score.bus"]
    profile = build_profile(MODEL, columns, label=LabelColumn([CLASSES[k] for k in truth]))
    assert profile.outcome is not None and profile.outcome.calibration == ()
    assert estimate(profile, profile.counts) == {}
