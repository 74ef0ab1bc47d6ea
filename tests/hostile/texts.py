"""Predictions as JSON that is broken, absurd or unusual, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.core.errors import Reason
from stream.core.records import Header
from tests.hostile.case import Case, Maker, good, refused, text
from tests.kafka_io import Record

__all__ = ["LARGE_TEXTS", "TEXTS"]

_DEEP = 5_000
_HOUR_MS = 3_600_000
_JSON: Header = ("content-type", b"application/json")


def _fields(reason: Reason, **fields: Any) -> Maker:
    return lambda number, now_ms: refused(reason, text(number, now_ms, **fields), number)


def _odd(**fields: Any) -> Maker:
    return lambda number, now_ms: good(text(number, now_ms, **fields), number)


def _swapped(reason: Reason | None, old: bytes, new: bytes, **fields: Any) -> Maker:
    """A good row in which some bytes are replaced by what JSON's writers won't write."""

    def make(number: int, now_ms: int) -> Case:
        whole = text(number, now_ms, **fields)
        assert old in whole
        value = whole.replace(old, new, 1)
        return good(value, number) if reason is None else refused(reason, value, number)

    return make


def _time(reason: Reason, literal: bytes) -> Maker:
    return lambda number, now_ms: refused(
        reason, text(number, now_ms).replace(b"%d" % now_ms, literal), number
    )


def _feature(reason: Reason | None, literal: bytes) -> Maker:
    return _swapped(reason, b'"x1":1', b'"x1":' + literal)


def _bytes(reason: Reason, value: bytes | None, *headers: Header) -> Maker:
    return lambda number, _now_ms: refused(reason, value, number, *headers)


def _cut(number: int, now_ms: int) -> Case:
    return refused(Reason.MALFORMED, text(number, now_ms)[: 20 + number % 100], number)


def _future(number: int, now_ms: int) -> Case:
    late = text(number, now_ms + 400 * 24 * _HOUR_MS)
    return refused(Reason.EVENT_TIME_IN_FUTURE, late, number)


def _many(count: int) -> Maker:
    def make(number: int, now_ms: int) -> Case:
        features = {f"f{place}": place for place in range(count)}
        value = text(number, now_ms, features=features)
        return refused(Reason.TOO_MANY_FEATURES, value, number)

    return make


def _long_id(size: int) -> Maker:
    def make(number: int, now_ms: int) -> Case:
        key = str(number).ljust(size, "x")
        value = text(number, now_ms, prediction_id=key)
        return good(value, number) if size <= 256 else refused(Reason.BAD_ID, value, number)

    return make


def _headers(*headers: Header) -> Maker:
    return lambda number, now_ms: good(text(number, now_ms), number, *headers)


def _lying(reason: Reason, kind: bytes) -> Maker:
    return lambda number, now_ms: refused(
        reason, text(number, now_ms), number, ("content-type", kind)
    )


def _large_key(number: int, now_ms: int) -> Case:
    key = str(number).encode().ljust(900_000, b"k")
    return Case("predictions", Record(text(number, now_ms), key), 1)


def _refused_with_large_key(number: int, _now_ms: int) -> Case:
    key = str(number).encode().ljust(900_000, b"k")
    return Case("predictions", Record(b"{", key), 0, {Reason.MALFORMED: 1})


def _large(size: int, reason: Reason | None) -> Maker:
    def make(number: int, now_ms: int) -> Case:
        value = text(number, now_ms, unheard_of="x" * size)
        return good(value, number) if reason is None else refused(reason, value, number)

    return make


TEXTS: Mapping[str, Maker] = {
    "cut short": _cut,
    "nothing but braces": _bytes(Reason.MALFORMED, b"{" * _DEEP),
    "an empty object": _bytes(Reason.MISSING_FIELD, b"{}"),
    "an array": _bytes(Reason.UNKNOWN_FORMAT, b"[]"),
    "blanks": _bytes(Reason.MALFORMED, b"   \n"),
    "noise": _bytes(Reason.UNKNOWN_FORMAT, bytes(range(130, 255))),
    "no value": _bytes(Reason.EMPTY, None),
    "an empty value": _bytes(Reason.EMPTY, b""),
    "two rows": lambda number, now_ms: refused(
        Reason.MALFORMED, text(number, now_ms) + text(number, now_ms), number
    ),
    "features nested deeply": _swapped(
        Reason.MALFORMED, b'"x1":1', b'"x1":' + b"[" * _DEEP + b"]" * _DEEP
    ),
    "an unknown field nested deeply": _swapped(
        Reason.MALFORMED,
        b'"version"',
        b'"u":' + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b',"version"',
    ),
    "no UTF-8 in the id": _swapped(Reason.MALFORMED, b'"odd-', b'"\xff\xfe'),
    "no UTF-8 in a feature": _swapped(Reason.MALFORMED, b'"CA"', b'"\xc3\x28"'),
    "half a pair of surrogates": _swapped(Reason.MALFORMED, b'"CA"', b'"\\ud800"'),
    "a list under half a pair of surrogates": _swapped(
        Reason.WRONG_TYPE, b'"x1":1', b'"\\ud800":[1]'
    ),
    "a time of half a pair of surrogates": _time(Reason.WRONG_TYPE, b'"\\udfff"'),
    "a time of NaN": _time(Reason.NOT_FINITE_TIME, b"NaN"),
    "a time of infinity": _time(Reason.NOT_FINITE_TIME, b"-Infinity"),
    "a time of 1e400": _time(Reason.NOT_FINITE_TIME, b"1e400"),
    "a negative time": _time(Reason.TIME_OUT_OF_RANGE, b"-1"),
    "a time of nanoseconds": _time(Reason.TIME_OUT_OF_RANGE, b"1760000000000000000"),
    "a time of 2^63": _time(Reason.TIME_OUT_OF_RANGE, b"9223372036854775808"),
    "a time of 5,000 digits": _time(Reason.NOT_FINITE_TIME, b"9" * 5_000),
    "a time as text": _time(Reason.WRONG_TYPE, b'"yesterday"'),
    "a time within a millisecond": _time(Reason.WRONG_TYPE, b"1.5"),
    "a time a year ahead": _future,
    "no time": _fields(Reason.MISSING_FIELD, event_time_ms=...),
    "no model": _fields(Reason.MISSING_FIELD, model=...),
    "no id": _fields(Reason.MISSING_FIELD, prediction_id=...),
    "an id of nothing": _fields(Reason.BAD_ID, prediction_id=""),
    "an id of 256 bytes": _long_id(256),
    "an id of 257 bytes": _long_id(257),
    "an id of a number": _fields(Reason.BAD_ID, prediction_id=7),
    "a model of 257 letters": _fields(Reason.BAD_ID, model="m" * 257),
    "a model of a number": _fields(Reason.WRONG_TYPE, model=7),
    "features of a list": _fields(Reason.WRONG_TYPE, features=[1, 2]),
    "a feature of a list": _fields(Reason.WRONG_TYPE, features={"x0": [1]}),
    "a feature of an object": _fields(Reason.WRONG_TYPE, features={"x0": {"y": 1}}),
    "1,001 features": _many(1_001),
    "a score of 1,001 classes": _fields(
        Reason.TOO_MANY_FEATURES, score={f"c{i}": 0.001 for i in range(1_001)}
    ),
    "a feature of minus nought": _feature(None, b"-0"),
    "a feature of 2^63": _feature(None, b"9223372036854775808"),
    "a feature of NaN": _feature(None, b"NaN"),
    "a feature of 1e400": _feature(None, b"1e400"),
    "a feature of 5,000 digits": _feature(None, b"7" * 5_000),
    "a feature twice": _feature(None, b'1,"x1":"old"'),
    "an id twice": _swapped(None, b"{", b'{"prediction_id":"other",'),
    "features without names": _odd(features={"": 1, "\x00": 2}),
    "unknown fields of all kinds": _odd(a=[{}], b={"c": [[]]}, prediction_ids="x"),
    "JSON that says it is Avro": _lying(Reason.MALFORMED, b"application/avro"),
    "JSON that says it is Arrow": _lying(Reason.MALFORMED, b"application/vnd.apache.arrow.stream"),
    "noise that says it is JSON": _bytes(Reason.MALFORMED, b"\x00\x01\x02", _JSON),
    "a content type that is no text": _headers(("content-type", b"\xff\xff")),
    "a content type that nobody knows": _headers(("content-type", b"text/x-odd")),
    "a content type twice": _headers(_JSON, ("content-type", b"application/avro")),
    "headers without end": _headers(*((f"h{i}", b"x" * 50) for i in range(300))),
}

LARGE_TEXTS: Mapping[str, Maker] = {
    "100,000 features": _many(100_000),
    "brackets 500,000 deep": _swapped(
        Reason.MALFORMED, b'"x1":1', b'"x1":' + b"[" * 500_000 + b"]" * 500_000
    ),
    "a text of 5 MB": _large(5_000_000, None),
    "a value of 10 MB": _large(10_000_000, Reason.OVERSIZED),
    "a key of 0.9 MB": _large_key,
    "a key of 0.9 MB on a broken row": _refused_with_large_key,
}
