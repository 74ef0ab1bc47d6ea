"""Conditions on a row's columns, such as `age >= 65 and tags.channel in ["web", "app"]`.

    condition   = both {"or" both}
    both        = single {"and" single}
    single      = "not" single | "(" condition ")" | comparison
    comparison  = column ("==" | "!=") literal
                | column ("<" | "<=" | ">" | ">=") number
                | column ["not"] "in" "[" literal {"," literal} "]"
                | column "is" ["not"] "missing"
    column      = name {"." name} | "`" any text "`"
    literal     = number | "'" text "'" | '"' text '"' | "true" | "false"

Nothing else: no arithmetic, no calls, no other names. `conditions` says what they mean.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from stream.core.conditions import (
    NAME,
    WORDS,
    All,
    Any,
    Condition,
    Equal,
    Missing,
    Not,
    Order,
    number_category,
)
from stream.core.errors import ConfigError

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "is_expression", "parse"]

MAX_LENGTH: Final = 500  # characters of an expression
MAX_DEPTH: Final = 20  # parentheses and `not`s within each other

_TOKEN: Final = re.compile(
    rf"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))"
    rf"|(?P<name>{NAME})"
    rf"|`(?P<quoted>[^`]+)`"
    rf"|(?P<text>\"(?:[^\"\\]|\\[\"\\])*\"|'(?:[^'\\]|\\['\\])*')"
    rf"|(?P<sign><=|>=|==|!=|[<>()\[\],])"
    rf"|(?P<end>\Z))"
)
_CONDITION: Final = re.compile(r"[<>=]|!=|\bin\s*\[|\bis\s+(?:not\s+)?missing\b")


def is_expression(text: str) -> bool:
    """True if a segment's `by` is a condition rather than a column's name.

    >>> is_expression("age >= 65"), is_expression("hours-per-week")
    (True, False)
    """
    return _CONDITION.search(text) is not None


def parse(text: str) -> Condition:
    """The condition that a text says; ConfigError with the place of what cannot be read.

    >>> parse("age >= 65")
    Order(column='age', sign='>=', number=65.0)
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"an expression has at most {MAX_LENGTH} characters, not {len(text)}")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over the tokens; `_kind` and `_text` are the next one, at `_at`."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._end = 0
        self._depth = 0
        self._advance()

    def whole(self) -> Condition:
        condition = self._any()
        if self._kind != "end":
            self._refuse("`and`, `or` or the end")
        return condition

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return Any(_flat(Any, parts)) if len(parts) > 1 else parts[0]

    def _all(self) -> Condition:
        parts = [self._single()]
        while self._take("and"):
            parts.append(self._single())
        return All(_flat(All, parts)) if len(parts) > 1 else parts[0]

    def _single(self) -> Condition:
        negated = self._take("not")
        if not negated and not self._take("("):
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"an expression is nested at most {MAX_DEPTH} deep")
        part = self._single() if negated else self._any()
        self._depth -= 1
        if negated:
            return Not(part)
        self._want(")")
        return part

    def _comparison(self) -> Condition:
        if self._kind not in ("name", "quoted") or self._is_word():
            self._refuse("a column, `not` or `(`")
        column = self._text
        self._advance()
        if self._take("is"):
            negated = self._take("not")
            self._want("missing")
            return Missing(column, negated)
        if self._take("not"):
            self._want("in")
            return Equal(column, self._list(), negated=True)
        if self._take("in"):
            return Equal(column, self._list())
        sign = self._text
        if self._kind != "sign" or sign not in ("==", "!=", "<", "<=", ">", ">="):
            self._refuse("==, !=, <, <=, >, >=, in, not in, or `is missing`")
        self._advance()
        if sign in ("==", "!="):
            return Equal(column, (self._literal(),), negated=sign == "!=")
        if self._kind != "number":
            self._refuse("a number")
        number = float(self._text) + 0.0
        self._advance()
        return Order(column, sign, number)

    def _list(self) -> tuple[str, ...]:
        self._want("[")
        values = [self._literal()]
        while self._take(","):
            values.append(self._literal())
        self._want("]")
        return tuple(dict.fromkeys(values))

    def _literal(self) -> str:
        kind, text = self._kind, self._text
        if kind == "number":
            value = number_category(text)
        elif kind == "text":
            value = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        elif kind == "name" and text in ("true", "false"):
            value = "1" if text == "true" else "0"
        else:
            self._refuse("a number or a quoted text")
        self._advance()
        return value

    def _is_word(self) -> bool:
        return self._kind == "name" and self._text in WORDS

    def _take(self, text: str) -> bool:
        """Passes over a word or a sign if it is the next token."""
        if self._text != text or not (self._kind == "sign" or self._is_word()):
            return False
        self._advance()
        return True

    def _want(self, text: str) -> None:
        if not self._take(text):
            self._refuse(text)

    def _advance(self) -> None:
        found = _TOKEN.match(self._source, self._end)
        if found is None:
            self._at = (
                self._end + len(self._source[self._end :]) - len(self._source[self._end :].lstrip())
            )
            self._kind, self._text = "other", self._source[self._at]
            return
        self._kind = str(found.lastgroup)
        self._text = found[self._kind]
        self._at, self._end = found.start(self._kind), found.end()
        if self._kind == "number" and abs(float(self._text)) == float("inf"):
            self._refuse("a number that is finite")

    def _refuse(self, wanted: str) -> NoReturn:
        found = "the end" if self._kind == "end" else repr(self._text)
        hint = "; write == " if self._text == "=" else ""
        raise ConfigError(
            f"{self._source!r}, character {self._at + 1}: expected {wanted}, found {found}{hint}"
        )


def _flat(kind: type[All] | type[Any], parts: list[Condition]) -> tuple[Condition, ...]:
    """Parts of the same kind dissolved into their own: (a and b) and c is a and b and c."""
    found: list[Condition] = []
    for part in parts:
        if isinstance(part, All | Any) and isinstance(part, kind):
            found.extend(part.parts)
        else:
            found.append(part)
    return tuple(found)
