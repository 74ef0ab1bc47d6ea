"""What the tests of served columns share: a decoder that is asked, rows in one comparable form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.ids import ids_of
from stream.core.labels import label_bits
from stream.core.records import Batch, Decoded, RawBatch, Scalar, Served, Wants
from stream.core.specs import Profile
from tests.decode_rows import (
    OWN_SCHEMAS,
)

PLAIN = ("state", "age", "extra", "tags.country", "unheard of")
ALL = Wants(PLAIN, bodies=True)
UUID = "0190a1b2-0000-7000-8000-00000000002a"
Asked = Callable[[str], Wants | None]


def serving(*known: Profile, wants: Asked = lambda _model: ALL) -> Decoder:
    profiles = Profiles()
    for each in known:
        assert profiles.hear(each) is None
    return Decoder(profiles, None, OWN_SCHEMAS, None, wants)


def number(value: float) -> float | None:
    return None if math.isnan(value) else value


Carried = dict[str, Any]


def carried(found: Decoded) -> dict[tuple[int, int], Carried]:
    """What each row carries, by (record, row); absent columns are columns of absent values."""
    rows: dict[tuple[int, int], Carried] = {}
    batches: list[Batch | RawBatch] = [*found.batches, *found.raw]
    for batch in batches:
        served = batch.served
        assert served is not None
        for i, place in enumerate(zip(batch.record.tolist(), batch.row.tolist(), strict=True)):
            rows[place] = one(served, i)
        assert {len(column) for column in served.plain.values()} <= {len(batch)}
    return rows


def one(served: Served, i: int) -> Carried:
    classes = None if served.probabilities is None else served.probabilities[i]
    known = {k: v for k, v in (classes or {}).items() if v is not None}
    body = None if served.bodies is None else served.bodies[i]
    return {
        "id": tuple(served.ids[i].tolist()),
        "prediction": (int(served.form[i]), int(served.bits[i])),
        "score": number(float(served.score[i])),
        "probabilities": known or None,
        "latency": None if served.latency_ms is None else number(float(served.latency_ms[i])),
        "error": served.error is not None and bool(served.error[i]),
        "plain": {name: column[i] for name, column in served.plain.items()},
        "body": None if body is None else body.decode(),
    }


def expected(row_: dict[str, Any], predicted: bool = True) -> Carried:
    """The same of one row, in the plainest way."""
    features, tags = row_.get("features") or {}, row_.get("tags") or {}
    plain: dict[str, Scalar] = {name: features.get(name) for name in PLAIN}
    plain["tags.country"] = tags.get("country") if predicted else None
    score = row_.get("score") if predicted else None
    classes = score if isinstance(score, dict) else None
    names = ("prediction_id", "event_time_ms", "features", "prediction", "score", "tags")
    body = {name: row_.get(name) for name in names}
    form, bits = label_bits(row_.get("prediction") if predicted else None)
    return {
        "id": tuple(ids_of([row_["prediction_id"]])[0].tolist()),
        "prediction": (int(form), bits),
        "score": None if classes is not None else score,
        "probabilities": classes,
        "latency": row_.get("latency_ms") if predicted else None,
        "error": predicted and row_.get("status") == "error",
        "plain": plain,
        "body": orjson.dumps(body).decode() if predicted else None,
    }
