"""Performance estimated before labels: ours from bin counts, NannyML's from the rows.

    python -m benchmarks.cbpe REFERENCE ANALYSIS [--labels FILE] [--rows 5000] [--bins 128]

REFERENCE and ANALYSIS are tables of a binary classifier (columns as `driftstream profile build`
guesses or is told them), LABELS the analysis rows' labels by id. The analysis rows are cut into
chunks of `--rows`; for each, CBPE's expected ROC-AUC, accuracy and more, ours and theirs, and
what was realised. The last lines are the largest differences; above the bar of 0.01 in ROC-AUC
or accuracy the exit status is 1.

Compared with: NannyML 0.13.1, `CBPE(calibration_method="isotonic")`, in a virtualenv of its own
that is made on the first run (`--cache`, some minutes). It runs on Python 3.9 to 3.12; what it
was released beside (pandas 2, numpy 1, scikit-learn 1.5, and statsmodels, which it imports
without asking for it) is pinned.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from stream.adapters.tables import RoleOptions, assign_roles, read_table, values_of
from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import SCORE_BINS, LabelColumn, build_profile
from stream.core.records import CARRIES_COLUMN, ModelKey
from stream.core.score.estimate import ESTIMATED, estimate, standard_errors
from stream.core.specs import Profile

BAR = 0.01
BARRED = ("roc_auc", "accuracy")
PINS = ("nannyml==0.13.1", "pandas<2.3", "numpy<2", "scikit-learn<1.6", "statsmodels<0.15")
PYTHONS = ("python3.12", "python3.11", "python3.10")

THEIRS = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import pandas as pd, nannyml
folder, rows, metrics = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
reference, analysis = (pd.read_csv(f"{folder}/{name}.csv") for name in ("reference", "analysis"))
cbpe = nannyml.CBPE(
    metrics=metrics, y_pred="prediction", y_pred_proba="score", y_true="label",
    problem_type="classification_binary", chunk_size=rows,
)
cbpe.fit(reference)
table = cbpe.estimate(analysis).filter(period="analysis").to_df()
print(json.dumps({metric: table[(metric, "value")].tolist() for metric in metrics}))
"""

Table = dict[str, npt.NDArray[np.generic]]
Figures = dict[str, list[float]]


def columns_of(path: Path, options: RoleOptions) -> Table:
    """The table's prediction, score, and where it has them label and id."""
    table = read_table(path)
    roles = assign_roles(table, options)
    named = {"prediction": roles.prediction, "score": roles.score, "label": roles.label}
    found = {
        name: np.asarray(values_of(table, column))
        for name, column in named.items()
        if column is not None
    }
    if roles.id is not None:
        found["id"] = np.asarray(values_of(table, roles.id))
    return found


def labels_of(path: Path, ids: npt.NDArray[np.generic], options: RoleOptions) -> list[float]:
    """The labels of these ids, NaN where there is none."""
    columns = columns_of(path, options)
    known = dict(zip(columns["id"].tolist(), columns["label"].tolist(), strict=True))
    return [known.get(each, float("nan")) for each in ids.tolist()]


def interpreter(cache: Path, python: str | None) -> Path:
    """The Python of NannyML's virtualenv, made where it isn't there yet."""
    home = cache / "nannyml-0.13.1"
    found = home / "bin" / "python"
    if not (home / "made").exists():
        fits = sys.version_info < (3, 13)
        base = python or (
            sys.executable if fits else next(filter(None, map(shutil.which, PYTHONS)), None)
        )
        if base is None:
            sys.exit("NannyML 0.13.1 needs Python 3.9 to 3.12: name one with --python")
        print(f"making {home} with {base}", file=sys.stderr)
        subprocess.run([base, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "--quiet", *PINS], check=True)
        (home / "made").touch()
    return found


