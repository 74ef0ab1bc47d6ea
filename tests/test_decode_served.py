"""What rows carry for the join and for segments: the same by every road and from every format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.ids import ids_of
from stream.core.records import ModelKey, Wants
from stream.core.specs import Profile
from tests.decode_rows import (
    ABSENT,
    profile,
    row,
    slice_of,
    text,
)
from tests.decode_served import UUID, carried, expected, serving
from tests.decode_strategies import texts, topic_names

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
