"""`profile build` and `profile show` with labels and segments; no broker is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream.cli.application import run

HEADER = "age,tags.country,plan,approved,p_approved,repaid"
ROWS = [
    "41,US,a,yes,0.9,yes",
    "30,US,b,no,0.2,no",
    "22,CA,a,yes,0.9,no",
    "57,CA,a,no,0.2,no",
    "33,,a,yes,0.9,",
    "64,US,b,yes,0.9,yes",
]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "reference.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return str(path)


def built(capsys: pytest.CaptureFixture[str], table: str, *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["profile", "build", table, "-m", "credit", "-o", "-", *options]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    return record


COLUMNS = ("--prediction-column", "approved", "--score-column", "p_approved")
LABELLED = (*COLUMNS, "--label-column", "repaid")


def test_labels_make_an_outcome_and_are_no_feature(
    capsys: pytest.CaptureFixture[str], table: str
) -> None:
    record = built(capsys, table, *LABELLED)
    names = [variable["name"] for variable in (*record["numeric"], *record["categorical"])]
    assert sorted(names) == ["features.age", "features.plan", "prediction", "score"]
    outcome = record["outcome"]
    assert (outcome["kind"], outcome["classes"], outcome["rows"]) == ("binary", ["no", "yes"], 5)
    assert outcome["calibration"] == [0.0, 0.666666667]
    assert outcome["predicted_positive"] == [0.0, 1.0]
    assert outcome["metrics"]["accuracy"] == 0.8
    assert record["segments"] == {}


def test_positive_kind_and_segments(capsys: pytest.CaptureFixture[str], table: str) -> None:
    segments = ("--segment-by", "plan", "--segment-by", "country", "--segment-by", "tags.country")
    record = built(capsys, table, *LABELLED, "--positive", "no", *segments)
    assert record["outcome"]["classes"] == ["yes", "no"]
    assert record["segments"] == {"plan": ["a", "b"], "tags.country": ["US", "CA"]}
    record = built(capsys, table, *LABELLED, "--kind", "multiclass")
    assert record["outcome"]["kind"] == "multiclass"
    assert record["outcome"]["calibration"] == []


def test_the_file_of_roles_says_the_same(
    capsys: pytest.CaptureFixture[str], table: str, tmp_path: Path
) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text(
        "{prediction: approved, score: p_approved, label: repaid, positive: no, kind: binary, "
        "segment_by: [plan]}"
    )
    by_file = built(capsys, table, "--roles", str(roles))
    by_options = built(capsys, table, *LABELLED, "--positive", "no", "--segment-by", "plan")
    assert by_file["hash"] == by_options["hash"]
    roles.write_text("{kind: ordinal}")
    assert run(["profile", "build", table, "-m", "m", "--roles", str(roles)]) == 2


def test_without_labels_nothing_is_added(capsys: pytest.CaptureFixture[str], table: str) -> None:
    record = built(capsys, table, *COLUMNS, "--ignore", "repaid")
    assert (record["outcome"], record["segments"]) == (None, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*LABELLED, "--positive", "maybe"), "'maybe' is none of no, yes"),
        ((*COLUMNS, "--positive", "yes"), "name it with --label-column"),
        ((*LABELLED, "--segment-by", "city"), "no column 'city' to segment by"),
        ((*LABELLED, "--kind", "ordinal"), "ordinal"),
        ((*COLUMNS, "--version", "3" * 257), "version must be at most 256 characters"),
    ],
)
def test_what_cannot_be_is_said(
    capsys: pytest.CaptureFixture[str], table: str, options: tuple[str, ...], said: str
) -> None:
    capsys.readouterr()
    assert run(["profile", "build", table, "-m", "credit", "-o", "-", *options]) != 0
    assert said in capsys.readouterr().err


def test_show_tells_of_outcomes_and_segments(
    capsys: pytest.CaptureFixture[str], table: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "credit.json")
    options = ["-m", "credit", "-o", path, *LABELLED, "--segment-by", "country"]
    assert run(["profile", "build", table, *options]) == 0
    said = capsys.readouterr().err
    assert "binary, 5 labels: positive yes, negative no" in said
    assert "tags.country: US, CA" in said
    assert run(["profile", "show", path]) == 0
    shown = capsys.readouterr().out
    for text in ("positive", "2 bins of scores", "accuracy", "tags.country", "US, CA"):
        assert text in shown
