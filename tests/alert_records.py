"""Records of the topic alerts."""

from __future__ import annotations

from typing import Any

from stream import cloudevents, schemas
from stream.client import Alert, AlertSubscriber
from tests.kafka_io import Record

__all__ = ["NOW_MS", "QUIET", "data", "record", "taken"]

NOW_MS = 1_760_000_000_000
QUIET = 1.5  # seconds in which what is there would come
_SECONDS = 30.0


def data(**changed: Any) -> dict[str, Any]:
    return {
        "incident_id": "7d1f8f0e-0000-5000-8000-000000000000",
        "state": "opened",
        "kind": "drift",
        "severity": "info",
        "model": "credit",
        "version": "3",
        "summary": "age drifted",
        "opened_ms": NOW_MS,
        "at_ms": NOW_MS,
        "window_start_ms": NOW_MS - 3_600_000,
        "window_end_ms": NOW_MS,
        "evidence": [{"name": "age", "score": "psi", "value": 0.31, "threshold": 0.2}],
        **changed,
    }


def record(number: int, **changed: Any) -> Record:
    payload = data(**changed)
    event = cloudevents.CloudEvent(
        id=f"event-{number}",
        source="test",
        type=f"io.driftstream.incident.{payload['state']}.v1",
        data=schemas.encode_json("alert", payload),
    )
    headers, value = cloudevents.encode(event)
    return Record(value, payload["incident_id"].encode(), headers)


def taken(subscriber: AlertSubscriber, count: int) -> list[Alert]:
    """So many alerts, however long the first ones take, and what comes at once behind them."""
    alerts: list[Alert] = []
    while len(alerts) < count:
        found = subscriber.poll(_SECONDS)
        assert found is not None, alerts
        alerts.append(found)
    return alerts + list(subscriber.alerts(timeout=QUIET))
