"""What a workload is asked to be, and the times that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.errors import ConfigError

__all__ = ["HOUR_MS", "MINUTE_MS", "PANE_MS", "START_MS", "TIMES", "Plan"]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
PANE_MS = MINUTE_MS
START_MS = 1_767_571_200_000  # 2026-01-05T00:00Z
# The settings that the workload is made for: what is early, late or refused depends on them.
TIMES = {"pane": "1m", "out_of_orderness": "30s", "max_clock_skew": "5m", "idle_after": "5s"}

_GRID_MS = HOUR_MS  # every model's windows begin at its multiples
_MOST_HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class Plan:
    """A workload's arguments; ConfigError where they make none.

    `rows` are requests to the models; challengers' predictions and labels come on top. The
    partitions `idle` never have a record; the one before the last that isn't idle gets no
    prediction in the second half. All times are a simulated broker's, from `start_ms` on.
    """

    seed: int
    rows: int = 30_000
    partitions: int = 12
    start_ms: int = START_MS
    hours: int = 8
    idle: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError("the seed is a whole number from 0 on")
        if not 100 <= self.rows <= 10_000_000:
            raise ConfigError("a workload has 100 to 10,000,000 rows")
        if not 1 <= self.hours <= _MOST_HOURS:
            raise ConfigError(f"a workload lasts 1 to {_MOST_HOURS} hours")
        if self.start_ms % _GRID_MS:
            raise ConfigError("a workload starts at a full hour, where every window begins")
        if self.idle is not None and not set(self.idle) <= set(range(self.partitions)):
            raise ConfigError(f"idle partitions are among 0 to {self.partitions - 1}")
        if len(self.active) < 2:
            raise ConfigError("at least two partitions must not be idle")

    @property
    def silent(self) -> tuple[int, ...]:
        """The partitions without any record."""
        return (self.partitions - 1,) if self.idle is None else tuple(sorted(set(self.idle)))

    @property
    def active(self) -> tuple[int, ...]:
        """The partitions with records."""
        return tuple(p for p in range(self.partitions) if p not in self.silent)

    @property
    def stopping(self) -> int:
        """The partition that gets no prediction in the second half."""
        return self.active[-2]

    @property
    def half_ms(self) -> int:
        """Half time, a boundary of every window: versions and a monitor change here."""
        return self.start_ms + self.hours * HOUR_MS // 2 // (10 * MINUTE_MS) * 10 * MINUTE_MS

    @property
    def end_ms(self) -> int:
        """When the last request is made."""
        return self.start_ms + self.hours * HOUR_MS

    @property
    def closing_ms(self) -> int:
        """After all that is late; what comes from here on pushes the last windows out."""
        return self.end_ms + 2 * HOUR_MS

    @property
    def over_ms(self) -> int:
        """The time of the last records."""
        return self.closing_ms + HOUR_MS

    def at(self, share: float) -> int:
        """The time at a share of the requests' time."""
        return self.start_ms + int(share * self.hours * HOUR_MS)
