"""Whether the topics that an agent needs are there and of one shape."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.offsets import partition_counts
from stream.core.errors import TopicError
from stream.engine.agent import Agent
from stream.engine.settings import EngineSettings

__all__ = ["Topology", "look_up"]


class Topology:
    """An agent's topics as they are: its number of tasks, and its broadcast topics' partitions."""

    def __init__(self, tasks: int, broadcasts: Mapping[str, int]) -> None:
        self.tasks = tasks
        self.broadcasts = dict(broadcasts)


def look_up(agent: Agent, admin: AdminClient, settings: EngineSettings) -> Topology:
    """The topics' shape. TopicError where one is missing or differs; BrokerError to try again."""
    inputs = [settings.topic(topic) for topic in agent.inputs]
    broadcasts = [settings.topic(topic) for topic in agent.broadcasts]
    changelog = settings.changelog(agent.name)
    wanted = [*inputs, *broadcasts, changelog]
    counts = partition_counts(admin, wanted, embedded=settings.embedded)
    missing = sorted(topic for topic in wanted if not counts[topic])
    if missing:
        raise TopicError(
            f"missing on {settings.bootstrap_servers}: {', '.join(missing)}. Run `driftstream "
            "topics create`, or check the topic prefix and this user's right to describe them"
        )
    tasks = counts[inputs[0]]
    if any(counts[topic] != tasks for topic in inputs):
        shapes = ", ".join(f"{topic} has {counts[topic]}" for topic in inputs)
        raise TopicError(
            f"the input topics of {agent.name} must have one number of partitions, so that a "
            f"task reads the same partition of each: {shapes}. Partitions can be added, not "
            "removed: create the smaller topics anew, or alter them to the largest number"
        )
    if counts[changelog] != tasks:
        raise TopicError(
            f"{changelog} has {counts[changelog]} partitions but the input topics have {tasks}: "
            f"run `driftstream state reset {agent.name}`, which makes it anew"
        )
    return Topology(tasks, {topic: counts[topic] for topic in broadcasts})
