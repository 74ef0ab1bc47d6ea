"""`driftstream windows`: closed windows as they come."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import print_as_json, print_line, say
from stream.cli.reading import FromBeginning, Max, Timeout, read_topic
from stream.cli.window_line import window_line
from stream.settings import Settings

__all__ = ["app"]

app = new_app("Closed windows: what drifted, and how the model did.")

_NEEDED = {"model", "version", "start_ms", "end_ms", "rows"}  # of what is a window at all
_ABSENT = {"kind": "data", "segment": ""}  # what a field means that isn't there


class WindowKind(StrEnum):
    """What a window is about."""

    DATA = "data"
    PERFORMANCE = "performance"


@app.callback()
def _group() -> None:
    """Keeps `tail` a subcommand while it is the only one."""


@app.command()
@with_settings
def tail(
    settings: Settings,
    *,
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None,
    kind: Annotated[
        WindowKind | None, typer.Option("--kind", help="Only these: drift, or outcomes.")
    ] = None,
    segment: Annotated[
        str | None, typer.Option("--segment", help='Only this one\'s; "" is all rows.')
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Show this in the line; repeatable.")
    ] = None,
    from_beginning: FromBeginning = False,
    limit: Max = None,
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """Print windows as they are closed, one a line."""
    wanted = {"model": model, "kind": kind, "segment": segment}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    shown = 0
    for text, window in _windows(settings, from_beginning=from_beginning, timeout=timeout):
        if any(window.get(name, _ABSENT.get(name)) != value for name, value in wanted.items()):
            continue
        if json:
            print_as_json(text)
        else:
            print_line(window_line(window, metric or ()))
        shown += 1
        if shown == limit:
            return


def _windows(
    settings: Settings, *, from_beginning: bool, timeout: float | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each window as its record says it, and read; other records are told on stderr."""
    records = read_topic(
        settings, "windows", from_beginning=from_beginning, follow=True, timeout=timeout
    )
    for record in records:
        value = record.value() or b""
        try:
            window = orjson.loads(value)
        except orjson.JSONDecodeError:
            window = None
        if isinstance(window, dict) and window.keys() >= _NEEDED:
            yield value.decode(), window
        else:
            say(f"offset {record.offset()}: a record that is no window was left out")
