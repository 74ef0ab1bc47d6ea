"""Any rows and any bytes: every road gives the same rows, and each record ends in one place."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode_rows import decoder, profile, rows_of, slice_of
from tests.decode_strategies import texts, topic_names


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
