"""What a condition on a row's columns is made of, and its one text.

Two literals are equal where their categories are (`specs.category`): 1, 1.0, true and "1" are
one. An order compares numbers as float64 (booleans are 1 and 0); a text is no number, so it is
neither above nor below any. A missing value (null, NaN, absent) makes every comparison false,
`!=` and `not in` too, except `is missing`; `not (…)` is true wherever what it negates is false.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stream.core.specs import category

__all__ = [
    "NAME",
    "WORDS",
    "All",
    "Any",
    "Condition",
    "Equal",
    "Missing",
    "Not",
    "Order",
    "columns_of",
    "number_category",
    "text_of",
]

WORDS: Final = frozenset({"and", "or", "not", "in", "is", "missing", "true", "false"})
NAME: Final = r"[^\W\d]\w*(?:\.\w+)*"


@dataclass(frozen=True, slots=True)
class Order:
    """The column's number is below or above a number; `sign` is <, <=, > or >=."""

    column: str
    sign: str
    number: float


@dataclass(frozen=True, slots=True)
class Equal:
    """The column's category is one of these; with `negated` it has one, and it is another."""

    column: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The column has no value; with `negated` it has one."""

    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """What it holds is false."""

    part: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part is true."""

    parts: tuple[Condition, ...]


Condition = Order | Equal | Missing | Not | All | Any


def columns_of(condition: Condition) -> tuple[str, ...]:
    """The columns that a condition looks at, sorted."""
    if isinstance(condition, All | Any):
        return tuple(sorted({name for part in condition.parts for name in columns_of(part)}))
    return columns_of(condition.part) if isinstance(condition, Not) else (condition.column,)


def text_of(condition: Condition) -> str:
    """A condition's one text: conditions that are written alike but for form have the same."""
    if isinstance(condition, Any):
        return " or ".join(map(text_of, condition.parts))
    if isinstance(condition, All):
        return " and ".join(
            f"({text_of(part)})" if isinstance(part, Any) else text_of(part)
            for part in condition.parts
        )
    if isinstance(condition, Not):
        return f"not ({text_of(condition.part)})"
    column = _column_text(condition.column)
    if isinstance(condition, Order):
        return f"{column} {condition.sign} {_literal_text(category(condition.number) or '')}"
    if isinstance(condition, Missing):
        return f"{column} is {'not ' * condition.negated}missing"
    values = [_literal_text(value) for value in condition.values]
    if len(values) == 1:
        return f"{column} {'!=' if condition.negated else '=='} {values[0]}"
    return f"{column} {'not ' * condition.negated}in [{', '.join(values)}]"


def _column_text(name: str) -> str:
    plain = re.fullmatch(NAME, name) is not None and name not in WORDS
    return name if plain else f"`{name}`"


def _literal_text(value: str) -> str:
    """The value of a category as a literal: a number where the category is that number's."""
    if re.fullmatch(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", value) and _same(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _same(value: str) -> bool:
    return len(value) <= 400 and number_category(value) == value


def number_category(text: str) -> str:
    """The category of the number that a text says."""
    whole = re.fullmatch(r"[-+]?\d+", text) is not None
    return category(int(text) if whole else float(text)) or ""