def theirs(python: Path, known: Table, analysis: Table, rows: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        for name, table in (("reference", known), ("analysis", analysis)):
            plain = {key: table[key] for key in ("prediction", "score", "label") if key in table}
            pyarrow.csv.write_csv(pa.table(plain), f"{folder}/{name}.csv")
        command = [str(python), "-c", THEIRS, folder, str(rows), ",".join(ESTIMATED)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: Figures = json.loads(done.stdout.splitlines()[-1])
    return told


def ours(profile: Profile, analysis: Table, rows: int) -> tuple[Figures, Figures]:
    """Our estimates and their standard errors, a chunk each."""
    figures: Figures = {name: [] for name in ESTIMATED}
    errors: Figures = {name: [] for name in ESTIMATED}
    for start in range(0, len(analysis["score"]), rows):
        scores = analysis["score"][start : start + rows].tolist()
        counts = bin_raw({CARRIES_COLUMN: [1] * len(scores), "score": scores}, profile).counts
        for name, value in estimate(profile, counts).items():
            figures[name].append(value)
        for name, value in standard_errors(profile, counts).items():
            errors[name].append(value)
    return figures, errors


def realised(analysis: Table, labels: Sequence[float], rows: int) -> Figures:
    """Accuracy and ROC-AUC of the labels, a chunk each."""
    from sklearn import metrics

    figures: Figures = {name: [] for name in BARRED}
    truth = np.asarray(labels)
    for start in range(0, len(truth), rows):
        chunk = slice(start, start + rows)
        known = ~np.isnan(truth[chunk])
        y = truth[chunk][known]
        score, called = (analysis[name][chunk][known] for name in ("score", "prediction"))
        figures["accuracy"].append(float(metrics.accuracy_score(y, called)))
        figures["roc_auc"].append(float(metrics.roc_auc_score(y, score)))
    return figures


def show(mine: Figures, errors: Figures, other: Figures, real: Figures) -> float:
    """Prints the chunks and the differences; returns the largest that the bar is for."""
    print("chunk" + "".join(f"  {name:>9} ours  NannyML  ± {'':4} realised" for name in BARRED))
    for place in range(len(other["accuracy"])):
        line = f"{place + 1:5}"
        for name in BARRED:
            told = f"{real[name][place]:8.4f}" if real else f"{'-':>8}"
            line += f"  {mine[name][place]:14.4f}  {other[name][place]:7.4f}"
            line += f"  {errors[name][place]:6.4f} {told}"
        print(line)
    worst = {
        name: float(np.max(np.abs(np.subtract(mine[name], other[name])))) for name in ESTIMATED
    }
    for name, difference in worst.items():
        print(f"largest difference in {name:11} {difference:.6f}")
    return max(worst[name] for name in BARRED)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("analysis", type=Path)
    parser.add_argument("--labels", type=Path, help="id and label of the analysis rows")
    parser.add_argument("--label-column", help="the label's column in REFERENCE; else guessed")
    parser.add_argument("--rows", type=int, default=5_000, help="rows a chunk")
    parser.add_argument("--bins", type=int, default=SCORE_BINS, help="bins of the score")
    parser.add_argument("--python", help="an interpreter of 3.9 to 3.12 for NannyML")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "driftstream")
    options = parser.parse_args(arguments)
    roles = RoleOptions(label=options.label_column)
    known = columns_of(options.reference, roles)
    analysis = columns_of(options.analysis, RoleOptions())
    profile = build_profile(
        ModelKey("cbpe", ""),
        {name: known[name] for name in ("prediction", "score")},
        label=LabelColumn(known["label"]),
        score_bins=options.bins,
    )
    mine, errors = ours(profile, analysis, options.rows)
    other = theirs(interpreter(options.cache, options.python), known, analysis, options.rows)
    real: Figures = {}
    if options.labels is not None:
        labels = labels_of(options.labels, analysis["id"], roles)
        real = realised(analysis, labels, options.rows)
    print(f"{len(known['score']):,} reference rows, {profile.numeric[0].size} bins of the score")
    return int(show(mine, errors, other, real) > BAR)


if __name__ == "__main__":
    sys.exit(main())
