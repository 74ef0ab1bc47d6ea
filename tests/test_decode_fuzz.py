"""Any rows and any bytes: every road gives the same rows, and each record ends in one place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode_rows import NOW_MS, decoder, profile, rows_of, slice_of

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["CA", "TX", "1", "1.0", "2.5", "true", "nan", "", "é", "\x00", "\ud800"]),
)
values_of_any_kind = st.one_of(scalars, st.just([1]), st.just({"x": 1}))
names = st.sampled_from(["age", "income", "state", "code", "extra", "é", "", "n0"])
feature_maps = st.dictionaries(names, st.one_of(scalars, scalars, values_of_any_kind), max_size=7)


def mostly(usual: object, *odd: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), *odd)


rows = st.fixed_dictionaries(
    {
        "prediction_id": mostly("id", scalars, st.just("x" * 257)),
        "model": mostly("credit", scalars, st.just("other")),
        "version": mostly("3", scalars),
        "event_time_ms": mostly(NOW_MS, scalars, st.floats(0, 1e13)),
        "features": st.one_of(feature_maps, feature_maps, values_of_any_kind),
    },
    optional={
        "prediction": values_of_any_kind,
        "score": st.one_of(
            st.floats(), values_of_any_kind, st.dictionaries(st.sampled_from("ab"), scalars)
        ),
        "attributions": st.dictionaries(st.sampled_from("ab"), st.floats()),
        "tags": st.dictionaries(st.sampled_from("ab"), scalars),
        "latency_ms": scalars,
        "unheard_of": values_of_any_kind,
    },
)
damage = st.sampled_from([b"", b"}", b"\xff", b"\\", b'"', b"1e999", b"NaN", b"\x00", b" "])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    row_ = draw(rows)
    drop = draw(st.sampled_from([None, None, None, "prediction_id", "model", "event_time_ms"]))
    row_.pop(str(drop), None)
    value = json.dumps(row_, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(damage) + value[at + draw(st.integers(0, 2)) :]
    return value


topic_names = st.sampled_from(["predictions", "predictions", "features"])


@settings(deadline=None)
@given(st.lists(st.tuples(texts(), topic_names), max_size=12))
def test_what_is_known_changes_neither_rows_nor_rejections(
    records: list[tuple[bytes, str]],
) -> None:
    values, topics = [v for v, _ in records], [t for _, t in records]
    plain = decoder().decode(slice_of(values, topics))
    decode = decoder(profile())
    for _ in range(3):
        decoded = decode.decode(slice_of(values, topics))
        assert decoded.rejected == plain.rejected
        assert rows_of(decoded, profile()) == rows_of(plain, profile())
        accepted = {record for record, _ in rows_of(decoded, profile())}
        refused = {r.record for r in decoded.rejected}
        assert not accepted & refused
        assert accepted | refused == set(range(len(values)))


@settings(deadline=None)
@given(st.lists(texts(), min_size=1, max_size=12), st.data())
def test_slices_cut_anywhere_give_the_same_rows(values: list[bytes], data: st.DataObject) -> None:
    whole = decoder(profile()).decode(slice_of(values))
    decode = decoder(profile())
    cut = data.draw(st.integers(0, len(values)))
    found = {}
    refused = []
    for start, part in ((0, values[:cut]), (cut, values[cut:])):
        decoded = decode.decode(slice_of(part))
        for (record, place), each in rows_of(decoded, profile()).items():
            found[record + start, place] = each
        refused += [(r.record + start, r.reason, r.detail) for r in decoded.rejected]
    assert found == rows_of(whole, profile())
    assert refused == [(r.record, r.reason, r.detail) for r in whole.rejected]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_it_raise(values: list[bytes]) -> None:
    decoded = decoder(profile()).decode(slice_of(values))
    places = {r.record for r in decoded.rejected} | {r for r, _ in rows_of(decoded, profile())}
    assert places == set(range(len(values)))
