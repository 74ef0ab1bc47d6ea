"""What a soak saw: samples of its workers, the lines fitted to them, the verdict."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Sample", "report", "slope"]

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_GROWTH = 0.05
_LAG_FACTOR, _LAG_SECONDS = 2.0, 5.0
_MOST_POINTS = 300  # all pairs of so many are looked at


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one worker; `lag` by agent/topic, `seconds` of a commit by agent, on average."""

    at: float
    worker: int
    rss_mb: float
    files: int
    threads: int
    lag: dict[str, float]
    commits: dict[str, float]
    seconds: dict[str, float]
    rows: float
    series: int

    @classmethod
    def of(cls, at: float, worker: int, pid: int, port: int) -> Self | None:
        """A look at a process by /proc and its metrics; None while it doesn't answer yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                text = page.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        found: dict[str, dict[str, float]] = {}
        series = 0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series += 1
                label = "/".join(sample.labels[k] for k in sorted(sample.labels))
                found.setdefault(sample.name, {})[label] = sample.value
        proc = Path(f"/proc/{pid}")
        return cls(
            at,
            worker,
            int((proc / "statm").read_text().split()[1]) * _PAGE_MB,
            len(list((proc / "fd").iterdir())),
            len(list((proc / "task").iterdir())),
            found.get("driftstream_lag_records", {}),
            found.get("driftstream_commit_seconds_count", {}),
            found.get("driftstream_commit_seconds_sum", {}),
            sum(found.get("driftstream_rows_consumed_total", {}).values()),
            series,
        )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs (Theil-Sen): outliers don't move it.

    >>> slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 90.0)])
    2.0
    """
    few = points[:: max(1, -(-len(points) // _MOST_POINTS))]
    slopes = [(b - d) / (a - c) for (a, b), (c, d) in combinations(few, 2) if a != c]
    return median(slopes) if slopes else 0.0


def report(samples: Sequence[Sample], rate: int, minutes: float) -> tuple[str, bool]:
    """The report as Markdown, and whether memory and lag were flat."""
    begin = minutes * 60 / 3
    lines = [
        "# Soak",
        "",
        f"{minutes:g} minutes at {rate} predictions/s; measured from minute {begin / 60:.1f} on.",
        "",
        "| worker | first MB | median MB | last MB | growth | files | threads | series | rows |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    flat = True
    for worker in sorted({sample.worker for sample in samples}):
        mine = [s for s in samples if s.worker == worker and s.at >= begin]
        if len(mine) < 3:
            return "\n".join([*lines, f"worker {worker} was seen too rarely"]), False
        middle = median(s.rss_mb for s in mine)
        line = slope([(s.at, s.rss_mb) for s in mine])
        growth = line * (mine[-1].at - mine[0].at) / middle
        flat = flat and growth <= _GROWTH
        first, last = mine[0], mine[-1]
        lines.append(
            f"| {worker} | {first.rss_mb:.0f} | {middle:.0f} | {last.rss_mb:.0f} | {growth:+.1%} "
            f"| {first.files} → {last.files} | {first.threads} → {last.threads} "
            f"| {first.series} → {last.series} | {last.rows:.0f} |"
        )
    lags, kept_up = _lags(samples, rate, minutes * 60)
    lines += ["", *lags, "", *_commits(samples)]
    said = "flat" if flat and kept_up else "NOT flat"
    return "\n".join([*lines, "", f"Memory and lag are {said}.", ""]), flat and kept_up


def _lags(samples: Sequence[Sample], rate: int, seconds: float) -> tuple[list[str], bool]:
    lines = ["| lag of | median, second third | median, last third | most |", "|---|---|---|---|"]
    kept_up = True
    by_time: dict[str, dict[float, float]] = {}
    for sample in samples:
        for topic, lag in sample.lag.items():
            total = by_time.setdefault(topic, {})
            total[sample.at] = total.get(sample.at, 0.0) + lag
    for topic, lag_at in sorted(by_time.items()):
        second = [lag for at, lag in lag_at.items() if seconds / 3 <= at < 2 * seconds / 3]
        last = [lag for at, lag in lag_at.items() if at >= 2 * seconds / 3]
        if second and last:
            most = max(second + last)
            before, after = median(second), median(last)
            kept_up = kept_up and after <= _LAG_FACTOR * before + _LAG_SECONDS * rate
            lines.append(f"| {topic} | {before:.0f} | {after:.0f} | {most:.0f} |")
    return lines, kept_up


def _commits(samples: Sequence[Sample]) -> list[str]:
    lines = ["| worker | agent | commits | seconds of one, on average |", "|---|---|---|---|"]
    for worker in sorted({sample.worker for sample in samples}):
        last = [sample for sample in samples if sample.worker == worker][-1]
        for agent, count in sorted(last.commits.items()):
            mean = last.seconds[agent] / max(count, 1)
            lines.append(f"| {worker} | {agent} | {count:.0f} | {mean:.3f} |")
    return lines
