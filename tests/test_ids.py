"""Ids as 128 bits: UUIDs are their bytes, all else is hashed, by whichever road they come."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stream.core.ids import ids_of, ids_of_text, ids_of_uuids


def plain_key(text: str) -> bytes:
    """One id's key by the standard library's own UUID."""
    try:
        if len(text) == 36 and str(uuid.UUID(text)) == text.lower():
            return uuid.UUID(text).bytes
    except ValueError:
        pass
    return xxhash.xxh3_128_digest(text.encode())


def laid_out(ids: list[str], before: bytes = b"") -> tuple[bytes, np.ndarray]:
    encoded = [each.encode() for each in ids]
    ends = np.cumsum([len(before), *map(len, encoded)]).astype(np.int64)
    return before + b"".join(encoded) + b"behind", ends


uuids = st.uuids().map(str)
damaged = st.tuples(uuids, st.integers(0, 35), st.sampled_from("-g \né\n0{")).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)
cut = st.tuples(uuids, st.integers(1, 36)).map(lambda t: t[0][: t[1]])
joined = st.tuples(uuids, uuids).map("\n".join)
ids = st.one_of(
    uuids,
    uuids.map(str.upper),
    damaged,
    cut,
    joined,
    uuids.map(lambda u: u.replace("-", "")),
    uuids.map(lambda u: u + "\n"),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
)


@given(st.one_of(st.lists(ids, max_size=8), st.lists(uuids, max_size=8)))
def test_each_id_has_its_own_key_whatever_stands_beside_it(given_ids: list[str]) -> None:
    expected = b"".join(map(plain_key, given_ids))
    keys = ids_of(given_ids)
    assert keys.dtype == np.uint64
    assert keys.shape == (len(given_ids), 2)
    assert keys.astype("<u8").tobytes() == expected
    for before in (b"", b"others"):
        assert np.array_equal(ids_of_text(*laid_out(given_ids, before)), keys)


@given(st.lists(st.uuids(), max_size=8))
def test_uuids_as_bytes_are_the_same_keys(given_ids: list[uuid.UUID]) -> None:
    raw = b"".join(each.bytes for each in given_ids)
    assert np.array_equal(ids_of_uuids(raw), ids_of(list(map(str, given_ids))))


def test_texts_that_together_look_like_uuids_are_none() -> None:
    one, other = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    for astray in (
        [one + other[:1], other[1:]],
        [one[:-1], one[-1] + other],
        [f"{one}\n{other}", ""],
        [one[:8] + one[8:9] * 2 + one[10:], other],
    ):
        expected = b"".join(map(plain_key, astray))
        assert ids_of(astray).tobytes() == expected
        assert ids_of_text(*laid_out(astray)).tobytes() == expected


def test_a_lone_surrogate_is_no_id() -> None:
    with pytest.raises(UnicodeEncodeError):
        ids_of(["\ud800"])
