"""Rates between two counts inside a run, so that neither start-up nor tail is in them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Meter", "Reading", "resident_mb"]

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_FROM, _TO = 0.15, 0.92  # the shares of the rows between which the rate is taken


def resident_mb() -> float:
    """This process's resident memory in MB (2**20 bytes)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows a second, and resident memory (MB) at the two counts between which it was taken."""

    rate: float
    rss_start: float
    rss_end: float


@dataclass(slots=True)
class Meter:
    """Counts rows of a run of `rows` and keeps the two moments."""

    rows: int
    count: int = 0
    moments: list[tuple[float, int, float]] = field(default_factory=list)

    def add(self, now: float, rows: int) -> None:
        """So many rows are done at this moment (seconds of a monotonic clock)."""
        self.count += rows
        limit = (_FROM, _TO, 1.0)[min(2, len(self.moments))] * self.rows
        if len(self.moments) < 2 and self.count >= limit:
            self.moments.append((now, self.count, resident_mb()))

    @property
    def full(self) -> bool:
        """Whether both moments have passed."""
        return len(self.moments) == 2

    def reading(self) -> Reading:
        """The rate between the two moments."""
        (start, first, rss_start), (end, last, rss_end) = self.moments
        return Reading((last - first) / (end - start), rss_start, rss_end)
