"""Records of the topic alerts."""

from __future__ import annotations

from typing import Any

from stream import cloudevents, schemas
from tests.kafka_io import Record

__all__ = ["NOW_MS", "data", "record"]

NOW_MS = 1_760_000_000_000


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
