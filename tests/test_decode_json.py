"""JSON rows: what is data, by which profile a row is read, what a batch holds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.core.catalog import Profiles
from stream.core.decode import DecodeLimits, Decoder
from stream.core.decode.text import nan_as_null
from stream.core.errors import Reason
from stream.core.records import Decoded, ModelKey, Source
from stream.core.specs import MISTYPED, UNSEEN
from tests.decode_rows import (
    ABSENT,
    NOW_MS,
    carries,
    decoder,
    numeric,
    profile,
    row,
    rows_of,
    slice_of,
    text,
)


def test_features_rows_must_have_features_and_carry_nothing_else() -> None:
    values = [text(row(features=ABSENT)), text(row()), text(row(features={}))]
    for known in ([profile()], []):
        decoded = decoder(*known).decode(slice_of(values, "features"))
        assert [(r.record, r.reason) for r in decoded.rejected] == [(0, Reason.MISSING_FIELD)]
        found = rows_of(decoded, profile())
        assert found[1, 0][2] == found[2, 0][2] == carries("features")
        assert found[1, 0][3]["score"] == "missing"
        assert found[1, 0][3]["features.age"] == 1.5


def test_a_prediction_without_features_carries_none() -> None:
    values = [text(row(features=None)), text(row()), text(row(features=ABSENT))]
    for known in ([profile()], []):
        found = rows_of(decoder(*known).decode(slice_of(values)), profile())
        own = [found[i, 0][2] for i in range(3)]
        bare = carries("predictions", features=False)
        assert own == [bare, carries("predictions"), bare]
        assert found[0, 0][3]["score"] == 0.25


ODD_FEATURES: list[dict[str, Any]] = [
    {"age": None, "income": math.nan, "state": None, "code": math.nan},
    {"age": math.inf, "income": -math.inf, "state": math.inf},
    {"age": True, "income": False, "state": True, "code": True},
    {"age": "1.5", "income": "", "state": "", "code": "true"},
    {"age": 2**63, "income": 10**400, "state": 2**64 - 1, "code": 10**400},
    {"age": 1, "code": 1.0, "state": "TX"},
    {"age": 1, "code": "1", "state": "XX"},
    {"age": 1, "code": 2.5, "state": 1e22},
    {"age": 1, "surprise": 3, "another": "x", "absent": None, "nothing": math.nan},
    {"": 1, "n0": 2, "c0": 3},
    {},
]


def test_odd_values_are_data_and_read_alike_on_every_road() -> None:
    values = [text(row(features=features)) for features in ODD_FEATURES]
    plain = decoder().decode(slice_of(values))
    assert not plain.batches
    assert not plain.rejected
    expected = rows_of(plain, profile())
    assert expected[3, 0][3]["features.age"] == "mistyped"
    assert expected[2, 0][3]["features.age"] == 1.0
    assert expected[4, 0][3]["features.income"] == math.inf
    assert expected[8, 0][4] == 2
    decode = decoder(profile())
    for _ in range(30):  # what the decoder learns on the way changes nothing
        decoded = decode.decode(slice_of(values))
        assert not decoded.raw
        assert rows_of(decoded, profile()) == expected


def test_one_and_its_other_spellings_are_one_category() -> None:
    values = [text(row(features={"code": code})) for code in (1, 1.0, True, "1", -0.0, "1.0")]
    (batch,) = decoder(profile()).decode(slice_of(values)).batches
    assert batch.codes[1].tolist() == [0, 0, 0, 0, 3 + UNSEEN, 3 + UNSEEN]


def test_text_in_a_numeric_feature_is_an_override_and_the_others_stay() -> None:
    values = [text(row(features={"age": age})) for age in (1, "x", 2)]
    (batch,) = decoder(profile()).decode(slice_of(values)).batches
    assert batch.overrides is not None
    assert batch.overrides.variable.tolist() == [0]
    assert batch.overrides.row.tolist() == [1]
    assert batch.overrides.slot.tolist() == [3 + MISTYPED]
    assert batch.numeric[0, [0, 2]].tolist() == [1.0, 2.0]
    assert batch.numeric.flags.c_contiguous


def test_the_last_of_two_equal_names_wins_on_every_road() -> None:
    values = [
        text(row()).replace(b'"age": 1.5', pair)
        for pair in (b'"age": 9, "age": 2', b'"age": "x", "age": 2', b'"age": [1], "age": 2')
    ]
    for known in ([profile()], []):
        decode = decoder(*known)
        for _ in range(3):
            found = rows_of(decode.decode(slice_of(values)), profile())
            assert [found[i, 0][3]["features.age"] for i in range(3)] == [2.0, 2.0, 2.0]


def test_a_time_that_is_a_whole_float_and_a_null_version_are_fine() -> None:
    values = [text(row(event_time_ms=1.76e12)), text(row(version=None, model="plain"))]
    plain_model = ModelKey("plain", "")
    decoded = decoder(profile(), profile(plain_model)).decode(slice_of(values))
    assert not decoded.rejected
    assert sum(map(len, decoded.batches)) == 2
    assert int(decoded.batches[0].event_time_ms[0]) == NOW_MS


def test_scores_by_class_are_variables_of_their_own() -> None:
    by = profile(score="score.yes")
    values = [text(row(score=score)) for score in ({"yes": 0.75, "no": 0.25}, 0.5, None, {"no": 1})]
    found = rows_of(decoder(by).decode(slice_of(values)), by)
    assert [found[i, 0][3]["score.yes"] for i in range(4)] == [0.75, *["missing"] * 3]
    assert found == rows_of(decoder().decode(slice_of(values)), by)


def test_rows_before_the_profile_stay_raw() -> None:
    by = profile(effective_from_ms=NOW_MS)
    values = [text(row(event_time_ms=NOW_MS + d)) for d in (0, -1, 1)]
    decode = decoder(by)
    for _ in range(3):
        decoded = decode.decode(slice_of(values))
        assert [batch.record.tolist() for batch in decoded.batches] == [[0, 2]]
        assert [raw.record.tolist() for raw in decoded.raw] == [[1]]


def test_models_of_equal_shape_share_a_batch_and_others_do_not() -> None:
    keys = [ModelKey("a", ""), ModelKey("b", "1"), ModelKey("c", "")]
    known = [profile(keys[0]), profile(keys[1]), profile(keys[2], score="score.yes")]
    values = [
        text(row(model=keys[i % 3].model, version=keys[i % 3].version, prediction=i % 2))
        for i in range(12)
    ]
    decode = decoder(*known)
    for _ in range(3):
        batches = decode.decode(slice_of(values)).batches
        assert [batch.record.tolist() for batch in batches] == [
            [0, 1, 3, 4, 6, 7, 9, 10],
            [2, 5, 8, 11],
        ]
        assert batches[0].entry.tolist() == [0, 1] * 4
        assert batches[0].codes[2].tolist() == [0, 1, 1, 0, 0, 1, 1, 0]


def test_a_profile_heard_later_is_used_from_then_on() -> None:
    profiles = Profiles()
    decode = Decoder(profiles)
    assert decode.decode(slice_of([text(row())])).raw
    profiles.hear(profile())
    assert decode.decode(slice_of([text(row())])).batches


def test_a_field_that_is_always_unknown_is_learned_and_still_counted() -> None:
    decode = decoder(profile())
    values = [text(row(features={"age": True, "extra": i, "state": "CA"})) for i in range(50)]
    for _ in range(4):
        (batch,) = decode.decode(slice_of(values)).batches
        assert batch.unknown is not None
        assert batch.unknown.tolist() == [1] * 50
        assert batch.numeric[0].tolist() == [1.0] * 50
    plan = decode._plans.plan(0)
    assert plan.extras == 1
    plan.reader.read(b'{"age": false, "extra": "x"}')  # the fast road takes it now


def test_what_is_learned_is_bounded() -> None:
    decode = decoder(profile())
    for start in range(0, 400, 20):
        features = {f"x{start + i}": 1 for i in range(20)}
        decode.decode(slice_of([text(row(features=features))] * 10))
    assert decode._plans.plan(0).extras == 64
    limited = decoder(profile(), limits=DecodeLimits(max_features=5))
    for start in range(40):
        limited.decode(slice_of([text(row(features={f"x{start}": 1}))] * 10))
    assert limited._plans.plan(0).extras == 1  # with the profile's 4 features that makes 5


def test_names_that_no_struct_can_have_are_read_all_the_same() -> None:
    by = profile()
    by = replace(by, numeric=(numeric('features.a"b\n'), *by.numeric[1:]))
    value = text(row(features={'a"b\n': 2, "income": 1}))
    for _ in range(2):
        found = rows_of(decoder(by).decode(slice_of([value])), by)
        assert found[0, 0][3]['features.a"b\n'] == 2.0


def test_rows_that_each_bring_new_names_do_not_make_huge_raw_batches() -> None:
    values = [text(row(features={f"f{i}-{j}": 1 for j in range(900)})) for i in range(60)]
    scored = [text(row(score={f"c{i}-{j}": 1 for j in range(900)})) for i in range(60)]
    for wide in (values, scored):
        decoded = decoder().decode(slice_of(wide))
        assert sum(map(len, decoded.raw)) == 60
        assert all(len(raw) * len(raw.columns) < 1.1 * (1 << 20) for raw in decoded.raw)


def test_an_unknown_topic_is_a_bug() -> None:
    wrong = replace(slice_of([text(row())]), sources=(Source("windows", 0), Source("features", 0)))
    with pytest.raises(KeyError):
        decoder().decode(wrong)


def test_an_empty_slice_decodes_to_nothing() -> None:
    assert decoder(profile()).decode(slice_of([])) == Decoded((), (), ())


def test_columns_of_a_batch_have_the_documented_types() -> None:
    (batch,) = decoder(profile()).decode(slice_of([text(row())] * 3)).batches
    for column, kind in (
        (batch.record, np.int32),
        (batch.row, np.int32),
        (batch.entry, np.int32),
        (batch.event_time_ms, np.int64),
        (batch.carries, np.uint8),
        (batch.numeric, np.float64),
        (batch.codes, np.int64),
    ):
        assert isinstance(column, np.ndarray)
        assert column.dtype == kind
    assert batch.numeric.shape == batch.codes.shape == (3, 3)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b'{"a":NaN,"NaN":"NaN","N":NaN}', b'{"a":null,"NaN":"NaN","N":null}'),
        (
            rb'{"q\"":NaN,"b":"\\","c":NaN,"d":"\"NaN"}',
            rb'{"q\"":null,"b":"\\","c":null,"d":"\"NaN"}',
        ),
        (b'[NaN, "x: NaN, y", NaN]', b'[null, "x: NaN, y", null]'),
        (b'"open NaN', b'"open NaN'),
        (b'"open \\', b'"open \\'),
        (b"NaN", b"null"),
        (b"", b""),
    ],
)
def test_nan_is_null_but_for_texts(sent: bytes, read: bytes) -> None:
    assert nan_as_null(sent) == read


def test_a_producer_of_nan_is_read_the_same_once_it_is_known() -> None:
    features = [{"age": math.nan, "state": "NaN", "code": "a: NaN, b"}, {"age": 2}, {"x": math.nan}]
    values = [text(row(features=each)) for each in features] + [text(row(event_time_ms=math.nan))]
    expected = decoder().decode(slice_of(values))
    decode = decoder(profile())
    for _ in range(4):
        decoded = decode.decode(slice_of(values))
        assert rows_of(decoded, profile()) == rows_of(expected, profile())
        assert [r.reason for r in decoded.rejected] == [Reason.NOT_FINITE_TIME]
