"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in.

Sources: the CloudEvents specification 1.0.2, its JSON event format and its Kafka protocol
binding. In binary mode the data is the record's value, `content-type` its media type, and each
other attribute a header `ce_<name>`; in structured mode the value is the whole event as JSON.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from stream.core.errors import DriftstreamError
from stream.core.records import Header

__all__ = ["CloudEvent", "CloudEventError", "decode", "encode", "event_time", "schema_uri"]

_SPEC_VERSION = "1.0"
_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_JSON = "application/json"
_REQUIRED = ("id", "source", "type")
_OPTIONAL = ("subject", "time", "dataschema")
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_NOT_EXTENSIONS = {
    *_REQUIRED,
    *_OPTIONAL,
    "specversion",
    "datacontenttype",
    "data",
    "data_base64",
}


class CloudEventError(DriftstreamError):
    """A record is no CloudEvent, or an event cannot be written as one."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. `source` and `id` together identify it: that is what to dedupe by.

    `data` is the payload's bytes, None where there is none. `time` is an RFC 3339 text (see
    `event_time`). `extensions` hold further attributes, such as `traceparent`.
    """

    id: str
    source: str
    type: str
    data: bytes | None
    subject: str | None = None
    time: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = _JSON
    extensions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def json(self) -> Any:
        """The data parsed as JSON; raises CloudEventError where it isn't any."""
        try:
            return orjson.loads(self.data or b"")
        except orjson.JSONDecodeError as broken:
            raise CloudEventError(f"event {self.id}: its data is not JSON: {broken}") from broken


def event_time(time_ms: int) -> str:
    """UTC milliseconds as RFC 3339, as `time` wants it.

    >>> event_time(1760000000123)
    '2025-10-09T08:53:20.123Z'
    """
    moment = datetime.fromtimestamp(time_ms // 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def schema_uri(name: str, version: int = 1) -> str:
    """What `dataschema` says of data that fits one of our schemas.

    >>> schema_uri("alert")
    'urn:driftstream:schema:alert:v1'
    """
    return f"urn:driftstream:schema:{name}:v{version}"


def encode(event: CloudEvent) -> tuple[tuple[Header, ...], bytes | None]:
    """The event as headers and value of a Kafka record in binary mode.

    Headers come in a fixed order, extensions by name, so that equal events are equal bytes.
    Raises CloudEventError where a required attribute is empty or an extension's name is not
    lower case letters and digits.
    """
    attributes = {"specversion": _SPEC_VERSION}
    for name in _REQUIRED:
        value = getattr(event, name)
        if not value:
            raise CloudEventError(f"an event needs a {name}; {event.type!r} {event.id!r} has none")
        attributes[name] = value
    for name in _OPTIONAL:
        value = getattr(event, name)
        if value is not None:
            attributes[name] = value
    for name, value in sorted(event.extensions.items()):
        if not _ATTRIBUTE.fullmatch(name) or name in _NOT_EXTENSIONS:
            raise CloudEventError(f"event {event.id}: {name!r} cannot name an extension")
        attributes[name] = value
    headers = [(f"{_PREFIX}{name}", value.encode()) for name, value in attributes.items()]
    if event.datacontenttype is not None:
        headers.append((_CONTENT_TYPE, event.datacontenttype.encode()))
    return tuple(headers), event.data


def decode(headers: Sequence[tuple[str, bytes | None]] | None, value: bytes | None) -> CloudEvent:
    """The event of a Kafka record in either mode; `ce_` headers are ignored in structured mode.

    Raises CloudEventError where the record is no event: an attribute is missing or not text, the
    specification's version is not 1.x, the JSON is broken, or it is a batch of events.
    """
    given = {name.lower(): content for name, content in headers or ()}
    content_type = _text(_CONTENT_TYPE, given.get(_CONTENT_TYPE))
    media_type = (content_type or "").lower().partition(";")[0].strip()
    if media_type.startswith(_STRUCTURED):
        if media_type.startswith(_BATCH) or media_type not in (_STRUCTURED, f"{_STRUCTURED}+json"):
            raise CloudEventError(f"{media_type}: only single events in JSON are understood")
        return _structured(value)
    attributes: dict[str, Any] = {
        name.removeprefix(_PREFIX): _text(name, content)
        for name, content in given.items()
        if name.startswith(_PREFIX)
    }
    attributes["datacontenttype"] = content_type
    return _event(attributes, value)


def _structured(value: bytes | None) -> CloudEvent:
    try:
        whole = orjson.loads(value or b"")
    except orjson.JSONDecodeError as broken:
        raise CloudEventError(f"a structured event is not JSON: {broken}") from broken
    if not isinstance(whole, dict):
        raise CloudEventError(f"a structured event is {type(whole).__name__}, not an object")
    return _event(whole, _structured_data(whole))


def _structured_data(whole: dict[str, Any]) -> bytes | None:
    """The data's bytes: JSON data is written again, text of another type is UTF-8."""
    if "data_base64" in whole:
        if "data" in whole:
            raise CloudEventError("a structured event has both data and data_base64")
        try:
            return base64.b64decode(whole["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as broken:
            raise CloudEventError(f"data_base64 is not base64: {broken}") from broken
    if "data" not in whole:
        return None
    data = whole["data"]
    content_type = whole.get("datacontenttype") or _JSON
    if isinstance(data, str) and not _is_json(content_type):
        return data.encode()
    return orjson.dumps(data)


def _is_json(content_type: object) -> bool:
    media_type = str(content_type).lower().partition(";")[0].strip()
    return media_type.endswith(("/json", "+json"))


def _event(attributes: dict[str, Any], data: bytes | None) -> CloudEvent:
    version = attributes.get("specversion")
    if version is None:
        raise CloudEventError("no CloudEvent: neither a ce_specversion header nor a structured one")
    if not str(version).startswith("1."):
        raise CloudEventError(f"CloudEvents {version} is not understood, only 1.x")
    for name in _REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise CloudEventError(f"the event lacks its {name}")
    for name in (*_OPTIONAL, "datacontenttype"):
        if not isinstance(attributes.get(name), str | None):
            raise CloudEventError(f"the event's {name} is not text")
    extensions = {
        name: _plain(value)
        for name, value in sorted(attributes.items())
        if name not in _NOT_EXTENSIONS and value is not None
    }
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        data=data,
        subject=attributes.get("subject"),
        time=attributes.get("time"),
        dataschema=attributes.get("dataschema"),
        datacontenttype=attributes.get("datacontenttype"),
        extensions=MappingProxyType(extensions),
    )


def _plain(value: object) -> str:
    """An extension's value as text, as a binary header would carry it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    raise CloudEventError(f"an extension is {value!r}; text, integers and booleans are allowed")


def _text(name: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as broken:
        raise CloudEventError(f"the header {name} is not UTF-8: {broken}") from broken
