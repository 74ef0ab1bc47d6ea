"""`driftstream dead-letters`: what was rejected, and why."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import typer

from stream import schemas
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, print_table, say
from stream.cli.reading import Timeout, read_topic
from stream.core.errors import Reason, SchemaError
from stream.settings import Settings

__all__ = ["app"]

app = new_app("Records that could not be used.")

_SHOWN_BYTES = 60


@app.callback()
def _group() -> None:
    """Keeps `list` a subcommand while it is the only one."""


@app.command("list")
@with_settings
def list_letters(
    settings: Settings,
    *,
    reason: Annotated[Reason | None, typer.Option("--reason", help="Only of this reason.")] = None,
    limit: Annotated[int, typer.Option("--max", min=1, help="At most so many.")] = 100,
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """List rejected records, the oldest first; reasons are explained in docs/dead-letters.md."""
    rows: list[tuple[object, ...]] = []
    shown = 0
    records = read_topic(
        settings, "dead-letters", from_beginning=True, follow=False, timeout=timeout
    )
    for record in records:
        try:
            letter = schemas.decode_avro("dead_letter", record.value() or b"")
        except SchemaError as error:
            say(f"offset {record.offset()}: no dead letter: {error}")
            continue
        if reason is not None and letter["reason"] != reason:
            continue
        if json:
            print_json(_plain(letter))
        else:
            rows.append(_row(letter))
        shown += 1
        if shown == limit:
            break
    if not json:
        print_table(("rejected at (UTC)", "where", "reason", "detail", "value"), rows)


def _row(letter: dict[str, Any]) -> tuple[object, ...]:
    where = f"{letter['topic']}/{letter['partition']}@{letter['offset']}"
    value = letter["value"] or b""
    text = value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    more = "…" if len(value) > _SHOWN_BYTES else ""
    return (
        instant(letter["rejected_at_ms"]),
        where,
        letter["reason"],
        letter["detail"],
        text + more,
    )


def _plain(value: Any) -> Any:
    """The record for JSON: bytes as text where they are UTF-8, else as {"base64": …}."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
