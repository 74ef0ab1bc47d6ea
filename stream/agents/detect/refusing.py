"""What is said in the log of records on `partials` that nobody can read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stream.core.records import Source

__all__ = ["RefusedPartials"]

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 60.0
_REASONS = 5  # that are told within that time, each once
_LONGEST = 200  # characters of a reason


class RefusedPartials:
    """A line in the log for each reason, once a minute, however many records there are.

    The next line says how many were held back before it; a metric counts them all.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._told: set[str] = set()
        self._held = 0

    def say(self, source: Source, offset: int, error: Exception) -> None:
        """A record could not be read, for the reason that the error gives."""
        now = self._clock()
        if now - self._since >= _AGAIN_SECONDS:
            self._told.clear()
        reason = _in_a_line(error)
        if reason in self._told or len(self._told) >= _REASONS:
            self._held += 1
            return
        if not self._told:
            self._since = now
        self._told.add(reason)
        before = f" ({self._held:,} more before)" if self._held else ""
        self._held = 0
        _log.warning(
            "%s partition %d offset %d is no partial and is left out: %s%s",
            *source, offset, reason, before,
        )  # fmt: skip


def _in_a_line(error: Exception) -> str:
    """The error's text, with its kind where that is another than ValueError; printable, short."""
    text = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
