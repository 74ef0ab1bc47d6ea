"""Monitors as detect hears them on the broadcast topic: bad ones are reported, never raised."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from stream import schemas
from stream.core.catalog import Monitors
from stream.core.errors import SchemaError
from stream.core.pane.window import monitor_problem
from stream.core.specs import FeatureRule, MonitorSpec, Severity
from stream.engine.agent import Broadcast

__all__ = ["hear_monitor"]

_log = logging.getLogger(__name__)


def hear_monitor(monitors: Monitors, record: Broadcast, pane_ms: int) -> bool:
    """Takes one record of `monitors` in, with the earlier monitors that it carries.

    False, and a line in the log, where it was refused.
    """
    if record.value is None:
        return True
    specs: list[MonitorSpec] = []
    try:
        latest = schemas.decode_json("monitor", record.value)
        model = latest["model"]
        specs = [_spec({**each, "model": model}) for each in (*latest["history"], latest)]
        problem = next(filter(None, (monitor_problem(spec, pane_ms) for spec in specs)), None)
    except (SchemaError, ValueError) as error:
        problem = str(error)
    if problem is not None:
        _log.warning("monitors: the record at offset %d is refused: %s", record.offset, problem)
        return False
    for spec in specs:
        monitors.hear(spec)
    return True


def _spec(record: Mapping[str, Any]) -> MonitorSpec:
    fields = {name: record[name] for name in MonitorSpec.__slots__ if name in record}
    fields["severity"] = Severity(record["severity"])
    fields["features"] = {name: FeatureRule(**rule) for name, rule in record["features"].items()}
    fields["severity_by_share"] = tuple(
        (Severity(step["severity"]), step["share"]) for step in record["severity_by_share"]
    )
    return MonitorSpec(**fields)
