"""Conditions: what is read and refused, and what they hold for, against plain Python."""

from __future__ import annotations

import math
import re
from typing import Any as Anything

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.conditions import (
    All,
    Any,
    Condition,
    Equal,
    Missing,
    Not,
    Order,
    columns_of,
    text_of,
)
from stream.core.errors import ConfigError
from stream.core.expression import MAX_DEPTH, MAX_LENGTH, is_expression, parse
from stream.core.pane.columns import Codes, Columns, holds
from stream.core.records import Scalar
from stream.core.specs import category


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("age >= 65", Order("age", ">=", 65.0)),
        ("age<-.5e1", Order("age", "<", -5.0)),
        ("tags.channel == 'web'", Equal("tags.channel", ("web",))),
        ('a != "it\'s \\"so\\" \\\\"', Equal("a", ('it\'s "so" \\',), negated=True)),
        ("a in [1, 1.0, true, '1', 'x']", Equal("a", ("1", "x"))),
        ("a not in [false]", Equal("a", ("0",), negated=True)),
        ("income is missing", Missing("income")),
        ("income is not missing", Missing("income", negated=True)),
        ("`hours per-week` > 40", Order("hours per-week", ">", 40.0)),
        ("`and` == 1", Equal("and", ("1",))),
        (
            "a == 1 or b == 2 and not c == 3",
            Any((Equal("a", ("1",)), All((Equal("b", ("2",)), Not(Equal("c", ("3",))))))),
        ),
        ("(a > 1 and b > 1) and c > 1", parse("a > 1 and b > 1 and c > 1")),
        ("not (a > 1 or b > 1)", Not(Any((Order("a", ">", 1.0), Order("b", ">", 1.0))))),
        ("größe_1 > 1", Order("größe_1", ">", 1.0)),
    ],
)
def test_what_is_read(text: str, condition: Condition) -> None:
    assert parse(text) == condition
    assert parse(text_of(condition)) == condition


@pytest.mark.parametrize(
    ("text", "character", "wanted"),
    [
        ("", 1, "expected a column, `not` or `(`, found the end"),
        ("age", 4, "expected ==, !=, <, <=, >, >=, in, not in, or `is missing`, found the end"),
        ("age >> 65", 6, "expected a number, found '>'"),
        ("age = 65", 5, "write =="),
        ("state == CA", 10, "expected a number or a quoted text, found 'CA'"),
        ("age > 'old'", 7, "expected a number"),
        ("18 <= age < 65", 1, "expected a column"),
        ("18 <= age", 1, "expected a column"),
        ("age >= 18 < 65", 11, "expected `and`, `or` or the end, found '<'"),
        ("age in []", 9, "expected a number or a quoted text"),
        ("age in [1 2]", 11, "expected ], found '2'"),
        ("(age > 1", 9, "expected ), found the end"),
        ("age > 1)", 8, "expected `and`, `or` or the end"),
        ("and > 1", 1, "expected a column"),
        ("age is 3", 8, "expected missing"),
        ("age not 3", 9, "expected in"),
        ("f(age) > 1", 2, "expected =="),
        ("age + 1 > 2", 5, "expected ==, !="),
        ("age > 1e999", 7, "finite"),
        ("a.__class__ == 'x' ; b", 20, "found ';'"),
        ("a == 'open", 6, "expected a number or a quoted text"),
        ("a == 0x10", 6, "expected a number or a quoted text"),
        ("`` > 1", 1, "expected a column"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text: str, character: int, wanted: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"character {character}: ")) as refused:
        parse(text)
    assert wanted in str(refused.value)


def test_length_and_depth_are_bounded() -> None:
    deep = "(" * MAX_DEPTH + "a > 1" + ")" * MAX_DEPTH
    assert parse(deep) == parse("a > 1")
    for text in (f"({deep})", "not " * (MAX_DEPTH + 1) + "a > 1"):
        with pytest.raises(ConfigError, match="nested at most"):
            parse(text)
    with pytest.raises(ConfigError, match="at most 500 characters"):
        parse("a > 1" + " " * MAX_LENGTH)


@given(st.text(alphabet="ab.&=<>!()[]'\"`,\\ 01eornotisinmg\n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except ConfigError:
        return
    assert parse(text_of(condition)) == condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("country", False),
        ("tags.channel", False),
        ("hours-per-week", False),
        ("capital gain", False),
        ("origin", False),
        ("age >= 65", True),
        ("age = 65", True),
        ("a in ['x']", True),
        ("a not in [1]", True),
        ("income is missing", True),
        ("not income is not missing", True),
        ("a!=1", True),
    ],
)
def test_an_expression_is_told_from_a_column(text: str, expected: bool) -> None:
    assert is_expression(text) is expected


NAMES = ("a", "b", "tags.c")
LITERALS = st.sampled_from(["0", "1", "-1", "2.5", "x", "inf", "nan", "007", 'q"\\', ""])
VALUES: st.SearchStrategy[Scalar] = st.sampled_from(
    [
        *(None, math.nan, math.inf, -math.inf, 0, 1, -1, 1.0, -0.0, 2.5, True, False),
        *("0", "1", "x", "2.5", "inf", "nan", "007", 'q"\\', "", 10**400, -(10**400), 2**60),
    ]
)
COMPARISONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(
        Order,
        st.sampled_from(NAMES),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e300]),
    ),
    st.builds(
        Equal,
        st.sampled_from(NAMES),
        st.lists(LITERALS, min_size=1, max_size=3, unique=True).map(tuple),
        st.booleans(),
    ),
    st.builds(Missing, st.sampled_from(NAMES), st.booleans()),
)


