"""An alert as a subscriber gets it: a CloudEvent of the `alerts` topic, decoded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream import cloudevents, schemas
from stream.core.specs import Severity

__all__ = ["Alert", "Evidence", "decode_alert"]

_TYPE_PREFIX = "io.driftstream.incident."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one variable contributes; `data` of the alert says which bins moved."""

    name: str
    role: str
    score: str
    value: float | None
    threshold: float | None
    drifted: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """An incident was opened, updated or resolved. Times are event times in UTC milliseconds.

    `id` is the event's: the same alert read twice has the same. `state` is "opened", "updated"
    or "resolved"; `evidence` is ranked. `data` is everything the event says (schemas/alert.avsc),
    `source` and `type` are the CloudEvent's; `partition` and `offset` say where it was read.
    """

    id: str
    source: str
    type: str
    incident_id: str
    state: str
    kind: str
    severity: Severity
    model: str
    version: str
    segment: str
    summary: str
    opened_ms: int
    at_ms: int
    evidence: tuple[Evidence, ...]
    partition: int
    offset: int
    data: Mapping[str, Any] = field(repr=False)


def decode_alert(
    headers: Sequence[tuple[str, bytes | None]] | None,
    value: bytes | None,
    partition: int,
    offset: int,
) -> Alert | None:
    """The alert of a record, in CloudEvents' binary or structured mode.

    None for another type of event. Raises CloudEventError or SchemaError where the record is no
    event, or its data is no alert.
    """
    event = cloudevents.decode(headers, value)
    if not event.type.startswith(_TYPE_PREFIX):
        return None
    data = schemas.decode_json("alert", event.data or b"")
    return Alert(
        id=event.id,
        source=event.source,
        type=event.type,
        incident_id=data["incident_id"],
        state=data["state"],
        kind=data["kind"],
        severity=Severity(data["severity"]),
        model=data["model"],
        version=data["version"],
        segment=data["segment"],
        summary=data["summary"],
        opened_ms=data["opened_ms"],
        at_ms=data["at_ms"],
        evidence=tuple(
            Evidence(
                each["name"],
                each["role"],
                each["score"],
                each["value"],
                each["threshold"],
                each["drifted"],
            )
            for each in data["evidence"]
        ),
        partition=partition,
        offset=offset,
        data=data,
    )
