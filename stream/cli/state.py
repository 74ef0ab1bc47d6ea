"""`driftstream state`: mends stored state that disagrees with committed offsets."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import print_json, print_table, say
from stream.settings import Settings

__all__ = ["app"]

app = new_app("The agents' stored state.")


class AgentName(StrEnum):
    """An agent."""

    OBSERVE = "observe"
    DETECT = "detect"


class Start(StrEnum):
    """Where an agent goes on from."""

    COMMITTED = "committed"
    EARLIEST = "earliest"
    LATEST = "latest"


@app.callback()
def _group() -> None:
    """Keeps `reset` a subcommand while it is the only one."""


@app.command()
@with_settings
def reset(
    settings: Settings,
    agent: Annotated[AgentName, typer.Argument(help="Whose state.")],
    *,
    to: Annotated[Start, typer.Option("--to", help="Where it goes on from.")] = Start.COMMITTED,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Give up an agent's state and make it agree with its offsets; no worker may run meanwhile.

    What the agent held is lost: open panes and incidents of detect, watermarks of observe.
    """
    from stream.engine.reset import reset_state
    from stream.worker import agent_for_reset, engine_settings

    if not yes:
        question = f"Give up the state of {agent.value} under {settings.topic_prefix}?"
        try:
            typer.confirm(question, abort=True)
        except typer.Abort:
            say("nothing was given up; --yes goes on without asking")
            raise
    positions = reset_state(
        agent_for_reset(settings, agent.value), engine_settings(settings), to.value
    )
    rows = [(topic, partition, at) for (topic, partition), at in positions.items()]
    if json:
        for topic, partition, at in rows:
            print_json({"topic": topic, "partition": partition, "position": at})
    else:
        print_table(("topic", "partition", "goes on from"), rows)
    if to is Start.EARLIEST:
        say("what was counted before is counted again, and windows that stand are written twice")
