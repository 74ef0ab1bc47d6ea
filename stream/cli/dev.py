"""`driftstream dev`: what people need while they develop against a deployment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import new_app
from stream.cli.output import say

__all__ = ["app"]

app = new_app("For development: a Kafka on this machine.")


@app.callback()
def _group() -> None:
    """Keeps `kafka` a subcommand while it is the only one."""


@app.command()
def kafka(
    *,
    brokers: Annotated[int, typer.Option("--brokers", help="1 or 3.")] = 1,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The first broker's; 0: any free.")
    ] = 9092,
    data: Annotated[
        Path | None, typer.Option("--data", help="A folder to keep; else a temporary one.")
    ] = None,
) -> None:
    """Run Apache Kafka in the foreground until Ctrl-C (Java 17 and Maven, or Docker)."""
    from stream.adapters.kafka.local_dev import run_dev_kafka

    if brokers not in {1, 3}:
        raise typer.BadParameter("must be 1 or 3", param_hint="--brokers")
    existing = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    run_dev_kafka(brokers, port=port, data=data, existing=existing, say=say)
