"""Makes an agent's changelog and its group's committed offsets agree again, giving up its state."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Literal

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AdminClient,
    ConfigResource,
    ConfigSource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from stream.adapters.kafka.asking import metadata
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import said
from stream.adapters.kafka.offsets import (
    Partition,
    beginnings,
    committed_by,
    ends,
    partition_counts,
)
from stream.core.errors import BrokerError, ConfigError, StateError, TopicError
from stream.core.records import Source
from stream.engine.agent import Agent
from stream.engine.positions import POSITIONS, write_positions
from stream.engine.settings import EngineSettings
from stream.engine.transaction import error_of

__all__ = ["ResetTo", "reset_state"]

_log = logging.getLogger("stream.engine")

ResetTo = Literal["committed", "earliest", "latest"]

_SECONDS = 30.0
_ASK_SECONDS = 10.0
_GONE = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})


def reset_state(
    agent: Agent, settings: EngineSettings, to: ResetTo = "committed"
) -> dict[Source, int]:
    """Empties the agent's changelog and sets it and the group to one position; returns that.

    `committed` keeps the group's offsets (the oldest record where there are none), `earliest`
    and `latest` are the topics' ends. The agent's tasks then start new from there: what they
    held is given up. Interrupted, it can be run again.

    Raises StateError while workers run, BrokerError, TopicError; ConfigError on the embedded
    broker, which can do none of this.
    """
    if settings.embedded:
        raise ConfigError("the embedded broker keeps no state: start it anew instead of resetting")
    connection = Connection(settings.bootstrap_servers, "driftstream-reset", settings.kafka)
    admin = connection.admin()
    group = settings.group(agent.name)
    metadata(connection, admin, _ASK_SECONDS)
    try:
        _refuse_while_running(admin, group)
        inputs = _inputs(agent, admin, settings)
        if to == "latest":
            positions = ends(admin, inputs, IsolationLevel.READ_COMMITTED)
        else:
            positions = beginnings(admin, inputs)
        if to == "committed":
            positions |= committed_by(connection, group, inputs, _SECONDS)
        tasks = max(task for _, task in inputs) + 1
        _make_anew(admin, settings.changelog(agent.name), tasks)
        _commit(admin, group, positions)
        producer = connection.producer(f"{group}-reset", settings.transaction_timeout_ms)
        _record(producer, settings, agent.name, positions)
    except (KafkaException, FutureTimeoutError) as error:
        raise BrokerError(
            f"the state of {agent.name} is not reset, run it again: {said(error)}"
        ) from error
    _log.warning("state of %s reset to %s: %d tasks", agent.name, to, tasks)
    return {
        Source(name.removeprefix(settings.prefix), task): at
        for (name, task), at in sorted(positions.items())
    }


def _refuse_while_running(admin: AdminClient, group: str) -> None:
    try:
        found = admin.describe_consumer_groups([group])[group].result(_SECONDS)
    except KafkaException as error:
        if error_of(error).code() == KafkaError.GROUP_ID_NOT_FOUND:
            return
        raise
    if found.state not in _GONE:
        raise StateError(
            f"group {group} has {len(found.members)} members: stop all workers (a killed one "
            "counts until its session times out), then reset"
        )


def _inputs(agent: Agent, admin: AdminClient, settings: EngineSettings) -> list[Partition]:
    counts = partition_counts(admin, [settings.topic(topic) for topic in agent.inputs])
    missing = sorted(topic for topic, count in counts.items() if not count)
    if missing:
        raise TopicError(f"missing on {settings.bootstrap_servers}: {', '.join(missing)}")
    return [(topic, task) for topic, count in counts.items() for task in range(count)]


def _make_anew(admin: AdminClient, changelog: str, tasks: int) -> None:
    """An empty changelog with the old one's configuration and replicas."""
    known = admin.list_topics(timeout=_SECONDS).topics
    config: dict[str, str] = {"cleanup.policy": "compact"}
    replicas = -1
    if changelog in known:
        config |= _own_config(admin, changelog)
        replicas = len(known[changelog].partitions[0].replicas)
        admin.delete_topics([changelog], operation_timeout=_SECONDS)[changelog].result(_SECONDS)
    deadline = time.monotonic() + _SECONDS
    while True:  # a deleted topic's name is free only after some moments
        try:
            wanted = NewTopic(changelog, tasks, replicas, config=config)
            admin.create_topics([wanted], operation_timeout=_SECONDS)[changelog].result(_SECONDS)
            break
        except KafkaException as error:
            taken = error_of(error).code() == KafkaError.TOPIC_ALREADY_EXISTS
            if not taken or time.monotonic() > deadline:
                raise
    while partition_counts(admin, [changelog])[changelog] != tasks:
        if time.monotonic() > deadline:
            raise BrokerError(f"{changelog} was made anew but is not known after {_SECONDS} s")


def _own_config(admin: AdminClient, topic: str) -> dict[str, str]:
    """What was set for this topic, without the cluster's defaults."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries: Mapping[str, Any] = admin.describe_configs([resource])[resource].result(_SECONDS)
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {
        name: entry.value
        for name, entry in entries.items()
        if entry.value is not None and getattr(entry.source, "value", entry.source) == own
    }


def _commit(admin: AdminClient, group: str, positions: Mapping[Partition, int]) -> None:
    offsets = [TopicPartition(*one, at) for one, at in positions.items()]
    asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])
    for answer in asked[group].result(_SECONDS).topic_partitions:
        if answer.error is not None:
            raise KafkaException(answer.error)


def _record(
    producer: Producer, settings: EngineSettings, agent: str, positions: Mapping[Partition, int]
) -> None:
    by_task: dict[int, dict[str, int]] = {}
    for (name, task), at in positions.items():
        by_task.setdefault(task, {})[name.removeprefix(settings.prefix)] = at
    producer.init_transactions(_SECONDS)
    producer.begin_transaction()
    for task, known in by_task.items():
        value = write_positions(known, {})  # no state: any worker may begin one
        producer.produce(settings.changelog(agent), value, POSITIONS, task)
    producer.commit_transaction(_SECONDS)
