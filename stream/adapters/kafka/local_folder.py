"""A local Kafka's temporary folder, removed at its end, or else by the next one that starts.

A folder is in use while its maker holds the lock on the file `in-use` within it; the system lets
go of that lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from stream.core.errors import BrokerError

__all__ = ["KeptFolder", "TemporaryFolder", "sweep"]

_PREFIX = "driftstream-kafka-"
_LOCK = "in-use"


class TemporaryFolder:
    """A new folder under `parent` (None: the system's), in use until `remove` or our end."""

    def __init__(self, parent: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        unlocked = self.path / f"{_LOCK}.new"
        self._handle = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        unlocked.rename(self.path / _LOCK)  # nobody sees it before it is locked

    def remove(self) -> None:
        """Removes the folder with all that is in it; to be called once."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)


class KeptFolder:
    """A user's folder, made if need be, in use until `release` or our end.

    BrokerError where another local Kafka uses it: a second one would ruin what it holds.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise BrokerError(
                f"another local Kafka is running on the folder {path}: stop it, or name another"
            ) from error

    def release(self) -> None:
        """Lets go of the folder; to be called once."""
        os.close(self._handle)


def sweep(parent: Path | None = None) -> tuple[Path, ...]:
    """Removes this user's folders under `parent` whose makers are gone; returns them.

    A folder without a lock file, or of another user, is left alone.
    """
    removed = []
    for folder in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it went away meanwhile, isn't ours, or is in use
            if folder.stat().st_uid != os.getuid():
                continue
            handle = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            finally:
                os.close(handle)
    return tuple(removed)
