"""What goes wrong in the background, said in the log once in a while and not for every row."""

from __future__ import annotations

import logging
import threading
import time

__all__ = ["LIBRDKAFKA_LOG", "Notices", "renew_after_fork"]

_QUIET_SECONDS = 30.0
_LOG = logging.getLogger("stream.client")


class Notices:
    """Warnings by kind: the first at once, the next after 30 s with the count of those between."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._held_back: dict[str, int] = {}
        self._lock = threading.Lock()

    def warn(self, kind: str, text: str) -> None:
        """Logs the text as a warning, or counts it where its kind was logged just now."""
        held_back = self._admit(kind)
        if held_back is not None:
            more = f" (and {held_back} more like it)" if held_back else ""
            _LOG.warning("%s%s", text, more)

    def filter(self, record: logging.LogRecord) -> bool:
        """A logging filter that admits one record of a level in a while."""
        return self._admit(record.levelname) is not None

    def _admit(self, kind: str) -> int | None:
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(kind, 0.0):
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return None
            self._next[kind] = now + _QUIET_SECONDS
            return self._held_back.pop(kind, 0)

    def renew(self) -> None:
        """Makes the lock anew in a forked child, where nobody is left to release it."""
        self._lock = threading.Lock()


def renew_after_fork() -> None:
    """To be called in a forked child: another thread may have been logging at the fork."""
    _LIBRDKAFKA_NOTICES.renew()


_LIBRDKAFKA_NOTICES = Notices()
LIBRDKAFKA_LOG = logging.getLogger("stream.client.librdkafka")
LIBRDKAFKA_LOG.addFilter(_LIBRDKAFKA_NOTICES)
