"""`driftstream dev`: what people need while they develop against a deployment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.deployment import parse_time
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import say
from stream.core.errors import ConfigError
from stream.settings import Settings

__all__ = ["app"]

app = new_app("For development: a Kafka on this machine, and a hostile workload.")

_PORT = 9092


@app.command()
def kafka(
    *,
    brokers: Annotated[int | None, typer.Option("--brokers", help="1 or 3; else 1.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help=f"The first broker's; 0: any free. Else {_PORT}."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="A folder to keep; else a temporary one.")
    ] = None,
) -> None:
    """Run Apache Kafka in the foreground until Ctrl-C (Java 17 and Maven, or Docker).

    Where KAFKA_BOOTSTRAP_SERVERS names a Kafka, none is started; options are an error then.
    """
    from stream.adapters.kafka.local_dev import run_dev_kafka

    if brokers not in {None, 1, 3}:
        raise typer.BadParameter("must be 1 or 3", param_hint="--brokers")
    existing = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    given = {"--brokers": brokers, "--port": port, "--data": data}
    asked = [name for name, value in given.items() if value is not None]
    if existing and asked:
        raise ConfigError(
            f"options for a Kafka that is started here ({', '.join(asked)}), and "
            f"KAFKA_BOOTSTRAP_SERVERS names one already, {existing}: unset it to have one started"
        )
    run_dev_kafka(
        brokers or 1, port=_PORT if port is None else port, data=data, existing=existing, say=say
    )


@app.command()
@with_settings
def workload(
    settings: Settings,
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another workload.")],
    rows: Annotated[int, typer.Option("--rows", help="Requests to the models.")] = 30_000,
    partitions: Annotated[
        int, typer.Option("--partitions", min=2, help="Partitions of the input topics.")
    ] = 12,
    start: Annotated[
        str | None, typer.Option("--start", help="A full hour in the past; else 2026-01-05T00:00Z.")
    ] = None,
    hours: Annotated[int, typer.Option("--hours", help="How long models are asked.")] = 8,
    idle: Annotated[
        list[int] | None,
        typer.Option("--partitions-idle", help="Without any record; repeat. Else the last one."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Fill new topics with a seeded workload: valid, and as hostile as producers can be.

    The same arguments give the same records in the same partitions with the same timestamps, on
    whatever cluster and prefix, so that runs can be compared by `driftstream digest`.
    """
    from stream.cli.workload import load_workload
    from stream.workload.plan import START_MS, Plan

    plan = Plan(
        seed=seed,
        rows=rows,
        partitions=partitions,
        start_ms=START_MS if start is None else parse_time(start),
        hours=hours,
        idle=None if idle is None else tuple(idle),
    )
    load_workload(settings, plan, as_json=json)
