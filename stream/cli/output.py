"""What commands print: data on stdout, everything said to people on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["complain", "instant", "print_json", "print_table", "say"]


_PIPE_WIDTH = 200


def complain(message: str) -> None:
    """One error on stderr, without markup, wrapping or traceback."""
    sys.stderr.write(f"driftstream: {message}\n")
    sys.stderr.flush()


def say(message: str) -> None:
    """A remark on stderr, where it doesn't mix with data."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def print_json(value: object) -> None:
    """One JSON value on one line of stdout, keys sorted."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on stdout; cells are shown as they are, never read as markup."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1])
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console = Console()
    # Where no terminal says how wide it is, lines aren't folded: they go to a file or a pipe.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def instant(time_ms: int) -> str:
    """Milliseconds as UTC text, such as 2026-11-21 09:00:00; out of range as the number."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(time_ms)
