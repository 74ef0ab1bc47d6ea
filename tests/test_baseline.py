"""A reference's own metrics: scikit-learn's on the same rows."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from stream.core.baseline import with_metrics
from stream.core.pane.reference import (
    Column,
    LabelColumn,
    build_profile,
    profile_from_record,
    profile_to_record,
)
from stream.core.records import ModelKey
from stream.core.specs import Profile

MODEL = ModelKey("credit", "3")


def measured(columns: dict[str, Column], label: LabelColumn) -> tuple[Profile, dict[str, float]]:
    profile = with_metrics(build_profile(MODEL, columns, label=label), columns, label.values)
    assert profile.outcome is not None
    assert profile_from_record(json.loads(json.dumps(profile_to_record(profile)))) == profile
    return profile, dict(profile.outcome.metrics)


def test_binary_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    score = rng.random(40_000).round(2)
    truth = np.where(rng.random(40_000) < score**1.5, "yes", "no")
    called = np.where(score >= 0.4, "yes", "no")
    labels: list[Any] = truth.tolist()
    labels[:500] = [None] * 500
    score[500:600] = np.nan  # labelled and predicted, but without a score
    columns: dict[str, Column] = {"prediction": called.tolist(), "score": score}
    profile, found = measured(columns, LabelColumn(labels))
    y, yhat = truth[500:], called[500:]
    expected = {
        "accuracy": metrics.accuracy_score(y, yhat),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, yhat),
        "precision": metrics.precision_score(y, yhat, pos_label="yes"),
        "recall": metrics.recall_score(y, yhat, pos_label="yes"),
        "f1": metrics.f1_score(y, yhat, pos_label="yes"),
        "specificity": metrics.recall_score(y, yhat, pos_label="no"),
        "mcc": metrics.matthews_corrcoef(y, yhat),
        "cohen_kappa": metrics.cohen_kappa_score(y, yhat),
        "roc_auc": metrics.roc_auc_score(truth[600:] == "yes", score[600:]),
        "average_precision": metrics.average_precision_score(truth[600:] == "yes", score[600:]),
        "log_loss": metrics.log_loss(truth[600:] == "yes", score[600:]),
        "brier": metrics.brier_score_loss(truth[600:] == "yes", score[600:]),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-7)
    assert list(found) == sorted(found)
    outcome = profile.outcome
    assert outcome is not None and outcome.rows == 39_500


def test_multiclass_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    classes = np.array(["bus", "car", "walk"])
    shares = rng.dirichlet([1, 2, 3], 20_000)
    truth = np.array([rng.choice(3, p=row) for row in shares])
    called = shares.argmax(axis=1)
    columns: dict[str, Column] = {"prediction": classes[called].tolist()}
    columns |= {f"score.{name}": shares[:, k] for k, name in enumerate(classes)}
    _, found = measured(columns, LabelColumn(classes[truth].tolist()))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, called), rel=1e-8)
    for average in ("macro", "micro", "weighted"):
        expected = metrics.f1_score(truth, called, average=average)
        assert found[f"f1_{average}"] == pytest.approx(expected, rel=1e-8)
    each = metrics.recall_score(truth, called, average=None)
    assert [found[f"recall.{name}"] for name in classes] == pytest.approx(each, rel=1e-8)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, shares), rel=1e-7)


def test_regression_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(100, 15, 20_000)
    called = truth + rng.normal(1, 5, 20_000)
    labels = truth.copy()
    labels[:50] = np.nan
    labels[50] = np.inf
    _, found = measured({"prediction": called}, LabelColumn(labels))
    y, yhat = truth[51:], called[51:]
    expected = {
        "mae": metrics.mean_absolute_error(y, yhat),
        "rmse": metrics.root_mean_squared_error(y, yhat),
        "mape": metrics.mean_absolute_percentage_error(y, yhat),
        "r2": metrics.r2_score(y, yhat),
        "bias": float(np.mean(yhat - y)),
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_what_is_not_defined_is_left_out() -> None:
    _, found = measured({"features.x": [1, 2]}, LabelColumn(["yes", "no"]))
    assert found == {}
    _, found = measured({"prediction": [1, 1, 0]}, LabelColumn([1, 1, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert "roc_auc" not in found and "specificity" not in found


def test_the_hash_is_of_the_metrics_too_and_a_profile_without_outcome_stays() -> None:
    columns: dict[str, Column] = {"prediction": [1, 0, 1], "score": [0.9, 0.1, 0.8]}
    plain = build_profile(MODEL, columns)
    assert with_metrics(plain, columns, [1, 0, 0]) is plain
    first = build_profile(MODEL, columns, label=LabelColumn([1, 0, 0]))
    assert with_metrics(first, columns, [1, 0, 0]).hash != first.hash


rows = st.lists(
    st.tuples(
        st.sampled_from([0, 1, None, True, "1", "0", 0.0, math.nan]),
        st.sampled_from([0, 1, None, False, "1"]),
        st.sampled_from([0.25, 0.75, None]),
    ),
    min_size=1,
    max_size=50,
)


@settings(max_examples=60)
@given(rows, st.randoms(use_true_random=False))
def test_any_rows_in_any_order_and_form(rows: list[tuple[Any, Any, Any]], random: Any) -> None:
    rows = [*rows, (0, 0, 0.25), (1, 1, 0.75)]
    labels, called, scores = map(list, zip(*rows, strict=True))
    columns: dict[str, Column] = {"prediction": called, "score": scores}
    profile, found = measured(columns, LabelColumn(labels))
    known = [
        (int(y), None if yhat is None else int(yhat))
        for y, yhat in zip(labels, called, strict=True)
        if y is not None and y == y
    ]
    hits = sum(y == yhat for y, yhat in known)
    assert found["accuracy"] == pytest.approx(hits / len(known), rel=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of scores that are all alike
        pairs = [
            (int(y), s)
            for y, s in zip(labels, scores, strict=True)
            if y is not None and y == y and s is not None
        ]
        assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(*zip(*pairs, strict=True)))
    random.shuffle(rows)
    labels, called, scores = map(list, zip(*rows, strict=True))
    again, _ = measured({"prediction": called, "score": scores}, LabelColumn(labels))
    assert again == profile
