"""`driftstream topics`: what topics a deployment has, and making those that are missing."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.adapters.kafka.topics import describe_topics, ensure_topics
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import print_json, print_table, say
from stream.settings import Settings
from stream.topics import TOPICS, real_name

__all__ = ["app"]

app = new_app("List the deployment's topics; create those that are missing.")

_SECONDS = 10.0


@app.command("list")
@with_settings
def list_topics(settings: Settings, *, json: JsonFlag = False) -> None:
    """List every topic of the deployment with its partitions, replicas and settings."""
    existing = {
        t.name: t
        for t in describe_topics(
            settings.client_config(), settings.topic_prefix, timeout_s=_SECONDS
        )
    }
    rows = []
    for topic in TOPICS:
        name = real_name(settings.topic_prefix, topic.name)
        found = existing.get(name)
        if json:
            print_json(
                {
                    "topic": name,
                    "exists": found is not None,
                    "partitions": found.partitions if found else None,
                    "replication": found.replication if found else None,
                    "config": dict(found.config) if found else None,
                    "summary": topic.summary,
                }
            )
            continue
        shape = ("", "", "missing")
        if found:
            cleanup = found.config.get("cleanup.policy", "")
            shape = (str(found.partitions), str(found.replication), cleanup)
        rows.append((name, *shape, topic.summary))
    if not json:
        print_table(("topic", "partitions", "replicas", "cleanup", "what it carries"), rows)


@app.command()
@with_settings
def create(
    settings: Settings,
    *,
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, help="Partitions of the input topics.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option("--replication", min=0, help="Replicas; 0: 3 or all brokers.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Create the topics that are missing; refuse when one that exists has the wrong shape."""
    ensured = ensure_topics(
        settings.client_config(),
        settings.topic_prefix,
        source_partitions=partitions or settings.partitions,
        partials_partitions=settings.partials_partitions,
        replication=settings.replication if replication is None else replication,
        timeout_s=_SECONDS,
    )
    for warning in ensured.warnings:
        say(f"warning: {warning}")
    if json:
        print_json({"created": list(ensured.created), "partitions": dict(ensured.partitions)})
        return
    for name in ensured.created:
        print(f"created {name}")
    if not ensured.created:
        print("every topic is there already")
