"""Monitors as agents hear them on the broadcast topic: bad ones are reported, never raised."""

from __future__ import annotations

import logging

from stream.adapters.monitors import decode_monitors
from stream.core.catalog import Monitors
from stream.core.errors import ConfigError
from stream.engine.agent import Broadcast

__all__ = ["hear_monitor"]

_log = logging.getLogger(__name__)


def hear_monitor(monitors: Monitors, record: Broadcast, pane_ms: int) -> bool:
    """Takes one record of `monitors` in; False, and a line in the log, where it was refused."""
    if record.value is None:
        return True
    try:
        changes = decode_monitors(record.value, pane_ms)
    except ConfigError as error:
        _log.warning("monitors: the record at offset %d is refused: %s", record.offset, error)
        return False
    for spec in changes:
        monitors.hear(spec)
    return True
