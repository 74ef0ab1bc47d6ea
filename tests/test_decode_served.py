"""What rows carry for the join and for segments: the same by every road and from every format."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.ids import ids_of
from stream.core.labels import label_bits
from stream.core.records import Batch, Decoded, Header, ModelKey, RawBatch, Scalar, Served, Wants
from stream.core.specs import Profile
from tests.decode_rows import (
    ABSENT,
    ARROW,
    MODEL,
    NOW_MS,
    OWN_SCHEMAS,
    arrow_bytes,
    profile,
    row,
    slice_of,
    text,
)
from tests.test_decode_fuzz import texts, topic_names

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
    body = {name: row_.get(name) for name in ("features", "prediction", "score", "tags")}
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


ROWS: list[dict[str, Any]] = [
    row(),
    row(prediction_id=UUID, prediction="approve", score={"approve": 0.75, "deny": 0.25}),
    row(prediction=None, score=None, status="error", latency_ms=12.5),
    row(prediction=True, status="ok", tags={"country": "US", "shop": "7"}),
    row(prediction=2**60, latency_ms=3, tags={}),
    row(prediction="1", score=ABSENT, features=None),
    row(features={"age": 3, "extra": "x", "state": "CA"}),
    row(features={"age": None, "state": 7, "extra": False}),
    row(features={"age": "old", "income": 1}),
    row(features={}, prediction=-0.0),
    row(model="other", version=ABSENT, features={"age": 2.5}),
]


@pytest.mark.parametrize("known", [(), (profile(),), (profile(), profile(ModelKey("other", "")))])
def test_each_row_carries_what_was_sent(known: Sequence[Profile]) -> None:
    decode = serving(*known)
    for _ in range(3):
        found = decode.decode(slice_of([text(each) for each in ROWS]))
        assert found.rejected == ()
        assert carried(found) == {(i, 0): expected(each) for i, each in enumerate(ROWS)}


@pytest.mark.parametrize("known", [(), (profile(),)])
def test_rows_of_features_carry_ids_and_features(known: Sequence[Profile]) -> None:
    rows = [
        row_ | {"tags": {"country": "US"}, "latency_ms": 1.0} for row_ in ROWS if row_["features"]
    ]
    topics = ["features" if i % 2 else "predictions" for i in range(len(rows))]
    found = serving(*known).decode(slice_of([text(each) for each in rows], topics))
    assert carried(found) == {
        (i, 0): expected(each, predicted=topics[i] == "predictions") for i, each in enumerate(rows)
    }


def test_nothing_is_carried_where_nobody_asked() -> None:
    def only_other(model: str) -> Wants | None:
        return Wants(("age",)) if model == "other" else None

    values = [text(each) for each in ROWS]
    none = serving(profile(), wants=lambda _model: None).decode(slice_of(values))
    assert (
        {batch.served for batch in none.batches} == {batch.served for batch in none.raw} == {None}
    )
    some = serving(profile(), wants=only_other).decode(slice_of(values))
    assert [batch.served for batch in some.batches] == [None]
    (raw,) = some.raw
    assert raw.served is not None
    assert raw.served.plain == {"age": [2.5]}
    assert raw.served.bodies is None


def test_a_row_beside_one_that_is_asked_for_carries_what_the_join_needs() -> None:
    def bodies_of_other(model: str) -> Wants | None:
        return Wants(bodies=True) if model == "other" else None

    profiles = profile(), profile(ModelKey("other", ""))
    found = serving(*profiles, wants=bodies_of_other).decode(slice_of([text(r) for r in ROWS]))
    (batch,) = found.batches
    assert batch.served is not None
    assert batch.served.bodies is not None
    assert [body is not None for body in batch.served.bodies] == [False] * 10 + [True]
    assert np.array_equal(batch.served.ids, ids_of([each["prediction_id"] for each in ROWS]))


def test_models_are_asked_once_and_again_when_told() -> None:
    asked: list[str] = []
    answers: dict[str, Wants | None] = {"credit": None, "other": Wants(("age",))}

    def wants(model: str) -> Wants | None:
        asked.append(model)
        return answers[model]

    decode = serving(profile(), wants=wants)
    values = [text(each) for each in ROWS]
    for _ in range(3):
        decode.decode(slice_of(values))
    assert sorted(asked) == ["credit", "other"]
    answers["credit"] = Wants(("extra",))
    decode.ask_again()
    for _ in range(2):
        (batch,) = decode.decode(slice_of(values)).batches
        assert batch.served is not None
        assert list(batch.served.plain) == ["extra"]
        assert batch.served.plain["extra"][6:8] == ["x", False]
        assert batch.unknown is not None
        assert batch.unknown.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0]
    assert sorted(asked) == ["credit", "credit", "other", "other"]


def test_values_do_not_tell_how_they_were_read() -> None:
    values = [text(row(features={"age": 2**53 + 1, "state": 2**60, "extra": 2**60}))]
    plain = [
        carried(serving(*known).decode(slice_of(values)))[0, 0]["plain"]
        for known in ((), (profile(),))
    ]
    assert (
        plain[0]
        == plain[1]
        == {
            "age": float(2**53),
            "state": float(2**60),
            "extra": float(2**60),
            "tags.country": None,
            "unheard of": None,
        }
    )


@settings(deadline=None)
@given(st.lists(st.tuples(texts(), topic_names), max_size=12))
def test_what_is_known_changes_nothing_that_rows_carry(records: list[tuple[bytes, str]]) -> None:
    values, topics = [v for v, _ in records], [t for _, t in records]
    whole = carried(serving().decode(slice_of(values, topics)))
    decode = serving(profile())
    for _ in range(3):
        assert carried(decode.decode(slice_of(values, topics))) == whole


AVRO_ROWS = [
    row(tags={"country": "US"}, latency_ms=2.5, status="error"),
    row(prediction_id=UUID, prediction="yes", score={"yes": 0.5, "no": 0.5}, tags={}),
    row(features={"age": 1.5, "extra": "x"}, prediction=None, score=None, tags={"shop": "7"}),
]


@pytest.mark.parametrize("known", [(), (profile(),)])
def test_avro_rows_carry_what_json_rows_do(known: Sequence[Profile]) -> None:
    bodies = [schemas.encode_avro("prediction", each) for each in AVRO_ROWS]
    headers = [(("content-type", b"application/avro"),)] * len(bodies)
    found = serving(*known).decode(slice_of(bodies, headers=headers))
    assert found.rejected == ()
    assert carried(found) == {(i, 0): expected(each) for i, each in enumerate(AVRO_ROWS)}


ROOT: tuple[Header, ...] = (("content-type", ARROW.encode()),)
PREDICTIONS: dict[str, pa.Array] = {
    "integers": pa.array([1, None, 2**60]),
    "floats": pa.array([0.5, math.nan, None]),
    "booleans": pa.array([True, None, False]),
    "texts": pa.array(["yes", None, "1"]),
    "a dictionary": pa.array(["yes", "no", "yes"]).dictionary_encode(),
    "nothing": pa.nulls(3),
}


@pytest.mark.parametrize("predictions", PREDICTIONS.values(), ids=PREDICTIONS.keys())
@pytest.mark.parametrize("known", [(), (profile(),)])
@pytest.mark.parametrize("topic", ["predictions", "features"])
def test_arrow_rows_carry_what_json_rows_do(
    topic: str, known: Sequence[Profile], predictions: pa.Array
) -> None:
    columns = {
        "prediction_id": pa.array(["a", UUID, "c"]),
        "event_time_ms": pa.array([NOW_MS] * 3),
        "features.age": pa.array([1.5, None, 2.0], pa.float32()),
        "features.state": pa.array(["CA", None, "NY"]).dictionary_encode(),
        "features.extra": pa.array([2**60, 1, None]),
        "prediction": predictions,
        "score": pa.array([0.5, math.nan, None]),
        "score.a": pa.array([None, 0.25, None], pa.float64()),
        "score.b": pa.array([None, 0.75, None], pa.float64()),
        "latency_ms": pa.array([1, 2, None]),
        "status": pa.array(["ok", "error", None]).dictionary_encode(),
        "tags.country": pa.array(["US", None, "DE"]),
        "tags.shop": pa.array([1, 2, None]),
    }
    listed = {name: column.to_pylist() for name, column in columns.items()}
    rows = []
    for i in range(3):
        at = {name: _null(values[i]) for name, values in listed.items()}
        classes = {"a": at["score.a"], "b": at["score.b"]} if i == 1 else None
        fields = {n: at[n] for n in ("prediction_id", "prediction", "latency_ms", "status")}
        features = {n: at[f"features.{n}"] for n in ("age", "state", "extra")}
        tags = {n: at[f"tags.{n}"] for n in ("country", "shop")}
        rows.append(row(**fields, features=features, tags=tags, score=classes or at["score"]))
    found = serving(*known).decode(slice_of([arrow_bytes(columns, MODEL)], topic, headers=[ROOT]))
    assert found.rejected == ()
    want = {(0, i): expected(each, predicted=topic == "predictions") for i, each in enumerate(rows)}
    for each in want.values():
        extra = each["plain"]["extra"]
        each["plain"]["extra"] = None if extra is None else float(extra)
    assert carried(found) == want


def test_arrow_rows_need_no_more_than_ids() -> None:
    columns = {"prediction_id": pa.array(["a"]), "event_time_ms": pa.array([NOW_MS])}
    found = serving().decode(slice_of([arrow_bytes(columns)], headers=[ROOT]))
    want = expected(row(prediction_id="a", features=None, prediction=None, score=None))
    assert carried(found) == {(0, 0): want}


def _null(value: Any) -> Any:
    return None if value != value else value
