"""`driftstream digest`: one hash of what a model's windows and incidents say, to compare runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from stream.adapters.kafka.headers import headers_of
from stream.cli.deployment import parse_time
from stream.cli.digest.canonical import Digest, Found, Place, Read, Window, digest_of
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import complain, instant, print_json
from stream.cli.reading import read_topic
from stream.core.errors import ConfigError
from stream.core.records import ModelKey
from stream.settings import Settings

__all__ = ["app", "digest_now"]

app = new_app()

_FAILED = 1
_LEFT_OUT = 4


@app.command()
@with_settings
def digest(
    settings: Settings,
    *,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only this model's; repeatable.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="Windows that end, incidents that changed, after.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="And not after this time.")] = None,
    lines: Annotated[
        bool, typer.Option("--list", help="Also a line for each window and incident.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Print sha256 over windows and incidents as they stand now, a line for each model.

    Two runs over the same records print the same. Windows with moved rows have a hash of their
    own. What stands twice on a topic is told, and there is no hash. A record that is no window, or
    no alert, is told and left out; then the exit code is 4.
    """
    from_ms, to_ms = _time(begin), _time(end)
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise ConfigError("--from is not before --to: no window ends in between")
    found = digest_now(settings, model or (), from_ms, to_ms)
    _tell_odd(found)
    if found.doubled:
        for line in found.doubled:
            complain(f"found twice: {line}")
        raise typer.Exit(_FAILED)
    unknown = sorted(set(model or ()) - set(found.models))
    for name in unknown:
        complain(
            f"model {name!r} has no windows and no incidents here: its hash is that of nothing"
        )
    if lines:
        for each in (*found.windows, *found.incidents):
            _line(each, moved=False, json=json)
        for each in found.moved:
            _line(each, moved=True, json=json)
    for name in model or found.models:
        _total(name, found.of_model(name), json=json)
    _total(None, found, json=json)
    if unknown or found.odd:
        raise typer.Exit(_FAILED if unknown else _LEFT_OUT)


def digest_now(
    settings: Settings,
    models: list[str] | tuple[str, ...] = (),
    from_ms: int | None = None,
    to_ms: int | None = None,
) -> Digest:
    """The digest of all that is committed on `windows` and `alerts` now (`digest_of`)."""
    return digest_of(
        _read(settings, "windows"),
        _read(settings, "alerts"),
        models=tuple(models),
        from_ms=from_ms,
        to_ms=to_ms,
    )


def _read(settings: Settings, topic: str) -> Iterator[Read]:
    for message in read_topic(settings, topic, from_beginning=True, follow=False):
        place = Place(topic, message.partition() or 0, message.offset() or 0)
        yield Read(place, message.key(), message.value(), tuple(headers_of(message)))


def _tell_odd(found: Digest) -> None:
    """What is hashed nowhere, each record by its place; whose it would have been nobody knows."""
    for odd in found.odd:
        complain(str(odd))
    if found.odd:
        count = len(found.odd)
        complain(f"{count:,} {'record is' if count == 1 else 'records are'} in no hash: see above")


def _time(text: str | None) -> int | None:
    return None if text is None else parse_time(text)


def _total(model: str | None, digest: Digest, *, json: bool) -> None:
    if json:
        print_json(
            {
                "model": model,
                "digest": digest.hex,
                "windows": len(digest.windows),
                "incidents": len(digest.incidents),
                "moved_digest": digest.moved_hex if digest.moved else None,
                "moved_windows": len(digest.moved),
            }
        )
        return
    whose = "all" if model is None else f"model {model}"
    print(f"{digest.hex}  {whose}: {_counts(digest)}")
    if digest.moved:
        print(f"{digest.moved_hex}  {whose}: {len(digest.moved):,} windows with moved rows")


def _counts(digest: Digest) -> str:
    return f"{len(digest.windows):,} windows, {len(digest.incidents):,} incidents"


def _line(found: Found, *, moved: bool, json: bool) -> None:
    what = found.what
    if json:
        kind = "window" if isinstance(what, Window) else "incident"
        print_json({"hash": found.hash.hex(), "what": kind, "moved": moved, "of": what._asdict()})
        return
    whose = str(ModelKey(what.model, what.version))
    whose += f" [{what.segment}]" if what.segment else ""
    if isinstance(what, Window):
        name = "moved " if moved else "window"
        times = f"{instant(what.start_ms)} - {instant(what.end_ms)}"
        print(f"{found.hash.hex()}  {name}  {whose}  {what.kind}  {times}")
    else:
        times = f"{instant(what.opened_ms)} {what.state} {instant(what.at_ms)}"
        print(f"{found.hash.hex()}  incident {what.id}  {whose}  {what.kind}  {times}")
