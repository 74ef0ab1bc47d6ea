"""`driftstream windows`: closed windows as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, say
from stream.cli.reading import FromBeginning, Max, Timeout, read_topic
from stream.settings import Settings

__all__ = ["app", "model_name", "window_line"]

app = new_app("Closed windows: their counts, scores and drifted features.")


@app.callback()
def _group() -> None:
    """Keeps `tail` a subcommand while it is the only one."""


@app.command()
@with_settings
def tail(
    settings: Settings,
    *,
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None,
    from_beginning: FromBeginning = False,
    limit: Max = None,
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """Print windows as they are closed, one a line."""
    shown = 0
    records = read_topic(
        settings, "windows", from_beginning=from_beginning, follow=True, timeout=timeout
    )
    for record in records:
        value = record.value() or b""
        try:
            window = orjson.loads(value)
        except orjson.JSONDecodeError:
            say(f"offset {record.offset()}: a record that is no JSON was left out")
            continue
        if model is not None and window.get("model") != model:
            continue
        print(value.decode() if json else window_line(window), flush=True)
        shown += 1
        if shown == limit:
            return


def model_name(model: str, version: str) -> str:
    """A model as people write it: credit@3, or credit where it has no version."""
    return f"{model}@{version}" if version else model


def window_line(window: Mapping[str, Any]) -> str:
    """A window in one line for people: when, which model, how many rows, what drifted."""
    model = model_name(window["model"], window["version"])
    when = f"{instant(window['start_ms'])} - {instant(window['end_ms'])[11:]}"
    line = f"{when}  {model}  {window['rows']:,} rows"
    if window.get("late_rows"):
        line += f" ({window['late_rows']:,} late)"
    if not window.get("scored"):
        return f"{line}  not scored: {window.get('reason') or 'too few rows'}"
    share = window.get("drift_share")
    drifted = window.get("drifted") or []
    names = ", ".join(drifted) if drifted else "none"
    return f"{line}  drifted {0.0 if share is None else share:.0%}: {names}"
