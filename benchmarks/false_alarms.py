"""How often windows without drift alarm, and how surely windows with drift do.

    python -m benchmarks.false_alarms [--windows 2000] [--reference 10000]

The workload: 20 independent features, each window drawn anew. Null windows come from the
reference's own distribution; shifted ones have every feature moved by the given number of
standard deviations. `feature` is the share of single features called drifted, `window` the share
of windows whose share of drifted features exceeds the default `drift_share`. Compared with: PSI
over 10 equal-mass bins without smoothing, the practice that the threshold 0.2 comes from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stream.core.pane.reference import build_profile
from stream.core.records import Int64s, ModelKey
from stream.core.score import SCORES, drift_share, score_window
from stream.core.specs import MonitorSpec, Profile

FEATURES = 20
ROWS = (500, 1000, 5000)
SHIFTS = (0.0, 0.1, 0.2, 0.3, 0.5)
CHECKED = ("psi", "js", "hellinger", "chi2", "ks", "wasserstein")

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Floats]


def normal(rng: np.random.Generator, rows: int, shift: float) -> Floats:
    return rng.normal(shift, 1.0, size=(FEATURES, rows))


def lognormal(rng: np.random.Generator, rows: int, shift: float) -> Floats:
    return np.exp(rng.normal(shift, 1.0, size=(FEATURES, rows)))


def counted(rng: np.random.Generator, rows: int, shift: float) -> Floats:
    """Poisson counts of mean 4, moved by a share of their standard deviation."""
    return rng.poisson(4 + 2 * shift, size=(FEATURES, rows)).astype(np.float64)


def counts_of(profile: Profile, rows: Floats) -> Int64s:
    counts = np.zeros(profile.width, dtype=np.int64)
    for variable, start, values in zip(profile.numeric, profile.starts[:-1], rows, strict=True):
        edges = np.asarray(variable.edges)
        places = np.searchsorted(edges[1:-1], values, side="right")
        places[values < edges[0]] = variable.size
        places[values > edges[-1]] = variable.size + 1
        counts[start : start + variable.width] = np.bincount(places, minlength=variable.width)
    return counts


def plain_psi(reference: Floats, window: Floats) -> float:
    edges = np.quantile(reference, np.linspace(0, 1, 11))[1:-1]
    p = np.bincount(np.searchsorted(edges, window), minlength=10) / len(window)
    q = np.bincount(np.searchsorted(edges, reference), minlength=10) / len(reference)
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(np.sum((p - q) * np.log(p / q)))


def measure(draw: Draw, reference_rows: int, rows: int, shift: float, windows: int) -> None:
    rng = np.random.default_rng(20261121)
    reference = draw(rng, reference_rows, 0.0)
    profile = build_profile(
        ModelKey("m", "1"), {f"features.f{i:02}": column for i, column in enumerate(reference)}
    )
    feature = dict.fromkeys(CHECKED, 0)
    window = dict.fromkeys(CHECKED, 0)
    plain = 0
    monitors = {name: MonitorSpec(score=name, min_rows=ROWS[0]) for name in CHECKED}
    for _ in range(windows):
        drawn = draw(rng, rows, shift)
        counts = counts_of(profile, drawn)
        for name, monitor in monitors.items():
            told = score_window(profile, counts, monitor)
            feature[name] += sum(scores.drifted for scores in told)
            window[name] += drift_share(told) > monitor.drift_share
        plain += plain_psi(reference[0], drawn[0]) > SCORES["psi"].threshold
    shown = "  ".join(
        f"{name} {feature[name] / windows / FEATURES:.4f} {window[name] / windows:.3f}"
        for name in CHECKED
    )
    print(f"{draw.__name__:9} {rows:5} {shift:4.1f}  {shown}  plain-psi {plain / windows:.4f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--reference", type=int, default=10_000)
    options = parser.parse_args(arguments)
    print("values    rows shift  score: share of features drifted, share of windows dirty")
    for draw in (normal, lognormal, counted):
        for rows in ROWS:
            for shift in SHIFTS:
                windows = options.windows if shift == 0 else max(options.windows // 10, 10)
                measure(draw, options.reference, rows, shift, windows)


if __name__ == "__main__":
    main()
