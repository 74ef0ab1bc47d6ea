"""The metrics of labelled rows by scikit-learn; None where windows call them undefined."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from tests.join_pandas import value_of


def metrics_of(rows: pd.DataFrame, classes: list[str] | None) -> dict[str, float | None]:
    """Of rows of prediction, score and label.

    `classes` are (negative, positive) of a binary model, all of a multiclass one, None of numbers.
    """
    return _of_numbers(rows) if classes is None else _of_classes(rows, classes)


def _of_classes(rows: pd.DataFrame, classes: list[str]) -> dict[str, float | None]:
    """By scikit-learn. What is no class of the model is a class of its own on either side."""
    given = [_class(value, classes, "no prediction") for value in rows.prediction]
    true = [_class(value, classes, "no label") for value in rows.label]
    occurring = [name for name in classes if name in true]
    several = len(set(given)) > 1 and len(set(true)) > 1
    binary = len(classes) == 2
    nothing = {"zero_division": np.nan}
    found: dict[str, float | None] = {
        "accuracy": sk.accuracy_score(true, given),
        "mcc": sk.matthews_corrcoef(true, given) if several else None,
        "balanced_accuracy": None,
    }
    if len(occurring) > 1:
        recalls = sk.recall_score(true, given, labels=occurring, average="macro")
        found["balanced_accuracy"] = recalls
    each = sk.precision_recall_fscore_support(true, given, labels=classes, **nothing)
    if binary:
        found |= {"precision": each[0][1], "recall": each[1][1], "f1": each[2][1]}
    else:
        for place, name in enumerate(classes):
            found[f"precision.{name}"] = each[0][place]
            found[f"recall.{name}"] = each[1][place]
            found[f"f1.{name}"] = each[2][place]
    if not set(given) & set(classes):  # then nothing is told of classes
        found = dict.fromkeys(found)
    return found | _of_scores(rows) if binary else found


def _of_scores(rows: pd.DataFrame) -> dict[str, float | None]:
    """Of a binary model, over the rows with a score."""
    scored = rows[rows.score.notna()]
    if scored.empty:
        return {"brier": None, "log_loss": None}
    true, score = scored.label.astype("int64"), scored.score.astype("float64")
    return {
        "brier": sk.brier_score_loss(true, score, pos_label=1),
        "log_loss": sk.log_loss(true, score, labels=[0, 1]),
    }


def _of_numbers(rows: pd.DataFrame) -> dict[str, float | None]:
    given, true = rows.prediction.astype("float64"), rows.label.astype("float64")
    return {
        "mae": sk.mean_absolute_error(true, given),
        "rmse": sk.root_mean_squared_error(true, given),
        "r2": sk.r2_score(true, given) if true.nunique() > 1 else None,
    }


def _class(scalar: object, classes: list[str], other: str) -> str:
    value = value_of(scalar, number=False)
    return value if isinstance(value, str) and value in classes else other
