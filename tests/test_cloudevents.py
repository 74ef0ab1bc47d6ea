"""CloudEvents over Kafka, against the specification and, where it agrees, PyPI's cloudevents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.cloudevents import CloudEvent, CloudEventError, decode, encode, event_time, schema_uri

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
EVENT = CloudEvent(
    id="5f0c",
    source="cluster/driftstream.",
    type="io.driftstream.incident.opened.v1",
    data=b'{"a":1}',
    subject="credit@3",
    time=event_time(1760000000123),
    dataschema=schema_uri("alert"),
    extensions={"traceparent": "00-aa-bb-01"},
)
STRUCTURED = {
    "specversion": "1.0",
    "id": "5f0c",
    "source": "cluster/driftstream.",
    "type": "io.driftstream.incident.opened.v1",
}
STRUCTURED_HEADER = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def test_binary_mode_is_what_the_binding_says() -> None:
    headers, value = encode(EVENT)
    assert value == b'{"a":1}'
    assert headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"5f0c"),
        ("ce_source", b"cluster/driftstream."),
        ("ce_type", b"io.driftstream.incident.opened.v1"),
        ("ce_subject", b"credit@3"),
        ("ce_time", b"2025-10-09T08:53:20.123Z"),
        ("ce_dataschema", b"urn:driftstream:schema:alert:v1"),
        ("ce_traceparent", b"00-aa-bb-01"),
        ("content-type", b"application/json"),
    )
    assert decode(headers, value) == EVENT


@given(
    texts=st.tuples(TEXT, TEXT, TEXT),
    subject=st.none() | TEXT,
    data=st.none() | st.binary(max_size=50),
    extensions=st.dictionaries(st.from_regex(r"\Aext[a-z0-9]{1,8}\Z"), TEXT, max_size=3),
)
def test_every_event_comes_back(
    texts: tuple[str, str, str],
    subject: str | None,
    data: bytes | None,
    extensions: dict[str, str],
) -> None:
    event = CloudEvent(*texts, data=data, subject=subject, extensions=extensions)
    headers, value = encode(event)
    assert decode(headers, value) == event
    assert encode(decode(headers, value)) == (headers, value)


def test_structured_mode_is_read_whatever_headers_are_there_as_well() -> None:
    whole = {**STRUCTURED, "data": {"a": [1, None]}, "subject": "s", "odd": True, "count": 5}
    headers = [("Content-Type", b"Application/CloudEvents+JSON"), ("ce_id", b"another")]
    event = decode(headers, json.dumps(whole).encode())
    assert event.id == "5f0c"
    assert event.json() == {"a": [1, None]}
    assert event.subject == "s"
    assert event.extensions == {"count": "5", "odd": "true"}


@pytest.mark.parametrize(
    ("further", "data"),
    [
        ({}, None),
        ({"data": None}, b"null"),
        ({"data": "text"}, b'"text"'),
        ({"data": "text", "datacontenttype": "text/plain"}, b"text"),
        ({"data": "text", "datacontenttype": "application/x+json; a=b"}, b'"text"'),
        ({"data_base64": "AAE="}, b"\x00\x01"),
    ],
)
def test_structured_data(further: dict[str, object], data: bytes | None) -> None:
    value = orjson.dumps({**STRUCTURED, **further})
    assert decode(STRUCTURED_HEADER, value).data == data


def test_header_names_may_have_any_case() -> None:
    headers, value = encode(EVENT)
    assert decode([(name.title(), content) for name, content in headers], value) == EVENT


def test_a_tombstone_is_an_event_without_data() -> None:
    headers, _ = encode(EVENT)
    assert decode(headers, None).data is None


@pytest.mark.parametrize(
    ("headers", "value", "says"),
    [
        (None, b'{"a":1}', "no CloudEvent"),
        ([("ce_id", b"x")], b"", "no CloudEvent"),
        ([("ce_specversion", b"0.3"), ("ce_id", b"x")], b"", "only 1.x"),
        ([("ce_specversion", b"1.0"), ("ce_source", b"s"), ("ce_type", b"t")], b"", "lacks its id"),
        ([("ce_specversion", b"1.0"), ("ce_id", b"\xff")], b"", "ce_id is not UTF-8"),
        (STRUCTURED_HEADER, b"{", "not JSON"),
        (STRUCTURED_HEADER, None, "not JSON"),
        (STRUCTURED_HEADER, b"[]", "list"),
        (STRUCTURED_HEADER, orjson.dumps({**STRUCTURED, "id": 5}), "lacks its id"),
        (STRUCTURED_HEADER, orjson.dumps({**STRUCTURED, "subject": 5}), "subject is not text"),
        (STRUCTURED_HEADER, orjson.dumps({**STRUCTURED, "data_base64": "?"}), "not base64"),
        (STRUCTURED_HEADER, orjson.dumps({**STRUCTURED, "data_base64": 5}), "not base64"),
        (STRUCTURED_HEADER, orjson.dumps({**STRUCTURED, "ext": {}}), "an extension"),
        (
            STRUCTURED_HEADER,
            orjson.dumps({**STRUCTURED, "data_base64": "", "data": 1}),
            "both",
        ),
        ([("content-type", b"application/cloudevents-batch+json")], b"[]", "single events"),
        ([("content-type", b"application/cloudevents+avro")], b"", "single events"),
    ],
)
def test_what_is_no_event_is_said(
    headers: list[tuple[str, bytes | None]] | None, value: bytes | None, says: str
) -> None:
    with pytest.raises(CloudEventError, match=says):
        decode(headers, value)


@pytest.mark.parametrize(
    "event",
    [
        CloudEvent(id="", source="s", type="t", data=None),
        CloudEvent(id="i", source="s", type="", data=None),
        CloudEvent(id="i", source="s", type="t", data=None, extensions={"Odd": "x"}),
        CloudEvent(id="i", source="s", type="t", data=None, extensions={"data": "x"}),
    ],
)
def test_what_cannot_be_written_is_refused(event: CloudEvent) -> None:
    with pytest.raises(CloudEventError):
        encode(event)


def test_data_that_is_not_json_is_said() -> None:
    with pytest.raises(CloudEventError, match="not JSON"):
        CloudEvent("i", "s", "t", data=b"x").json()


# PyPI's cloudevents: it misreads structured messages that carry ce_ headers and makes keys up, so
# only what it is known to do right is compared.


@pytest.fixture
def pypi() -> Any:
    return pytest.importorskip("cloudevents.core.bindings.kafka", reason="cloudevents is missing")


def test_pypi_reads_what_we_write(pypi: Any) -> None:
    headers, value = encode(EVENT)
    theirs = pypi.from_binary_event(
        pypi.KafkaMessage(headers=dict(headers), key=None, value=value),
        pypi.JSONFormat(),
    )
    assert theirs.get_id() == EVENT.id
    assert theirs.get_source() == EVENT.source
    assert theirs.get_type() == EVENT.type
    assert theirs.get_subject() == EVENT.subject
    assert theirs.get_dataschema() == EVENT.dataschema
    assert theirs.get_time() == datetime(2025, 10, 9, 8, 53, 20, 123000, tzinfo=UTC)
    assert theirs.get_data() == {"a": 1}
    assert theirs.get_extension("traceparent") == "00-aa-bb-01"


@pytest.mark.parametrize("mode", ["to_binary_event", "to_structured_event"])
def test_we_read_what_pypi_writes(mode: str, pypi: Any) -> None:
    event_type = pytest.importorskip("cloudevents.core.v1.event").CloudEvent
    attributes = {
        "id": EVENT.id,
        "source": EVENT.source,
        "type": EVENT.type,
        "subject": EVENT.subject,
        "time": datetime(2025, 10, 9, 8, 53, 20, 123000, tzinfo=UTC),
        "dataschema": EVENT.dataschema,
        "datacontenttype": "application/json",
        "traceparent": "00-aa-bb-01",
    }
    theirs = event_type(attributes=attributes, data={"a": 1})
    message = getattr(pypi, mode)(theirs, pypi.JSONFormat())
    ours = decode(list(message.headers.items()), message.value)
    assert ours.json() == {"a": 1}
    assert ours.id == EVENT.id
    assert ours.subject == EVENT.subject
    assert ours.extensions == EVENT.extensions
    assert ours.time is not None
    assert datetime.fromisoformat(ours.time) == attributes["time"]
