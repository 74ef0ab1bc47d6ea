"""The two kinds of demo, on whichever Kafka there is."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from stream.cli.demo.broker import (
    EMBEDDED_WARNING,
    check_broker,
    embedded_broker,
    own_prefix,
    removed_afterwards,
)
from stream.cli.demo.example import ExampleTraffic
from stream.cli.demo.play import Plan, play
from stream.cli.demo.screen import screen_for, summary
from stream.cli.demo.table import TableTraffic
from stream.cli.demo.traffic import Traffic
from stream.core.errors import ConfigError
from stream.settings import Settings

__all__ = ["QUICK", "TableOptions", "run_example", "run_tables"]

_EXAMPLE_RATE = 500.0
_EXAMPLE_WINDOW_MS = 5_000
_CALM_SECONDS = 17.0
_GIVE_UP_SECONDS = 75.0
_WINDOWS_OF_A_TABLE = 12
_SHORTEST_SECONDS = 12.0
_NOT_FOUND = 1

# A deployment counts in minutes and hours; here a person watches.
QUICK = {
    "pane": 1_000,
    "out_of_orderness": 300,
    "idle_after": 2_000,
    "max_hold": 10_000,
    "commit_interval": 250,
    "partitions": 4,
    "partials_partitions": 0,
    "label_patience": 3_000,
    "sources": ("predictions", "labels"),
}


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Two tables of one model, and in how many seconds the rows of the first are sent.

    `positive` is the labels' positive class, empty where they tell it.
    """

    data: Path
    reference: Path
    model: str | None
    ignore: tuple[str, ...]
    seconds: float
    positive: str = ""


def run_example(settings: Settings, console: Console, *, keep_running: bool) -> None:
    """Plays the example; ends the command with 1 where its change isn't found."""
    plan = Plan(_EXAMPLE_RATE, _EXAMPLE_WINDOW_MS, _CALM_SECONDS, _GIVE_UP_SECONDS, keep_running)
    _run(settings, ExampleTraffic(), plan, console)


def run_tables(
    settings: Settings, console: Console, options: TableOptions, *, keep_running: bool
) -> None:
    """Plays a table against its reference, a dozen windows of it."""
    if options.seconds < _SHORTEST_SECONDS:
        raise ConfigError(
            f"--duration: must be {_SHORTEST_SECONDS:.0f}s or more: 12 windows fit in"
        )
    table = TableTraffic(
        options.data, options.reference, options.model, options.ignore, options.positive
    )
    if table.left_out:
        names = ", ".join(table.left_out)
        console.print(f"left out, as only one of the tables has it: {names}", markup=False)
    rate = (table.total or 0) / options.seconds
    window_ms = round(options.seconds / _WINDOWS_OF_A_TABLE) * 1000
    _run(settings, table, Plan(rate, window_ms, 0.0, 0.0, keep_running), console)


def _run(settings: Settings, traffic: Traffic, plan: Plan, console: Console) -> None:
    embedded = not settings.bootstrap_servers
    update: dict[str, object] = {**QUICK, "topic_prefix": own_prefix()}
    with ExitStack() as stack:
        if embedded:
            update["bootstrap_servers"] = stack.enter_context(embedded_broker())
        settings = settings.model_copy(update=update)
        if not embedded:
            check_broker(settings)
            stack.enter_context(removed_afterwards(settings))
        broker = EMBEDDED_WARNING if embedded else settings.bootstrap_servers
        # Log lines would run through the picture; what ends the demo is told anyway.
        logging.getLogger().setLevel(logging.ERROR if console.is_terminal else logging.WARNING)
        with screen_for(console) as screen:
            scene = play(settings, traffic, plan, screen, broker, embedded=embedded)
        console.print(summary(scene))
    if scene.alert is None:
        raise typer.Exit(_NOT_FOUND)
