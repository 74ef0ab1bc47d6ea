"""The command's first step: works with the SDK alone installed, and says what else is needed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich", "pydantic", "yaml", "msgspec", "prometheus_client", "pyarrow")


def main() -> None:
    """Runs `driftstream …` and ends the process with the command's exit code."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"driftstream: the commands need packages that are not installed "
            f"({', '.join(missing)}).\nInstall them with: pip install 'driftstream[worker]'\n"
        )
        sys.exit(2)
    from stream.cli.application import run

    sys.exit(run(sys.argv[1:]))
