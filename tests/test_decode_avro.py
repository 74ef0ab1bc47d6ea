"""Avro rows: framed, by a schema in a header, by our own; and what hostile bytes come to."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.decode import DecodeLimits
from stream.core.errors import BrokerError, Reason
from stream.core.records import Header
from tests.decode_rows import NOW_MS, decoder, profile, row, rows_of, slice_of, text

AVRO: tuple[Header, ...] = (("content-type", b"application/avro"),)
NAMED: tuple[Header, ...] = (*AVRO, ("schema", b"prediction"))
THEIRS: dict[str, Any] = {
    "type": "record",
    "name": "Scored",
    "fields": [
        {"name": "prediction_id", "type": {"type": "fixed", "name": "Id", "size": 16}},
        {"name": "model", "type": "string"},
        {"name": "event_time_ms", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "features",
            "type": {
                "type": "record",
                "name": "Features",
                "fields": [
                    {"name": "age", "type": ["null", "float"]},
                    {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["CA"]}},
                ],
            },
        },
        {"name": "prediction", "type": "int"},
    ],
}


class Registry:
    """A registry of the schemas given; away until told otherwise."""

    def __init__(self, **known: dict[str, Any]) -> None:
        self.known = {int(name[1:]): fastavro.parse_schema(s) for name, s in known.items()}
        self.away = False
        self.asked: list[int] = []

    def get(self, schema_id: int) -> dict[str, Any] | None:
        self.asked.append(schema_id)
        if self.away:
            raise BrokerError("the registry does not answer")
        found = self.known.get(schema_id)
        return found if isinstance(found, dict) else None


def encoded(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
    return body.getvalue()


def framed(schema_id: int, body: bytes) -> bytes:
    return struct.pack(">bI", 0, schema_id) + body


def their_row() -> dict[str, Any]:
    return {
        "prediction_id": bytes(16),
        "model": "plain",
        "event_time_ms": NOW_MS * 1000 + 999,
        "features": {"age": 1.5, "state": "CA"},
        "prediction": 1,
    }


FEATURES: list[dict[str, Any]] = [
    {"age": 1.5, "income": 2, "state": "CA", "code": 1},
    {"age": None, "income": float("nan"), "state": None, "code": float("nan")},
    {"age": True, "income": float("inf"), "state": "TX", "code": True},
    {"age": "old", "extra": 1, "another": float("nan"), "third": None, "code": 2.5},
    {},
]


def test_avro_rows_equal_json_rows() -> None:
    rows = [row(features=f, prediction=p) for f in FEATURES for p in (0, 1, "1", None, 7.5)]
    rows.append(row(features=None, score={"yes": 0.5}))
    bodies = [schemas.encode_avro("prediction", each) for each in rows]
    registry = Registry(_7=schemas.source("prediction"))
    schema_text = json.dumps(schemas.source("prediction")).encode()
    for known in ([profile()], []):
        expected = rows_of(decoder(*known).decode(slice_of([text(r) for r in rows])), profile())
        for values, headers in (
            (bodies, [NAMED] * len(rows)),
            (bodies, [AVRO] * len(rows)),
            (bodies, [(*AVRO, ("schema", schema_text))] * len(rows)),
            ([framed(7, body) for body in bodies], None),
        ):
            decode = decoder(*known, registry=registry)
            for _ in range(10):
                decoded = decode.decode(slice_of(values, headers=headers))
                assert not decoded.rejected
                assert rows_of(decoded, profile()) == expected
    assert len(registry.asked) == 2  # once a decoder


def test_features_rows_are_read_by_their_own_schema() -> None:
    value = {k: v for k, v in row().items() if k not in {"prediction", "score"}}
    body = schemas.encode_avro("feature_row", value)
    decoded = decoder(profile()).decode(slice_of([body], "features", headers=[AVRO]))
    expected = decoder(profile()).decode(slice_of([text(value)], "features"))
    assert rows_of(decoded, profile()) == rows_of(expected, profile())


def test_a_foreign_row_of_records_enums_and_logical_times_is_read() -> None:
    value = framed(1, encoded(THEIRS, their_row()))
    (raw,) = decoder(registry=Registry(_1=THEIRS)).decode(slice_of([value])).raw
    assert raw.event_time_ms.tolist() == [NOW_MS]
    assert raw.columns == {"features.age": [1.5], "features.state": ["CA"], "prediction": [1]}


def test_a_registry_that_is_away_loses_no_row() -> None:
    registry = Registry(_1=THEIRS)
    registry.away = True
    decode = decoder(registry=registry)
    slice_ = slice_of([text(row()), framed(1, encoded(THEIRS, their_row()))])
    with pytest.raises(BrokerError):
        decode.decode(slice_)
    registry.away = False
    assert len(rows_of(decode.decode(slice_), profile())) == 2


def record(**fields: Any) -> dict[str, Any]:
    types = {"prediction_id": "string", "model": "string", "event_time_ms": "long", **fields}
    return {
        "type": "record",
        "name": "R",
        "fields": [{"name": name, "type": kind} for name, kind in types.items()],
    }


def doubled(levels: int) -> Any:
    """A record that holds 2 ** levels nulls and takes no byte."""
    kind: Any = "null"
    for level in range(levels):
        first = kind
        second = f"D{level - 1}" if level else "null"
        fields = [{"name": "a", "type": first}, {"name": "b", "type": second}]
        kind = {"type": "record", "name": f"D{level}", "fields": fields}
    return kind


LINKED: Any = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}
HEAD = encoded(record(), {"prediction_id": "a", "model": "m", "event_time_ms": NOW_MS})
MANY = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"  # a count of 2 ** 62
OURS = schemas.encode_avro("prediction", row())

HOSTILE: dict[str, tuple[dict[str, Any] | None, bytes, Reason]] = {
    "no such id": (None, HEAD, Reason.SCHEMA_UNKNOWN),
    "no row": ({"type": "record", "name": "R", "fields": []}, b"", Reason.SCHEMA_MISMATCH),
    "a schema that refers to itself": (record(n=LINKED), HEAD, Reason.SCHEMA_MISMATCH),
    "an array of nothing": (
        record(n={"type": "array", "items": "null"}),
        HEAD + MANY,
        Reason.SCHEMA_MISMATCH,
    ),
    "an array of an empty record": (
        record(n={"type": "array", "items": doubled(3)}),
        HEAD + MANY,
        Reason.SCHEMA_MISMATCH,
    ),
    "a schema that unfolds without end": (record(n=doubled(40)), HEAD, Reason.SCHEMA_MISMATCH),
    "an endless map": (
        record(features={"type": "map", "values": "int"}),
        HEAD + MANY + b"\x02a\x02",
        Reason.MALFORMED,
    ),
    "an endless string": (record(prediction="string"), HEAD + MANY, Reason.MALFORMED),
    "bytes left over": (record(), HEAD + b"x", Reason.MALFORMED),
    "cut short": (record(), HEAD[:-1], Reason.MALFORMED),
    "no such branch": (record(prediction=["null", "int"]), HEAD + b"\x08", Reason.MALFORMED),
    "bytes as a feature": (
        record(features={"type": "map", "values": "bytes"}),
        HEAD + b"\x02\x02a\x02b\x00",
        Reason.WRONG_TYPE,
    ),
    "another schema than it was written by": (record(z="double"), OURS, Reason.MALFORMED),
}


@pytest.mark.parametrize(("schema", "body", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_avro_is_rejected(
    schema: dict[str, Any] | None, body: bytes, reason: Reason
) -> None:
    registry = Registry() if schema is None else Registry(_5=schema)
    values = [text(row()), framed(5, body), text(row())]
    decoded = decoder(profile(), registry=registry).decode(slice_of(values))
    assert [(r.record, r.reason) for r in decoded.rejected] == [(1, reason)]
    assert set(rows_of(decoded, profile())) == {(0, 0), (2, 0)}


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (framed(9, OURS), AVRO, Reason.SCHEMA_UNKNOWN),
        (b"\x00\x00\x01", AVRO, Reason.MALFORMED),
        (OURS, (*AVRO, ("schema", b"no-such-name")), Reason.SCHEMA_UNKNOWN),
        (OURS, (*AVRO, ("schema", b"alert")), Reason.SCHEMA_UNKNOWN),
        (OURS, (*AVRO, ("schema", b"label")), Reason.MALFORMED),
        (OURS, (*AVRO, ("schema", b"{broken")), Reason.SCHEMA_MISMATCH),
        (OURS, (*AVRO, ("schema", b'{"type": "record"}')), Reason.SCHEMA_MISMATCH),
        (OURS, (*AVRO, ("schema", b'{"type": [[[')), Reason.SCHEMA_MISMATCH),
        (OURS, (*AVRO, ("schema", b"{" + b" " * 70_000)), Reason.SCHEMA_MISMATCH),
        (text(row()), NAMED, Reason.MALFORMED),
        (OURS, (("content-type", b"application/json"),), Reason.MALFORMED),
    ],
)
def test_headers_that_lie_are_rejected(
    value: bytes, headers: tuple[Header, ...], reason: Reason
) -> None:
    decoded = decoder(profile()).decode(slice_of([value], headers=[headers]))
    assert [r.reason for r in decoded.rejected] == [reason]


def test_too_many_features_are_counted_in_avro_too() -> None:
    body = schemas.encode_avro("prediction", row(features={f"f{i}": i for i in range(5)}))
    for known in ([profile()], []):
        decode = decoder(*known, limits=DecodeLimits(max_features=4))
        decoded = decode.decode(slice_of([body], headers=[NAMED]))
        assert [r.reason for r in decoded.rejected] == [Reason.TOO_MANY_FEATURES]


@settings(deadline=None)
@given(st.data())
def test_damaged_avro_never_raises(data: st.DataObject) -> None:
    value = bytearray(OURS)
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    values = [bytes(value), bytes(value[: data.draw(st.integers(1, len(value)))])]
    decoded = decoder(profile()).decode(slice_of(values, headers=[NAMED] * 2))
    plain = decoder().decode(slice_of(values, headers=[NAMED] * 2))
    assert decoded.rejected == plain.rejected
    places = {r.record for r in decoded.rejected} | {r for r, _ in rows_of(decoded, profile())}
    assert places == {0, 1}
