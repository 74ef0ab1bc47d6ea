"""`driftstream dead-letters`: what was rejected, and why; and how it is sent again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.dead_letters.letter import Letter, Selection, read, replayed
from stream.cli.dead_letters.lines import line_of
from stream.cli.dead_letters.log import LetterLog
from stream.cli.dead_letters.original import INPUTS, Original, original_of
from stream.cli.dead_letters.replay import FromFile, FromTopic, Outcome, Wanted, send
from stream.cli.deployment import parse_time
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, print_line, print_table, printable, say
from stream.cli.reading import Timeout, read_topic
from stream.core.errors import ConfigError, InputError, Reason, SchemaError
from stream.settings import Settings

__all__ = ["app"]

app = new_app("Records that could not be used.")

_SHOWN_BYTES = 60
_FAILED = 1

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only of this reason; repeatable.")
]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only of this input topic; repeatable.")
]
From = Annotated[str | None, typer.Option("--from", help="Only refused at this time or later.")]
To = Annotated[str | None, typer.Option("--to", help="Only refused before this time.")]


@app.command("list")
@with_settings
def list_letters(
    settings: Settings,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    begin: From = None,
    end: To = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="From now, and on until Ctrl-C, as they come.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="With --follow: the older ones first.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--max", min=1, help="At most so many.")] = None,
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """List rejected records, the oldest first; reasons are explained in docs/dead-letters.md.

    At most 100 without --max or --follow.
    """
    selection = _selection(reason, topic, begin, end)
    most = limit or (None if follow else 100)
    letters = _some(
        _letters(
            settings, follow=follow, from_beginning=from_beginning or not follow, timeout=timeout
        ),
        selection,
        most,
    )
    if json:
        for letter in letters:
            print_json(line_of(letter, None))
    elif follow:
        for letter in letters:
            print_line("  ".join(map(str, _row(letter))))
    else:
        columns = ("letter", "rejected at (UTC)", "where", "try", "reason", "detail", "value")
        print_table(columns, map(_row, letters))


@app.command()
@with_settings
def export(
    settings: Settings,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    begin: From = None,
    end: To = None,
    limit: Annotated[int | None, typer.Option("--max", min=1, help="At most so many.")] = None,
) -> None:
    """Print letters that were not replayed yet, one JSON object a line, to be repaired.

    Of a batch of rows it holds those that were refused. `replay FILE` sends what it then says.
    """
    log = LetterLog(settings)
    done = log.replayed()
    selection = _selection(reason, topic, begin, end)
    left = (letter for letter in log.letters() if letter.place not in done)
    for letter in _some(left, selection, limit):
        print_json(line_of(letter, _original(letter)))


@app.command()
@with_settings
def replay(
    settings: Settings,
    file: Annotated[
        Path | None, typer.Argument(help="Repaired letters, as `export` prints them.")
    ] = None,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    begin: From = None,
    end: To = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters, as they are.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was sent again and failed again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Send rejected records to their topics once more: as they are, or repaired from FILE.

    Each letter once: what was sent is marked, in one transaction with the record. One that fails
    again becomes a new letter.
    """
    selection = _selection(reason, topic, begin, end)
    if file is not None and (everything or again or not selection.all):
        raise ConfigError("FILE says what is sent: give it without --reason, --topic, … or --all")
    if file is None and selection.all and not everything:
        raise ConfigError("say what to send: FILE, --reason, --topic, --from, --to, or --all")
    wanted: Wanted = FromTopic(selection, again=again) if file is None else FromFile(file)
    show = _show_json if json else _show
    done = send(settings, wanted, show if dry_run else None)
    for why in done.why:
        say(f"left out: {why}")
    if json and not dry_run:
        print_json({"sent": done.sent, "before": done.before, "left_out": done.left_out})
    else:
        _summarize(done, dry_run=dry_run)
    if file is not None and done.left_out:
        raise typer.Exit(_FAILED)


def _selection(
    reasons: list[Reason] | None, topics: list[str] | None, begin: str | None, end: str | None
) -> Selection:
    unknown = sorted(set(topics or ()) - set(INPUTS))
    if unknown:
        raise ConfigError(f"--topic {unknown[0]}: is none of {', '.join(INPUTS)}")
    return Selection(
        frozenset(reasons or ()),
        frozenset(topics or ()),
        None if begin is None else parse_time(begin),
        None if end is None else parse_time(end),
    )


def _letters(
    settings: Settings, *, follow: bool, from_beginning: bool, timeout: float | None
) -> Iterator[Letter]:
    """The topic's letters; a record that is none, nor the mark of a replay, is told on stderr."""
    records = read_topic(
        settings, "dead-letters", from_beginning=from_beginning, follow=follow, timeout=timeout
    )
    for record in records:
        if replayed(record) is not None:
            continue
        try:
            yield read(record)
        except SchemaError as error:
            say(f"{record.partition()}/{record.offset()}: no dead letter: {error}")


def _some(letters: Iterable[Letter], selection: Selection, most: int | None) -> Iterator[Letter]:
    return islice(filter(selection.wants, letters), most)


def _original(letter: Letter) -> Original | None:
    try:
        return original_of(letter)
    except InputError:
        return None


def _row(letter: Letter) -> tuple[object, ...]:
    return (
        letter.place,
        instant(letter.rejected_at_ms),
        letter.source,
        letter.attempt,
        letter.reason,
        printable(letter.detail),
        printable(_beginning(letter.value)),
    )


def _beginning(value: bytes | None) -> str:
    text = (value or b"")[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return text + ("…" if len(value or b"") > _SHOWN_BYTES else "")


def _show(record: Original) -> None:
    letter = record.letter
    print_line(f"{letter.place}  {letter.source}  {letter.reason}  {_beginning(record.value)}")


def _show_json(record: Original) -> None:
    print_json(line_of(record.letter, record))


def _summarize(done: Outcome, *, dry_run: bool) -> None:
    records = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(done.sent.items()))
    say(f"{'would be ' if dry_run else ''}sent: {records or 'nothing'}")
    if done.before:
        say(f"replayed before, and not again: {done.before:,}")
    if done.left_out:
        say(f"left out: {done.left_out:,}")
