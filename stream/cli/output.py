"""What commands print: data on stdout, everything said to people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "complain",
    "instant",
    "print_as_json",
    "print_json",
    "print_line",
    "print_table",
    "printable",
    "say",
]

_ENDLESS = 1_000_000  # columns: no line is folded


def complain(message: str) -> None:
    """One error on stderr, without markup, wrapping or traceback."""
    sys.stderr.write(f"driftstream: {message}\n")
    sys.stderr.flush()


def say(message: str) -> None:
    """A remark on stderr, where it doesn't mix with data."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    r"""Text from records as a terminal may show it: control characters escaped, on one line.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def print_line(text: str) -> None:
    """One line on stdout, whatever a producer put into it."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """One JSON value on one line of stdout, keys sorted."""
    print_as_json(orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode())


def print_as_json(text: str) -> None:
    """JSON text on one line of stdout, as it is where a terminal shows all of it as it is.

    Else every character beyond ASCII is escaped: some of those move the cursor.
    """
    sys.stdout.write(f"{text if text.isprintable() else json.dumps(json.loads(text))}\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on stdout; cells are shown as they are, never read as markup, and never cut.

    A terminal's lines are folded within their columns. Elsewhere, in a file or a pipe, a row is
    one line, however long.
    """
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _cell(cell) for cell in row))
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=_ENDLESS)
    with wide.capture() as printed:
        wide.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())
    sys.stdout.flush()


def _cell(value: object) -> Text:
    return Text("\n".join(map(printable, str(value).split("\n"))))


def instant(time_ms: int) -> str:
    """Milliseconds as UTC text, such as 2026-11-21 09:00:00; out of range as the number."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(time_ms)
