"""Texts of an Arrow batch: what they become is the same whatever order they came in."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.client.arrow_tables import compact

TEXTS = st.lists(st.sampled_from(["web", "app", "phone", "", "ü", "\N{GRINNING FACE}", None]))


def compacted(texts: list[str | None]) -> pa.Array:
    table = pa.table({"features.channel": pa.array(texts, pa.string())})
    return compact(table).column("features.channel").combine_chunks()


@settings(deadline=None)
@given(TEXTS)
def test_texts_stay_what_they_are(texts: list[str | None]) -> None:
    assert compacted(texts).to_pylist() == texts


@settings(deadline=None)
@given(TEXTS.flatmap(lambda texts: st.tuples(st.just(texts * 9), st.permutations(texts * 9))))
def test_equal_texts_have_equal_dictionaries(
    both: tuple[list[str | None], list[str | None]],
) -> None:
    first, second = map(compacted, both)
    assert first.type == second.type
    if pa.types.is_dictionary(first.type):
        assert first.type.index_type == pa.int8()
        assert first.dictionary.equals(second.dictionary)


def test_more_texts_than_an_int8_numbers() -> None:
    texts: list[str | None] = [f"merchant {number % 200}" for number in range(1_000)]
    found = compacted(texts)
    assert found.type == pa.dictionary(pa.int32(), pa.string())
    assert found.to_pylist() == texts
    most = compacted([f"merchant {number % 127}" for number in range(1_000)])
    assert most.type.index_type == pa.int8()
    assert most.dictionary.to_pylist() == sorted(f"merchant {number}" for number in range(127))
