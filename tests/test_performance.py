from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as sk

from stream.core.labels import LabelKind, LabelSpec, label_bits
from stream.core.ledger import ledger_of
from stream.core.score.performance import METRICS, Estimate, delay_quantiles, metric_names
from stream.core.score.performance import performance as performance_of
from tests.outcome_rows import BINARY, MULTICLASS, REGRESSION, counted, outcomes

Floats = npt.NDArray[np.float64]
EXACT = 1e-8


def _binary(seed: int, n: int = 700) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1.2, 2.0, n)
    y = (rng.random(n) < p**1.3).astype(np.int64)
    return y, p, (p > 0.45).astype(np.int64)


def _told(spec: LabelSpec, labels: list[Any], **columns: Any) -> dict[str, Estimate]:
    vector = counted(spec, outcomes(labels, **columns))
    return performance_of(spec, vector, len(labels))


def _close(told: Estimate, expected: float, within: float = EXACT) -> None:
    assert told.value == pytest.approx(expected, rel=within, abs=within)
    if told.low is not None and told.high is not None:
        assert told.low <= told.high


@pytest.mark.parametrize("seed", range(3))
def test_binary_metrics_equal_scikit_learn(seed: int) -> None:
    y, p, code = _binary(seed)
    told = _told(BINARY, y.tolist(), code=code, value=p)
    expected = {
        "accuracy": sk.accuracy_score(y, code),
        "balanced_accuracy": sk.balanced_accuracy_score(y, code),
        "precision": sk.precision_score(y, code),
        "recall": sk.recall_score(y, code),
        "f1": sk.f1_score(y, code),
        "specificity": sk.recall_score(y, code, pos_label=0),
        "mcc": sk.matthews_corrcoef(y, code),
        "cohen_kappa": sk.cohen_kappa_score(y, code),
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
        "ece": _ece(p, y),
    }
    assert set(told) == {*expected, "roc_auc", "average_precision"} == set(metric_names(BINARY))
    for name, value in expected.items():
        _close(told[name], float(value))
    binned = np.floor(p * 64)
    _close(told["roc_auc"], float(sk.roc_auc_score(y, binned)))
    _close(told["average_precision"], float(sk.average_precision_score(y, binned)))


@pytest.mark.parametrize("seed", range(3))
def test_ranking_metrics_are_within_the_binning_bound_of_scikit_learn(seed: int) -> None:
    y, p, code = _binary(seed)
    told = _told(BINARY, y.tolist(), code=code, value=p)
    place = np.minimum((p * 64).astype(int), 63)
    positive = np.bincount(place[y == 1], minlength=64)
    negative = np.bincount(place[y == 0], minlength=64)
    auc, ap = told["roc_auc"].value, told["average_precision"].value
    assert auc is not None and ap is not None
    bound = float((positive * negative).sum()) / (2 * positive.sum() * negative.sum())
    assert 0 < abs(auc - sk.roc_auc_score(y, p)) <= bound < 0.02
    worst = best = 0.0
    true = false = 0
    for k, m in zip(positive[::-1].tolist(), negative[::-1].tolist(), strict=True):
        worst += sum((true + i) / (true + false + m + i) for i in range(1, k + 1))
        best += sum((true + i) / (true + false + i) for i in range(1, k + 1))
        true, false = true + k, false + m
    worst, best = worst / positive.sum(), best / positive.sum()
    assert worst <= sk.average_precision_score(y, p) <= best
    assert worst <= ap <= best
    assert best - worst < 0.06


def _ece(p: Floats, came: npt.NDArray[Any]) -> float:
    edges = np.linspace(0, 1, 11)
    place = np.clip(np.digitize(p, edges) - 1, 0, 9)
    gaps = [abs(p[place == b].mean() - came[place == b].mean()) * (place == b).mean()
            for b in range(10) if (place == b).any()]  # fmt: skip
    return float(sum(gaps))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strange", [False, True])
def test_multiclass_metrics_equal_scikit_learn(seed: int, *, strange: bool) -> None:
    rng = np.random.default_rng(seed)
    names = [*MULTICLASS.classes, "new"]
    probabilities = rng.dirichlet([1.0, 0.7, 1.5], 600)
    y = np.array([rng.choice(3, p=row) for row in probabilities])
    code = np.where(rng.random(600) < 0.2, rng.integers(0, 3, 600), probabilities.argmax(axis=1))
    if strange:
        y[rng.random(600) < 0.05] = 3
        code[rng.random(600) < 0.05] = -1
    told = _told(MULTICLASS, [names[k] for k in y], code=code, probabilities=probabilities)
    y_text = np.array([*MULTICLASS.classes, "new label"])[y]
    code_text = np.array([*MULTICLASS.classes, "none"])[code]
    known = y < 3
    expected = {
        "accuracy": sk.accuracy_score(y_text, code_text),
        "balanced_accuracy": float(np.mean([(code[y == k] == k).mean() for k in range(3)])),
        "mcc": sk.matthews_corrcoef(y_text, code_text),
        "cohen_kappa": sk.cohen_kappa_score(y_text, code_text),
        "log_loss": sk.log_loss(y[known], probabilities[known], labels=[0, 1, 2]),
        "brier": sk.brier_score_loss(
            y[known], probabilities[known], labels=[0, 1, 2], scale_by_half=False
        ),
        "ece": _ece(probabilities[known].max(axis=1), (probabilities.argmax(axis=1) == y)[known]),
    }
    for average in ("macro", "micro", "weighted"):
        for name, of in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        ):
            expected[f"{name}_{average}"] = of(
                y_text, code_text, labels=list(MULTICLASS.classes), average=average, zero_division=0
            )
    for name, of in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        each = of(y_text, code_text, labels=list(MULTICLASS.classes), average=None)
        expected |= {f"{name}.{c}": each[k] for k, c in enumerate(MULTICLASS.classes)}
    assert set(told) == set(expected) == set(metric_names(MULTICLASS))
    for name, value in expected.items():
        _close(told[name], float(value))


