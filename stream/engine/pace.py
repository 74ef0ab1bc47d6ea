"""How much to take at once, when to commit, how long to wait after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.engine.settings import EngineSettings

__all__ = ["Pace"]

_WAIT_SECONDS = 0.1
_FIRST_BACKOFF_SECONDS = 0.25
_COMMIT_SHARE = 10  # commits may take a tenth of the time


class Pace:
    """The rhythm of one runner, on a monotonic `clock` of seconds.

    The commit interval is the settings', or ten times what a commit has taken of late where
    that is longer, up to half of the transaction's timeout.
    """

    def __init__(
        self, settings: EngineSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._cost = 0.0
        self._last = clock()
        self._backoff = _FIRST_BACKOFF_SECONDS

    @property
    def interval(self) -> float:
        """Seconds from one commit to the next."""
        longest = self._settings.transaction_timeout_ms / 2000
        wanted = max(self._settings.commit_interval_ms / 1000, _COMMIT_SHARE * self._cost)
        return min(wanted, longest)

    def appetite(self, record_bytes: float) -> tuple[int, float]:
        """Records to take at most, of this mean size, and seconds to wait for them."""
        settings = self._settings
        fitting = int(settings.slice_bytes / record_bytes) if record_bytes else 64
        left = self._last + self.interval - self._clock()
        return max(1, min(settings.slice_records, fitting)), min(_WAIT_SECONDS, max(0.0, left))

    def due(self) -> bool:
        """True when the commit interval is over."""
        return self._clock() - self._last >= self.interval

    def ticked(self) -> None:
        """Nothing was to be committed; the next interval begins."""
        self._last = self._clock()

    def committed(self, seconds: float) -> None:
        """A commit took so long; the next interval begins."""
        self._cost += 0.3 * (seconds - self._cost)
        self._last = self._clock()
        self._backoff = _FIRST_BACKOFF_SECONDS

    def backoff(self) -> float:
        """Seconds to wait after one more failure; doubles until a commit succeeds."""
        now = min(self._backoff, self._settings.max_backoff_ms / 1000)
        self._backoff = now * 2
        return now
