"""The command tree: one line a command; a command's module is imported only when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from stream.cli.output import complain
from stream.core.errors import BrokerError, ConfigError, DriftstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "EXIT_BROKER", "EXIT_FAILED", "EXIT_OK", "EXIT_USAGE", "run"]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BROKER = 3
_EXIT_INTERRUPTED = 130

COMMANDS: Mapping[str, str] = {
    "demo": "stream.cli.demo.command:app",
    "worker": "stream.cli.worker:app",
    "profile": "stream.cli.profile:app",
    "apply": "stream.cli.monitors:apply_app",
    "monitors": "stream.cli.monitors:app",
    "topics": "stream.cli.topics:app",
    "produce": "stream.cli.produce:app",
    "alerts": "stream.cli.alerts:app",
    "windows": "stream.cli.windows:app",
    "digest": "stream.cli.digest.command:app",
    "dead-letters": "stream.cli.dead_letters.command:app",
    "state": "stream.cli.state:app",
    "schemas": "stream.cli.schemas:app",
    "dev": "stream.cli.dev:app",
}


class _LazyGroup(TyperGroup):
    """Finds commands in COMMANDS and imports one when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands' names in the order in which people meet them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = get_command(getattr(import_module(module), attribute))
        command.name = cmd_name
        return command


_app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Finds drift in the features, predictions and labels that model servers send to Kafka.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong option or setting, 3 Kafka, "
    "4 done but for records that could not be read (digest), 130 interrupted.",
)


@_app.callback()
def _root() -> None:
    """Options belong to the commands."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code. What we raise on purpose becomes one message."""
    try:
        _app(list(arguments), prog_name="driftstream", standalone_mode=True)
    except DriftstreamError as error:
        complain(str(error))
        return _code_of(error)
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_OK
    return EXIT_OK


def _code_of(error: DriftstreamError) -> int:
    if isinstance(error, ConfigError):
        return EXIT_USAGE
    return EXIT_BROKER if isinstance(error, BrokerError) else EXIT_FAILED