@pytest.mark.parametrize("shift", [0.0, 280.0])
def test_regression_metrics_equal_scikit_learn(shift: float) -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(shift, 3.0, 800)
    predicted = y * 0.9 + rng.normal(0.4, 1.0, 800)
    told = _told(REGRESSION, y.tolist(), value=predicted)
    expected = {
        "mae": sk.mean_absolute_error(y, predicted),
        "rmse": sk.root_mean_squared_error(y, predicted),
        "mape": sk.mean_absolute_percentage_error(y, predicted),
        "r2": sk.r2_score(y, predicted),
        "bias": float(np.mean(predicted - y)),
    }
    assert set(told) == set(expected) == set(metric_names(REGRESSION))
    for name, value in expected.items():
        _close(told[name], value)


def test_tiny_and_huge_numbers_keep_their_nine_digits() -> None:
    rng = np.random.default_rng(4)
    for scale in (1e-5, 1e9):
        y = rng.normal(0.0, scale, 500)
        predicted = y + rng.normal(0.0, scale / 5, 500)
        told = _told(REGRESSION, y.tolist(), value=predicted)
        _close(told["rmse"], sk.root_mean_squared_error(y, predicted), 1e-8)
        _close(told["r2"], sk.r2_score(y, predicted), 1e-8)


def test_mape_leaves_out_labels_of_zero_and_r2_constant_ones() -> None:
    told = _told(REGRESSION, [0, 2, 4], value=[1.0, 3.0, 5.0])
    _close(told["mape"], (0.5 + 0.25) / 2)
    assert told["mape"].rows == 2
    assert told["mae"].rows == 3
    assert _told(REGRESSION, [2, 2], value=[1.0, 3.0])["r2"].value is None
    assert _told(REGRESSION, [2, 3], value=[2.0, 3.0])["r2"].value == 1.0


def test_what_is_undefined_is_none_and_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spec in (BINARY, MULTICLASS, REGRESSION):
            nothing = performance_of(spec, ledger_of(spec).zeros(), 0)
            assert all(e == Estimate(None, None, None, 0) for e in nothing.values())
            assert delay_quantiles(spec, ledger_of(spec).zeros()) == {}
        one = _told(BINARY, [1, 1, 1], code=[1, 1, 0], value=[0.9, 0.8, 0.4])
    undefined = {name for name, told in one.items() if told.value is None}
    assert undefined == {"balanced_accuracy", "specificity", "mcc", "roc_auc", "average_precision"}
    assert one["cohen_kappa"].value == 0.0
    assert one["accuracy"].rows == 3
    first = _told(REGRESSION, [1.0], value=[1.5])
    assert first["mae"] == Estimate(0.5, None, None, 1)


def test_without_predictions_or_scores_only_what_is_there_is_told() -> None:
    scores = _told(BINARY, [1, 0, 1], value=[0.9, 0.2, 0.6])
    assert scores["roc_auc"].value == 1.0
    assert scores["accuracy"].value is None
    classes = _told(BINARY, [1, 0, 1], code=[1, 0, 0])
    assert classes["accuracy"].value == pytest.approx(2 / 3)
    assert {classes[name].value for name in ("roc_auc", "log_loss", "brier", "ece")} == {None}


def test_a_perfect_model_is_not_certain() -> None:
    y = [0, 1] * 20
    told = _told(BINARY, y, code=np.array(y), value=np.array(y) * 0.8 + 0.1)
    for name, one in told.items():
        if METRICS[name].higher_is_better:
            assert one.value == one.high == 1.0, name
            assert one.low is not None and 0.7 < one.low < 0.97, name


def test_label_delays_are_told_within_two_percent() -> None:
    delays = np.random.default_rng(2).integers(50, 3 * 86_400_000, 999)
    vector = counted(REGRESSION, outcomes([1.0] * 999, value=[1.0] * 999, delay_ms=delays.tolist()))
    told = delay_quantiles(REGRESSION, vector)
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert told[name] == pytest.approx(np.quantile(delays, q, method="inverted_cdf"), rel=0.02)


def test_classes_named_by_numbers_and_words_are_told_apart() -> None:
    spec = LabelSpec(LabelKind.BINARY, ("good", "bad"), BINARY.edges)
    told = _told(spec, ["bad", "good", "bad", "good"], code=[1, 1, 1, 0])
    assert label_bits("bad")[0] == 2
    assert told["precision"].value == pytest.approx(2 / 3)
    assert told["recall"].value == 1.0
