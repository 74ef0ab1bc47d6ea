"""Labels: the same columns from every format, and a reason for each label that is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stream import schemas
from stream.core.decode import DecodeLimits
from stream.core.errors import Reason
from stream.core.labels import label_bits
from stream.core.records import Header
from tests.decode_labels import decoded, expected, label, seen
from tests.decode_rows import (
    ABSENT,
    NOW_MS,
    decoder,
    profile,
    row,
    slice_of,
    text,
)

AVRO: tuple[Header, ...] = (("content-type", b"application/avro"),)


GOOD: dict[str, dict[str, Any]] = {
    "a class": label(),
    "a boolean": label(label=True),
    "text": label(label="approve", model="credit"),
    "text of a number": label(label="1"),
    "a fraction": label(label=12.5, model=None),
    "minus zero": label(label=-0.0),
    "a retraction": label(label=None, model=""),
    "an integer beyond 2^53": label(label=2**60),
    "that as a float": label(label=float(2**60)),
    "the largest": label(label=2**63 - 1),
    "other letters": label(label="é", prediction_id="ü" * 128),
    "an empty text": label(label=""),
    "a UUID": label(prediction_id="0190a1b2-0000-7000-8000-00000000002A"),
    "a whole float as time": label(event_time_ms=float(NOW_MS)),
    "another field": label(unheard_of=[1], label="x"),
}


def test_each_label_is_what_it_was_and_where_it_was() -> None:
    rows = list(GOOD.values())
    found = decoded([text(each) for each in rows])
    assert found.rejected == ()
    assert (found.batches, found.raw) == ((), ())
    assert seen(found.labels) == {(i, 0): expected(each) for i, each in enumerate(rows)}
    assert found.labels is not None
    texts = {str(row_["label"]) for row_ in rows if label_bits(row_["label"])[0].name == "TEXT"}
    assert set(found.labels.texts.values()) == texts
    assert {label_bits(name)[1] for name in texts} == set(found.labels.texts)


@pytest.mark.parametrize("row_", GOOD.values(), ids=GOOD.keys())
def test_a_label_alone_is_as_among_others(row_: dict[str, Any]) -> None:
    assert seen(decoded([text(row_)]).labels) == {(0, 0): expected(row_)}


BAD: dict[str, tuple[bytes | None, Reason]] = {
    "no value": (None, Reason.EMPTY),
    "text": (b"hello", Reason.UNKNOWN_FORMAT),
    "too large": (text(label(note="x" * 3_000)), Reason.OVERSIZED),
    "cut short": (text(label())[:-1], Reason.MALFORMED),
    "not UTF-8": (text(label(label="CA")).replace(b"CA", b"\xff\xfe"), Reason.MALFORMED),
    "a lone surrogate": (text(label(label="CA")).replace(b"CA", b"\\ud800"), Reason.MALFORMED),
    "no id": (text(label(prediction_id=ABSENT)), Reason.MISSING_FIELD),
    "null id": (text(label(prediction_id=None)), Reason.BAD_ID),
    "a number as id": (text(label(prediction_id=7)), Reason.BAD_ID),
    "empty id": (text(label(prediction_id="")), Reason.BAD_ID),
    "long id in bytes": (text(label(prediction_id="é" * 129)), Reason.BAD_ID),
    "no label": (text(label(label=ABSENT)), Reason.MISSING_FIELD),
    "NaN": (text(label(label=math.nan)), Reason.WRONG_TYPE),
    "infinite": (text(label(label=-math.inf)), Reason.WRONG_TYPE),
    "overflowing": (text(label(label=77)).replace(b"77", b"1e999"), Reason.WRONG_TYPE),
    "an object": (text(label(label={"a": 1})), Reason.WRONG_TYPE),
    "an array": (text(label(label=[1])), Reason.WRONG_TYPE),
    "no time": (text(label(event_time_ms=ABSENT)), Reason.MISSING_FIELD),
    "text as time": (text(label(event_time_ms="now")), Reason.WRONG_TYPE),
    "a fraction of a ms": (text(label(event_time_ms=NOW_MS + 0.5)), Reason.WRONG_TYPE),
    "NaN time": (text(label(event_time_ms=math.nan)), Reason.NOT_FINITE_TIME),
    "time before 1970": (text(label(event_time_ms=-1)), Reason.TIME_OUT_OF_RANGE),
    "the future": (text(label(event_time_ms=NOW_MS + 300_001)), Reason.EVENT_TIME_IN_FUTURE),
    "a number as model": (text(label(model=1)), Reason.WRONG_TYPE),
    "a long model": (text(label(model="m" * 257)), Reason.BAD_ID),
}


@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_label_is_rejected_for_its_reason_alone(value: bytes | None, reason: Reason) -> None:
    good = text(label())
    found = decoded([good, value, good], limits=DecodeLimits(max_record_bytes=2_000))
    assert [(r.record, r.reason, r.rows) for r in found.rejected] == [(1, reason, ())]
    assert len(found.rejected[0].detail) < 300
    assert seen(found.labels) == {(0, 0): expected(label()), (2, 0): expected(label())}


def test_labels_among_predictions_are_in_their_own_place() -> None:
    values = [text(label(label="x", model="b")), text(row()), text(label(model="a")), text(row())]
    topics = ["labels", "predictions", "labels", "features"]
    for known in ((), (profile(),)):
        found = decoder(*known).decode(slice_of(values, topics))
        assert found.rejected == ()
        assert set(seen(found.labels)) == {(0, 0), (2, 0)}
        assert sum(map(len, found.batches)) + sum(map(len, found.raw)) == 2


def test_without_labels_there_are_none() -> None:
    assert decoder().decode(slice_of([text(row())])).labels is None
    assert decoded([b"{}"]).labels is None


def test_avro_labels_are_the_json_ones() -> None:
    rows = {name: row_ for name, row_ in GOOD.items() if name != "another field"}
    whole = [row_ | {"event_time_ms": int(row_["event_time_ms"])} for row_ in rows.values()]
    bodies: list[bytes | None] = [schemas.encode_avro("label", row_) for row_ in whole]
    found = decoder().decode(slice_of(bodies, "labels", headers=[AVRO] * len(bodies)))
    assert found.rejected == ()
    assert seen(found.labels) == {(i, 0): expected(row_) for i, row_ in enumerate(whole)}


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (schemas.encode_avro("label", label(label=math.nan)), AVRO, Reason.WRONG_TYPE),
        (schemas.encode_avro("label", label(label=math.inf)), AVRO, Reason.WRONG_TYPE),
        (schemas.encode_avro("label", label(prediction_id="é" * 129)), AVRO, Reason.BAD_ID),
        (schemas.encode_avro("label", label()) + b"x", AVRO, Reason.MALFORMED),
        (b"\x00\x00\x00\x00\x07", AVRO, Reason.SCHEMA_UNKNOWN),
        (b"x", (*AVRO, ("schema", b"prediction")), Reason.SCHEMA_MISMATCH),
    ],
)
def test_a_bad_avro_label_is_rejected(
    value: bytes, headers: tuple[Header, ...], reason: Reason
) -> None:
    found = decoder().decode(slice_of([value], "labels", headers=[headers]))
    assert [r.reason for r in found.rejected] == [reason]
    assert found.labels is None
