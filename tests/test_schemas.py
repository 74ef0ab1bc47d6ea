"""The schemas: that they say what the records are, and that encoding checks by them."""

from __future__ import annotations

import dataclasses
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.errors import Reason, SchemaError
from stream.core.specs import MonitorSpec
from stream.json_schema import json_schema
from stream.schemas import decode_avro, decode_json, encode_avro, encode_json
from stream.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
TWELVE = {
    "feature_row",
    "prediction",
    "label",
    "joined",
    "reference_profile",
    "monitor",
    "pane_partial",
    "window_result",
    "alert",
    "retrain_request",
    "retrain_status",
    "dead_letter",
}
JSON_NAMES = sorted(TWELVE - {"pane_partial", "dead_letter"})

PREDICTION: dict[str, Any] = {
    "prediction_id": "p-1",
    "model": "credit",
    "event_time_ms": 1760000000000,
    "features": {"age": 41, "income": None, "state": "CA", "ratio": 0.5, "new": True},
    "prediction": "approve",
    "score": {"approve": 1, "deny": 0.0},
}
LETTER: dict[str, Any] = {
    "topic": "predictions",
    "partition": 1,
    "offset": 2,
    "timestamp_ms": 3,
    "key": b"k",
    "value": b"\x00\xff",
    "headers": [{"name": "x", "value": b"1"}, {"name": "y"}],
    "reason": Reason.MALFORMED.value,
    "rejected_at_ms": 4,
}


# Any value of a schema


Values = st.SearchStrategy[Any]


def values_of(name: str) -> Values:
    """Records of this schema, fields with defaults now and then left out."""
    return _values(schemas.source(name), {})


def _values(schema: Any, known: dict[str, Values]) -> Values:
    if isinstance(schema, list):
        return st.one_of([_values(branch, known) for branch in schema])
    if isinstance(schema, str):
        return known[schema] if schema in known else PRIMITIVES[schema]
    match schema["type"]:
        case "array":
            return st.lists(_values(schema["items"], known), max_size=2)
        case "map":
            return st.dictionaries(TEXT, _values(schema["values"], known), max_size=2)
        case "enum":
            made: Values = st.sampled_from(schema["symbols"])
        case "record":
            made = _records(schema["fields"], known)
        case inner:
            return _values(inner, known)
    known[schema["name"]] = made
    return made


def _records(fields: list[dict[str, Any]], known: dict[str, Values]) -> Values:
    parts = {each["name"]: _values(each["type"], known) for each in fields}
    optional = {each["name"] for each in fields if "default" in each}
    return st.fixed_dictionaries(
        {name: values for name, values in parts.items() if name not in optional},
        optional={name: values for name, values in parts.items() if name in optional},
    )


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
PRIMITIVES: dict[str, Values] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "string": TEXT,
    "bytes": st.binary(max_size=8),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
}


def test_all_records_have_a_schema() -> None:
    assert set(schemas.names()) == TWELVE


@pytest.mark.parametrize("name", sorted(TWELVE))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_record_survives_avro(name: str, data: st.DataObject) -> None:
    record = data.draw(values_of(name))
    once = decode_avro(name, encode_avro(name, record))
    assert decode_avro(name, encode_avro(name, once)) == once
    for key, value in record.items():
        assert type(once[key]) is type(value) or isinstance(value, (int, float))


@pytest.mark.parametrize("name", JSON_NAMES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_record_survives_json_and_fits_its_json_schema(name: str, data: st.DataObject) -> None:
    record = data.draw(values_of(name))
    body = encode_json(name, record)
    once = decode_json(name, body)
    assert encode_json(name, once) == body
    validator = jsonschema.Draft7Validator(json_schema(name))
    assert [error.message for error in validator.iter_errors(record)] == []
    assert [error.message for error in validator.iter_errors(once)] == []


def test_every_field_and_record_says_what_it_is() -> None:
    def silent(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [found for branch in schema for found in silent(branch, path)]
        if not isinstance(schema, dict):
            return []
        if schema.get("doc", "").startswith("As "):  # says so of another record, field by field
            return []
        found = []
        for each in schema.get("fields", ()):
            where = f"{path}.{each['name']}"
            found += [] if each.get("doc") else [where]
            found += silent(each["type"], where)
        for inner in ("type", "items", "values"):
            found += silent(schema.get(inner), path)
        return found

    outward = [name for name in schemas.names() if name != "pane_partial"]
    assert [found for name in outward for found in silent(schemas.source(name), name)] == []
    assert all(schemas.source(name).get("doc") for name in schemas.names())


# What is refused, and how it is said


def test_defaults_are_filled_in_and_unions_stand_bare() -> None:
    record = decode_json("prediction", orjson.dumps(PREDICTION))
    assert record["version"] == ""
    assert record["tags"] == {}
    assert record["status"] == "ok"
    assert record["attributions"] is None
    assert record["features"] == PREDICTION["features"]
    record["tags"]["country"] = "US"
    assert decode_json("prediction", orjson.dumps(PREDICTION))["tags"] == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": {"age": [1]}}, r"prediction\.features\.age: is \[1\], wants null or an int"),
        ({"features": 5}, r"prediction\.features: is 5, wants null or an object"),
        ({"score": {"approve": "x"}}, r"prediction\.score\.approve: is 'x', wants a number"),
        ({"event_time_ms": 1.5}, r"prediction\.event_time_ms: is 1\.5, wants an integer"),
        ({"event_time_ms": True}, r"prediction\.event_time_ms: is True, wants an integer"),
        ({"event_time_ms": 2**63}, r"does not fit into long"),
        ({"model": None}, r"prediction\.model: is None, wants a string"),
        ({"status": "bad"}, r"prediction\.status: is 'bad', wants one of ok, error"),
        ({"features": {1: 2}}, r"prediction\.features: has the key 1"),
        ({"modle": "x"}, r"prediction\.modle: no such field; there are prediction_id, model"),
        ({"model": "x" * 1000 + "\ud800"}, r"prediction"),
    ],
)
@pytest.mark.parametrize("encode", [encode_json, encode_avro])
def test_what_does_not_fit_is_said_with_its_path(
    encode: Callable[[str, dict[str, Any]], bytes], change: dict[str, Any], says: str
) -> None:
    with pytest.raises(SchemaError, match=says):
        encode("prediction", {**PREDICTION, **change})


