"""`driftstream worker`: runs the agents until told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.options import new_app, with_settings
from stream.settings import Settings

__all__ = ["app"]

app = new_app()


@app.command()
@with_settings
def worker(
    settings: Settings,
    *,
    agents: Annotated[
        str, typer.Option("--agents", help="Which to run here, separated by commas.")
    ] = "observe,detect",
    http_port: Annotated[
        int | None,
        typer.Option("--http-port", min=0, max=65_535, help="Port of /metrics; 0: any free one."),
    ] = None,
) -> None:
    """Run the agents: count rows into panes, close windows, score them, open incidents.

    SIGTERM or Ctrl-C commits, leaves the consumer groups and exits with 0.
    """
    from stream.worker import run_worker

    if http_port is not None:
        settings = settings.model_copy(update={"http_port": http_port})
    run_worker(settings, tuple(name.strip() for name in agents.split(",") if name.strip()))