def _and_or(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        parts.map(Not),
        several.filter(lambda found: not any(isinstance(p, All) for p in found)).map(All),
        several.filter(lambda found: not any(isinstance(p, Any) for p in found)).map(Any),
    )


CONDITIONS = st.recursive(COMPARISONS, _and_or, max_leaves=8)


def plainly(condition: Condition, row: dict[str, Scalar]) -> bool:
    """What a condition means, a row at a time."""
    if isinstance(condition, Not):
        return not plainly(condition.part, row)
    if isinstance(condition, All):
        return all(plainly(part, row) for part in condition.parts)
    if isinstance(condition, Any):
        return any(plainly(part, row) for part in condition.parts)
    value = row.get(condition.column)
    missing = category(value) is None
    if isinstance(condition, Missing):
        return missing != condition.negated
    if missing:
        return False
    if isinstance(condition, Equal):
        return (category(value) in condition.values) != condition.negated
    if isinstance(value, str) or value is None:
        return False
    order: dict[str, Anything] = {
        "<": value < condition.number,
        "<=": value <= condition.number,
        ">": value > condition.number,
        ">=": value >= condition.number,
    }
    return bool(order[condition.sign])


@given(CONDITIONS, st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=6), st.data())
def test_conditions_hold_as_in_plain_python(
    condition: Condition, rows: list[tuple[Scalar, ...]], data: st.DataObject
) -> None:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}
    expected = [plainly(condition, dict(zip(NAMES, row, strict=True))) for row in rows]
    assert holds(condition, Columns(columns, len(rows))).tolist() == expected
    assert set(columns_of(condition)) <= set(NAMES)
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)) if rows else []
    part = Columns(columns, len(rows), np.array(places, dtype=np.int64))
    assert holds(condition, part).tolist() == [expected[place] for place in places]


@given(CONDITIONS)
def test_a_conditions_text_says_the_same(condition: Condition) -> None:
    text = text_of(condition)
    assert is_expression(text)
    if len(text) <= MAX_LENGTH:
        assert parse(text) == condition
        assert text_of(parse(text)) == text


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, math.nan, math.inf, -7.0]), max_size=6))
def test_columns_of_floats_are_columns_too(values: list[float]) -> None:
    for text in ("a >= 1", "a == 1", "a not in [2.5]", "a is missing"):
        floats = holds(parse(text), Columns({"a": np.array(values)}, len(values)))
        plain = holds(parse(text), Columns({"a": list(values)}, len(values)))
        assert floats.tolist() == plain.tolist()


def test_a_column_that_is_not_there_is_missing() -> None:
    assert holds(parse("z is missing and not (z != 1)"), Columns({}, 2)).tolist() == [True, True]


@given(st.lists(LITERALS, unique=True), st.lists(VALUES))
def test_codes_are_those_of_categories(names: list[str], values: list[Scalar]) -> None:
    codes = Codes(names)
    for value in values:
        found = category(value)
        if found is None:
            assert codes[value] == len(names) + 1
        else:
            assert codes[value] == (names.index(found) if found in names else len(names))
