"""What a record on `windows` or `alerts` is; one that is neither says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from stream import cloudevents
from stream.cli.output import printable
from stream.core.records import Header

__all__ = [
    "Alert",
    "Incident",
    "Odd",
    "Place",
    "Read",
    "Window",
    "Written",
    "alert_of",
    "window_of",
]

_Kinds = Mapping[str, tuple[type, ...]]
_TEXT, _WHOLE, _LIST = (str,), (int,), (list,)
_WORDS = {str: "text", int: "whole number", list: "list"}


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Read:
    """A record as it was read."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


class Window(NamedTuple):
    """Which window a record is: no two records may be the same one. They order canonically."""

    model: str
    version: str
    segment: str
    kind: str
    start_ms: int
    end_ms: int


class Incident(NamedTuple):
    """Which incident a record is the last one of; `at_ms` and `state` are that record's."""

    id: str
    model: str
    version: str
    segment: str
    kind: str
    state: str
    opened_ms: int
    at_ms: int


class Written(NamedTuple):
    """A window's record: whether it records moved rows, and from when it carries rows."""

    window: Window
    moved: bool
    since_ms: int | None


class Alert(NamedTuple):
    """An incident's record, by its event."""

    event: str
    incident: Incident


class Odd(NamedTuple):
    """A record that is not what its topic holds. They order by their places."""

    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place} is {self.reason}"


_WINDOW: _Kinds = {
    **dict.fromkeys(("model", "version", "segment", "kind"), _TEXT),
    **dict.fromkeys(("start_ms", "end_ms"), _WHOLE),
    "moves": _LIST,
    "scored_from_ms": (int, type(None)),
}
_ALERT: _Kinds = {
    **dict.fromkeys(("incident_id", "model", "version", "segment", "kind", "state"), _TEXT),
    **dict.fromkeys(("opened_ms", "at_ms"), _WHOLE),
}


def window_of(read: Read) -> Written | Odd:
    """Which window it is."""
    record = _fields(read.value, _WINDOW)
    if isinstance(record, str):
        return Odd(read.place, f"no window: {record}")
    window = Window(*(record[name] for name in Window._fields))
    return Written(window, bool(record["moves"]), record["scored_from_ms"])


def alert_of(read: Read) -> Alert | Odd:
    """Which event of which incident it is."""
    try:
        event = cloudevents.decode(read.headers, read.value)
    except cloudevents.CloudEventError as error:
        return Odd(read.place, f"no alert: {printable(str(error))}")
    record = _fields(read.value, _ALERT)
    if isinstance(record, str):
        return Odd(read.place, f"no alert: {record}")
    incident = Incident(record["incident_id"], *(record[name] for name in Incident._fields[1:]))
    return Alert(event.id, incident)


def _fields(value: bytes | None, kinds: _Kinds) -> dict[str, Any] | str:
    """The record, if it has these fields; else what is wrong with it."""
    try:
        record = orjson.loads(value or b"")
    except orjson.JSONDecodeError as broken:
        return f"it is no JSON: {broken}"
    if not isinstance(record, dict):
        return "it is no object"
    for name, kind in kinds.items():
        if name not in record:
            return f"it has no {name!r}"
        if type(record[name]) not in kind:
            return f"its {name!r} is no {_WORDS[kind[0]]}"
    return record
