"""What a codebook says of mixed models' values is what each model's own look-ups say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.core.decode.codebook import Codebook
from stream.core.decode.plan import Lookup
from stream.core.records import Int64s, Scalar
from stream.core.specs import CategoricalVariable

SCALARS: st.SearchStrategy[Scalar] = st.one_of(
    st.sampled_from(["a", "b", "1", "nan", "", "é"]),
    st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, math.nan, math.inf]),
    st.integers(-3, 300),
    st.text(max_size=3),
)
ROWS = st.lists(st.tuples(st.integers(0, 9), SCALARS, SCALARS), min_size=2, max_size=40)


@dataclass(frozen=True)
class Model:
    """A plan's part that is asked here."""

    lookups: tuple[Lookup, Lookup]


def _variable(seed: int) -> CategoricalVariable:
    names = ["a", "b", "1", "true", "0", "nan", "é", *map(str, range(2, 20))]
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    chosen = [names[place] for place in order]
    return CategoricalVariable("c", tuple(chosen[:5]), tuple(chosen[5:8]), (0,) * 8)


MODELS = [Model((Lookup(_variable(2 * n)), Lookup(_variable(2 * n + 1)))) for n in range(10)]


def _slots(book: Codebook, entries: list[int], columns: list[list[Scalar]]) -> list[Int64s]:
    plans = [MODELS[entry % len(MODELS)] for entry in entries]
    rows = book.rows_of(np.array(entries, dtype=np.int32))
    assert rows is not None
    return [
        book.slots(variable, rows, plans, iter(column), column.__getitem__)
        for variable, column in enumerate(columns)
    ]


def _own(variable: int, entry: int, value: Scalar) -> int:
    return MODELS[entry % len(MODELS)].lookups[variable][value]


@given(st.lists(ROWS, min_size=1, max_size=6))
def test_every_slot_is_the_model_s_own(slices: list[list[tuple[int, Scalar, Scalar]]]) -> None:
    book = Codebook(2)
    for rows in slices:
        entries, *columns = map(list, zip(*rows, strict=True))
        for variable, slots in enumerate(_slots(book, entries, columns)):
            pairs = zip(entries, columns[variable], strict=True)
            expected = [_own(variable, *pair) for pair in pairs]
            assert slots.tolist() == expected


def test_more_values_than_have_numbers_and_more_models_than_were_there() -> None:
    book = Codebook(2)
    rng = np.random.default_rng(1)
    for most in (5, 50, 3_000):  # the table is made anew for more models
        entries = rng.integers(0, most, 2_000).tolist()
        column: list[Scalar] = list(map(str, rng.integers(0, 600, 2_000).tolist()))
        for _ in range(2):
            for variable, slots in enumerate(_slots(book, entries, [column, column])):
                expected = [_own(variable, *pair) for pair in zip(entries, column, strict=True)]
                assert slots.tolist() == expected


def test_too_many_models_have_no_table_and_take_no_memory() -> None:
    book = Codebook(300)
    assert book.rows_of(np.arange(400, dtype=np.int32)) is not None
    assert book.rows_of(np.arange(1_000, dtype=np.int32)) is None
    assert book.rows_of(np.arange(400, dtype=np.int32)) is None
