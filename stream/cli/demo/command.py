"""`driftstream demo`: drift found in a stream, before your eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stream.cli.options import new_app, with_settings
from stream.core.errors import ConfigError
from stream.settings import Settings, parse_duration

__all__ = ["app"]

app = new_app()

_PLAIN_WIDTH = 1_000  # for a file or a pipe: nothing is cut or folded


@app.command()
@with_settings
def demo(
    settings: Settings,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="Rows to send, in order; needs --reference.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="Rows that drift is measured against.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The table's model name.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="A column to leave out; repeatable.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", help="The positive class of its labels; else the greater."),
    ] = None,
    duration: Annotated[
        str, typer.Option("--duration", help="How long the table's rows take to be sent.")
    ] = "60s",
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Go on after the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Show drift being found: an example model's stream, or any two tables.

    Runs on the Kafka that is named (--bootstrap-servers, KAFKA_BOOTSTRAP_SERVERS), under a topic
    prefix of its own that it removes afterwards; else on a broker inside this process.
    Exit code 0: an incident was opened. 1: none was. 3: Kafka does not answer.
    """
    # Long because each option is declared here; the work is in `run` and `play`.
    if (data is None) != (reference is None):
        raise ConfigError("--data and --reference belong together: give both, or neither")
    from stream.cli.demo.run import TableOptions, run_example, run_tables

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    if data is None or reference is None:
        run_example(settings, console, keep_running=keep_running)
        return
    try:
        seconds = parse_duration(duration) / 1000
    except ValueError as error:
        raise ConfigError(f"--duration: {error}") from error
    run_tables(
        settings,
        console,
        TableOptions(data, reference, model, tuple(ignore or ()), seconds, positive or ""),
        keep_running=keep_running,
    )
