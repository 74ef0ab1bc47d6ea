"""Bad rows: each is rejected for a reason of its own, and the rows around it are not."""

from __future__ import annotations

import math

import pytest

from stream.core.decode import DecodeLimits
from stream.core.errors import Reason
from tests.decode_rows import ABSENT, NOW_MS, decoder, profile, row, rows_of, slice_of, text

LIMITS = DecodeLimits(max_features=6, max_record_bytes=2_000)

BAD: dict[str, tuple[bytes | None, Reason]] = {
    "no value": (None, Reason.EMPTY),
    "empty": (b"", Reason.EMPTY),
    "too large": (text(row(note="x" * 3_000)), Reason.OVERSIZED),
    "text": (b"hello", Reason.UNKNOWN_FORMAT),
    "an array": (b"[1]", Reason.UNKNOWN_FORMAT),
    "a newer registry's frame": (b"\x01" + bytes(16) + b"x", Reason.UNKNOWN_FORMAT),
    "cut short": (text(row())[:-1], Reason.MALFORMED),
    "trailing bytes": (text(row()) + b"}", Reason.MALFORMED),
    "two rows": (text(row()) + b"\n" + text(row()), Reason.MALFORMED),
    "not UTF-8": (text(row()).replace(b"CA", b"\xff\xfe"), Reason.MALFORMED),
    "a lone surrogate": (text(row()).replace(b"CA", b"\\ud800"), Reason.MALFORMED),
    "a lone surrogate as a name": (text(row()).replace(b"age", b"\\ud800"), Reason.MALFORMED),
    "deep": (b'{"a":' + b"[" * 900_0 + b"]" * 900_0 + b"}", Reason.OVERSIZED),
    "a long number": (b'{"a":' + b"9" * 1_900, Reason.MALFORMED),
    "no id": (text(row(prediction_id=ABSENT)), Reason.MISSING_FIELD),
    "null id": (text(row(prediction_id=None)), Reason.BAD_ID),
    "a number as id": (text(row(prediction_id=7)), Reason.BAD_ID),
    "empty id": (text(row(prediction_id="")), Reason.BAD_ID),
    "long id": (text(row(prediction_id="x" * 257)), Reason.BAD_ID),
    "long id in bytes": (text(row(prediction_id="é" * 129)), Reason.BAD_ID),
    "a surrogate in the id": (text(row()).replace(b"id-1", b"\\udc00"), Reason.BAD_ID),
    "no model": (text(row(model=ABSENT)), Reason.MISSING_FIELD),
    "null model": (text(row(model=None)), Reason.MISSING_FIELD),
    "empty model": (text(row(model="")), Reason.MISSING_FIELD),
    "a number as model": (text(row(model=1)), Reason.WRONG_TYPE),
    "a long model": (text(row(model="m" * 257)), Reason.BAD_ID),
    "a number as version": (text(row(version=3)), Reason.WRONG_TYPE),
    "no time": (text(row(event_time_ms=ABSENT)), Reason.MISSING_FIELD),
    "text as time": (text(row(event_time_ms="now")), Reason.WRONG_TYPE),
    "a boolean as time": (text(row(event_time_ms=True)), Reason.WRONG_TYPE),
    "a fraction of a ms": (text(row(event_time_ms=NOW_MS + 0.5)), Reason.WRONG_TYPE),
    "NaN time": (text(row(event_time_ms=math.nan)), Reason.NOT_FINITE_TIME),
    "infinite time": (text(row(event_time_ms=math.inf)), Reason.NOT_FINITE_TIME),
    "overflowing time": (text(row()).replace(b"1760000000000", b"1e999"), Reason.NOT_FINITE_TIME),
    "time before 1970": (text(row(event_time_ms=-1)), Reason.TIME_OUT_OF_RANGE),
    "time in nanoseconds": (text(row(event_time_ms=NOW_MS * 10**6)), Reason.TIME_OUT_OF_RANGE),
    "the future": (text(row(event_time_ms=NOW_MS + 300_001)), Reason.EVENT_TIME_IN_FUTURE),
    "features as an array": (text(row(features=[1, 2])), Reason.WRONG_TYPE),
    "features as text": (text(row(features="age")), Reason.WRONG_TYPE),
    "a feature that is an object": (text(row(features={"age": {"x": 1}})), Reason.WRONG_TYPE),
    "a feature that is an array": (text(row(features={"other": [1]})), Reason.WRONG_TYPE),
    "many features": (text(row(features={f"f{i}": i for i in range(7)})), Reason.TOO_MANY_FEATURES),
    "many classes": (text(row(score={f"c{i}": 0.1 for i in range(7)})), Reason.TOO_MANY_FEATURES),
    "an object as prediction": (text(row(prediction={"a": 1})), Reason.WRONG_TYPE),
    "text as score": (text(row(score="high")), Reason.WRONG_TYPE),
    "text as a class's score": (text(row(score={"a": "high"})), Reason.WRONG_TYPE),
    "text as latency": (text(row(latency_ms="fast")), Reason.WRONG_TYPE),
    "a number as status": (text(row(status=200)), Reason.WRONG_TYPE),
    "text as attribution": (text(row(attributions={"age": "much"})), Reason.WRONG_TYPE),
    "an array as tag": (text(row(tags={"country": ["US"]})), Reason.WRONG_TYPE),
}


@pytest.mark.parametrize("known", [True, False], ids=["profile", "no profile"])
@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_row_is_rejected_for_its_reason_alone(
    value: bytes | None, reason: Reason, known: bool
) -> None:
    decode = decoder(*([profile()] if known else []), limits=LIMITS)
    good = text(row())
    for _ in range(3):  # the first slice, and those that are read in one pass
        decoded = decode.decode(slice_of([good, value, good]))
        assert [(r.record, r.reason, r.rows) for r in decoded.rejected] == [(1, reason, ())]
        assert len(decoded.rejected[0].detail) < 300
        assert set(rows_of(decoded, profile())) == {(0, 0), (2, 0)}
