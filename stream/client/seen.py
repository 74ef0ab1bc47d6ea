"""The last events seen, to know a repeated one by."""

from __future__ import annotations

__all__ = ["Seen"]

_REMEMBERED = 10_000


class Seen:
    """Remembers the last 10,000 things added."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], None] = {}

    def add(self, key: tuple[str, str]) -> bool:
        """True where it is new; the oldest is forgotten when there are too many."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > _REMEMBERED:
            del self._keys[next(iter(self._keys))]
        return True

    def discard(self, key: tuple[str, str]) -> None:
        """Forgets it."""
        self._keys.pop(key, None)
