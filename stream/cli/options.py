"""Options that many commands share, and how they become settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import typer

from stream.cli.logs import configure_logs
from stream.core.errors import ConfigError
from stream.settings import Settings, load_settings

__all__ = ["JsonFlag", "new_app", "settings_from", "with_settings"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print data as JSON, one value a line.")]

_PANEL = "Settings (see docs/configuration.md)"
_SHARED: dict[str, Any] = {
    "bootstrap_servers": Annotated[
        str | None,
        typer.Option(
            "--bootstrap-servers",
            "-b",
            help="Kafka brokers; else KAFKA_BOOTSTRAP_SERVERS.",
            rich_help_panel=_PANEL,
        ),
    ],
    "topic_prefix": Annotated[
        str | None,
        typer.Option(
            "--topic-prefix", help="Put before every topic's name.", rich_help_panel=_PANEL
        ),
    ],
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="TOML settings; else DRIFTSTREAM_CONFIG.", rich_help_panel=_PANEL
        ),
    ],
    "assign": Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, such as pane=10s or kafka.security.protocol=SSL.",
            rich_help_panel=_PANEL,
        ),
    ],
}


def new_app(about: str | None = None) -> typer.Typer:
    """A command's or a group's own Typer, with the looks that all of them share."""
    return typer.Typer(help=about, add_completion=False, rich_markup_mode="markdown")


def with_settings(
    command: Callable[Concatenate[Settings, _P], _R],
) -> Callable[..., _R]:
    """Gives a command the shared options; it gets the checked Settings as its first argument.

    Logging goes to stderr as the settings say before the command runs.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> _R:
        shared = {name: kwargs.pop(name) for name in _SHARED}
        settings = settings_from(**shared)
        configure_logs(settings.log_level, settings.log_format)
        return command(settings, *args, **kwargs)

    hints = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _SHARED.items()
    ]
    wrapped.__dict__["__signature__"] = inspect.Signature(parameters)
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapped.__wrapped__  # else its annotations would be read in place of ours
    return wrapped


def settings_from(
    bootstrap_servers: str | None = None,
    topic_prefix: str | None = None,
    config: Path | None = None,
    assign: Sequence[str] | None = None,
) -> Settings:
    """The settings from a command's shared options, the environment and the file."""
    options: dict[str, object] = {}
    kafka: dict[str, str] = {}
    for text in assign or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            # The text isn't shown: it may be a password with a colon in the place of the sign.
            raise ConfigError("--set wants KEY=VALUE, such as --set pane=10s")
        if name.startswith("kafka."):
            kafka[name.removeprefix("kafka.")] = value
        else:
            options[name] = value
    named = {"bootstrap_servers": bootstrap_servers, "topic_prefix": topic_prefix}
    options |= {name: value for name, value in named.items() if value is not None}
    return load_settings({**options, "kafka": kafka or None}, file=config)
