"""The monitors that a topic's records leave in force, whatever else is among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream.adapters.monitors import MonitorChanges, decode_monitors
from stream.core.errors import ConfigError

__all__ = ["MonitorRecord", "Skipped", "monitors_of_records"]


@dataclass(frozen=True, slots=True)
class MonitorRecord:
    """One record of the topic `monitors`; a value of None removes what its key had."""

    offset: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no valid monitor, the last of its key; `kept` if an earlier one stands."""

    record: MonitorRecord
    problem: str
    kept: bool


def monitors_of_records(
    records: Iterable[MonitorRecord], pane_ms: int
) -> tuple[dict[str, MonitorChanges], list[Skipped]]:
    """Each model's monitors, as workers know them, and what was passed over.

    `records` are the topic's, in the order of their offsets. A record that isn't a monitor to
    be relied on changes nothing: the last valid one of its key that is still on the topic stays
    in force. It is told where no valid one followed.
    """
    found: dict[bytes, MonitorChanges] = {}
    skipped: dict[bytes, Skipped] = {}
    for record in records:
        skipped.pop(record.key, None)
        if record.value is None:
            found.pop(record.key, None)
            continue
        try:
            changes = decode_monitors(record.value, pane_ms)
        except ConfigError as error:
            skipped[record.key] = Skipped(record, str(error), record.key in found)
            continue
        found.pop(record.key, None)
        found[record.key] = changes
    return {changes[-1].model: changes for changes in found.values()}, list(skipped.values())