def test_a_missing_field_is_said() -> None:
    record = {key: value for key, value in PREDICTION.items() if key != "model"}
    for encode in (encode_json, encode_avro):
        with pytest.raises(SchemaError, match=r"prediction\.model: is missing"):
            encode("prediction", record)


def test_a_place_within_a_list_is_said() -> None:
    record = {"model": "m", "severity_by_share": [{"severity": "info", "share": 1}, {}]}
    with pytest.raises(SchemaError, match=r"monitor\.severity_by_share\[1\]\.severity: is missing"):
        encode_json("monitor", record)


def test_readers_bear_what_newer_writers_add() -> None:
    body = orjson.dumps({**PREDICTION, "later": [1]})
    assert decode_json("prediction", body)["later"] == [1]


def test_nan_is_null_in_json_where_null_is_allowed_and_itself_in_avro() -> None:
    record = {**PREDICTION, "features": {"x": math.nan, "y": math.inf}, "score": 0.5}
    assert decode_json("prediction", encode_json("prediction", record))["features"] == {
        "x": None,
        "y": None,
    }
    avro = decode_avro("prediction", encode_avro("prediction", record))["features"]
    assert math.isnan(avro["x"])
    assert avro["y"] == math.inf
    with pytest.raises(SchemaError, match=r"prediction\.score\.a: is nan, which JSON cannot say"):
        encode_json("prediction", {**PREDICTION, "score": {"a": math.nan}})


def test_an_integer_stays_one_in_avro() -> None:
    big = 2**53 + 1
    record = {**PREDICTION, "features": {"n": big}, "prediction": True}
    read = decode_avro("prediction", encode_avro("prediction", record))
    assert read["features"] == {"n": big}
    assert read["prediction"] is True


def test_a_dead_letter_keeps_bytes_and_has_no_json_form() -> None:
    read = decode_avro("dead_letter", encode_avro("dead_letter", LETTER))
    assert {key: read[key] for key in LETTER if key != "headers"} == {
        key: value for key, value in LETTER.items() if key != "headers"
    }
    assert read["headers"] == [{"name": "x", "value": b"1"}, {"name": "y", "value": None}]
    with pytest.raises(SchemaError, match="bytes"):
        encode_json("dead_letter", LETTER)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b'"x"', b"{}"])
def test_bodies_that_are_no_json_record_are_schema_errors(body: bytes) -> None:
    with pytest.raises(SchemaError, match=r"^label"):
        decode_json("label", body)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_letter_or_a_schema_error(body: bytes) -> None:
    with suppress(SchemaError):
        decode_avro("dead_letter", body)


def test_bytes_behind_an_avro_body_are_refused() -> None:
    with pytest.raises(SchemaError, match="1 bytes follow"):
        decode_avro("dead_letter", encode_avro("dead_letter", LETTER) + b"x")


def test_an_unknown_schema_names_the_known_ones() -> None:
    with pytest.raises(SchemaError, match="there are alert, dead_letter"):
        schemas.schema("nothing")


# What the schemas and the code must say alike


def test_a_monitors_defaults_are_the_specs() -> None:
    record = decode_json("monitor", b'{"model": ""}')
    spec = orjson.loads(orjson.dumps(dataclasses.asdict(MonitorSpec())))
    assert {key: record[key] for key in spec} == spec


def test_dead_letters_are_documented_by_every_reason_and_no_other() -> None:
    text = (ROOT / "docs" / "dead-letters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    assert rows == [reason.value for reason in Reason]
    fields = {each["name"]: each["doc"] for each in schemas.source("dead_letter")["fields"]}
    assert all(reason.value in fields["reason"] for reason in Reason)


def test_topics_page_lists_every_topic() -> None:
    text = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE)
    assert rows == [topic.name for topic in TOPICS]
