"""Labels that come late and twice, through workers on a real Kafka: windows as scikit-learn's."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn import metrics as sk

from stream.core.pane.reference import build_profile
from tests.conftest import Kafka
from tests.deployment import MODEL, Deployment
from tests.kafka_io import Record

pytestmark = pytest.mark.timeout(300)

DAY_MS = 86_400_000
DATA = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture
def deployment(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[Deployment]:
    settings = {"sources": "predictions,labels", "idle_after": "3s", "label_patience": "2d"}
    made = Deployment(kafka.bootstrap_servers, unique, tmp_path, **settings)
    yield made
    made.kill()


def _made_up(rows: int = 12_000) -> pd.DataFrame:
    """Scores of a classifier that becomes worse in the second half."""
    rng = np.random.default_rng(17)
    score = rng.beta(0.7, 0.9, rows).round(3)
    right = np.where(np.arange(rows) < rows // 2, score, 0.3 * score + 0.3)
    return pd.DataFrame({"score": score, "label": (rng.random(rows) < right).astype(int)})


def _work_from_home() -> pd.DataFrame:
    rows = pd.read_csv(DATA / "synthetic_sample_analysis.csv.gz")
    truth = pd.read_csv(DATA / "synthetic_sample_analysis_gt.csv.gz")
    joined = rows.merge(truth, on="id")
    return pd.DataFrame(
        {"score": joined["y_pred_proba"], "label": joined["work_home_actual"].astype(int)}
    ).iloc[::2]


def _employment() -> pd.DataFrame:
    rows = pd.read_parquet(DATA / "acs_employment_2016.parquet")
    joined = rows.merge(pd.read_parquet(DATA / "acs_employment_2016_labels.parquet"), on="id")
    return pd.DataFrame(
        {"score": joined["predicted_probability"], "label": joined["employed"].astype(int)}
    ).iloc[::3]


SETS = {"made up": _made_up, "synthetic_sample": _work_from_home, "acs_2016": _employment}


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    """Predictions over ten days, labels up to three days later; the day that each outcome is of."""
    rng = np.random.default_rng(3)
    start_ms = (int(time.time() * 1000) // DAY_MS - 20) * DAY_MS
    table = table.reset_index(drop=True)
    table["id"] = [f"row-{i}" for i in range(len(table))]
    table["made_ms"] = start_ms + (np.arange(len(table)) * 10 * DAY_MS // len(table))
    table["known_ms"] = table["made_ms"] + rng.integers(0, 3 * DAY_MS, len(table))
    table["prediction"] = (table["score"] >= 0.5).astype(int)
    table["day"] = table["known_ms"] // DAY_MS
    return table


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    yield from table.itertuples()


def _predictions(table: pd.DataFrame) -> list[Record]:
    return [
        Record(
            orjson.dumps(
                {
                    "prediction_id": row.id,
                    "model": MODEL.model,
                    "version": MODEL.version,
                    "event_time_ms": row.made_ms,
                    "features": {"x": float(row.score)},
                    "prediction": row.prediction,
                    "score": float(row.score),
                }
            ),
            row.id.encode(),
        )
        for row in _rows(table)
    ]


def _labels(table: pd.DataFrame) -> list[Record]:
    """In the order of their times, one in ten sent twice."""
    rng = np.random.default_rng(5)
    twice = table.loc[rng.random(len(table)) < 0.1].assign(
        known_ms=lambda t: t["known_ms"] + rng.integers(0, DAY_MS, len(t))
    )
    both = pd.concat([table, twice]).sort_values("known_ms", kind="stable")
    return [
        Record(
            orjson.dumps(
                {"prediction_id": row.id, "label": row.label, "event_time_ms": row.known_ms}
            ),
            row.id.encode(),
        )
        for row in _rows(both)
    ]


def _performance(deployment: Deployment) -> list[dict[str, Any]]:
    return [window for window in deployment.windows() if window["kind"] == "performance"]


@pytest.mark.parametrize("name", SETS)
def test_windows_of_late_and_repeated_labels_equal_scikit_learn(
    deployment: Deployment, name: str
) -> None:
    if name != "made up" and not DATA.is_dir():
        pytest.skip("the data sets are not beside the project")
    table = _timed(SETS[name]())
    deployment.create_topics(partitions=3)
    columns = {"features.x": table["score"].tolist(), "score": table["score"].tolist()}
    columns["prediction"] = table["prediction"].tolist()
    deployment.publish(build_profile(MODEL, columns))
    deployment.monitor(window_ms=DAY_MS, hop_ms=DAY_MS, min_rows=100)
    deployment.produce("predictions", _predictions(table))
    deployment.produce("labels", _labels(table))
    worker = deployment.start()
    if name == "made up":
        deployment.wait("progress", lambda: bool(deployment.read("partials")))
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        deployment.start()
    deployment.wait(
        "all outcomes", lambda: sum(w["rows"] for w in _performance(deployment)) >= len(table)
    )
    deployment.stop()
    found = {window["start_ms"] // DAY_MS: window for window in _performance(deployment)}
    expected = {int(day): rows for day, rows in table.groupby(table["day"].astype(int))}
    assert sorted(found) == sorted(expected)
    for day, rows in expected.items():
        window = found[day]
        assert window["rows"] == len(rows)
        if len(rows) >= 100 and window["scored_from_ms"] is None:
            _assert_equal(window["metrics"], rows)
    for day, window in found.items():
        within = (day - 6, day)
        assert window["outcomes"] == table["day"].between(*within).sum()
        assert window["predictions"] == (table["made_ms"] // DAY_MS).between(*within).sum()


def _assert_equal(told: dict[str, dict[str, float]], rows: pd.DataFrame) -> None:
    y, guess, p = rows["label"], rows["prediction"], rows["score"]
    exact = {
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "precision": sk.precision_score(y, guess),
        "recall": sk.recall_score(y, guess),
        "f1": sk.f1_score(y, guess),
        "mcc": sk.matthews_corrcoef(y, guess),
        "cohen_kappa": sk.cohen_kappa_score(y, guess),
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
    }
    for name, value in exact.items():
        assert told[name]["value"] == pytest.approx(value, rel=1e-7, abs=1e-9), name
        assert told[name]["low"] <= told[name]["value"] <= told[name]["high"], name
    assert told["roc_auc"]["value"] == pytest.approx(sk.roc_auc_score(y, p), abs=0.01)
    assert told["average_precision"]["value"] == pytest.approx(
        sk.average_precision_score(y, p), abs=0.02
    )
