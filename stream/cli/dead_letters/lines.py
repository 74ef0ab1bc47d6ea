"""Letters as lines of JSON, to be repaired by hand or program, and read again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stream.cli.dead_letters.letter import Letter, Place
from stream.cli.dead_letters.original import Original
from stream.core.errors import InputError
from stream.core.records import Header

__all__ = ["Line", "line_of", "lines_in", "plain"]


@dataclass(frozen=True, slots=True)
class Line:
    """A record of a file that is to be sent for a letter; `source` says which letter was meant."""

    number: int
    place: Place
    source: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    truncated: bool

    def original(self, letter: Letter) -> Original:
        """What is sent for the letter. Raises InputError where the line cannot be meant for it."""
        if letter.source != self.source:
            raise InputError(f"letter {self.place} is of {letter.source}, not of {self.source}")
        if self.truncated:
            raise InputError(
                "its record was cut: put the whole one in its place, and `truncated` to false"
            )
        return Original(letter, self.key, self.value, self.headers)


def line_of(letter: Letter, original: Original | None) -> dict[str, Any]:
    """The line of a letter; without the original, its record as far as the letter holds it."""
    held = original or Original(letter, letter.key, letter.value, letter.headers)
    return {
        "letter": str(letter.place),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "rows": list(letter.rows),
        "attempt": letter.attempt,
        "timestamp_ms": letter.timestamp_ms,
        "rejected_at_ms": letter.rejected_at_ms,
        "agent": letter.agent,
        "truncated": letter.truncated,
        "key": plain(held.key),
        "headers": [{"name": name, "value": plain(each)} for name, each in held.headers],
        "value": plain(held.value),
    }


def plain(value: bytes | None) -> str | dict[str, str] | None:
    """Bytes as text where they are UTF-8, else as {"base64": …}."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def lines_in(path: Path) -> Iterator[Line]:
    """The file's lines. Raises InputError, naming the line, where one isn't as `line_of` has it."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _line(number, text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as broken:
        what = f"{broken} is missing" if isinstance(broken, KeyError) else str(broken)
        raise InputError(f"{path}, line {number}: {what}") from broken


def _line(number: int, text: bytes) -> Line:
    told = orjson.loads(text)
    if not isinstance(told, dict):
        raise TypeError("is no JSON object")
    headers = told.get("headers", [])
    if not isinstance(headers, list):
        raise TypeError("headers: must be a list")
    return Line(
        number=number,
        place=Place.of(str(told["letter"])),
        source=f"{told['topic']}/{told['partition']}@{told['offset']}",
        key=_bytes(told["key"], "key"),
        value=_bytes(told["value"], "value"),
        headers=tuple(_header(each) for each in headers),
        truncated=bool(told.get("truncated")),
    )


def _header(told: Any) -> Header:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise TypeError('headers: each is {"name": …, "value": …}')
    return told["name"], _bytes(told.get("value"), "headers") or b""


def _bytes(told: Any, name: str) -> bytes | None:
    if told is None:
        return None
    if isinstance(told, str):
        return told.encode()
    if isinstance(told, dict) and told.keys() == {"base64"} and isinstance(told["base64"], str):
        try:
            return base64.b64decode(told["base64"], validate=True)
        except binascii.Error as broken:
            raise ValueError(f"{name}: {broken}") from broken
    raise TypeError(f'{name}: must be a text, null or {{"base64": …}}')
