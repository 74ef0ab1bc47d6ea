"""Topics on a cluster: makes those that are missing, refuses those of the wrong shape."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AdminClient,
    ConfigResource,
    NewTopic,
    PartitionMetadata,
    ResourceType,
    TopicMetadata,
)

from stream.adapters.kafka.asking import metadata
from stream.adapters.kafka.clients import Connection, Property
from stream.adapters.kafka.codes import said
from stream.core.errors import BrokerError, TopicError
from stream.topics import TOPICS, PartitionRule, Topic, partition_count, real_name

__all__ = ["Ensured", "Existing", "describe_topics", "ensure_topics"]

_COMPARED = ("cleanup.policy", "message.timestamp.type")
_DEFAULT_REPLICATION = 3
_TIMEOUT_S = 30.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Existing:
    """A topic as it is on the cluster: partitions, replicas, and its configuration."""

    topic: Topic
    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `ensure_topics` found and made.

    `partitions` is the number of partitions by logical name, of every topic asked for.
    `created` are real names. `warnings` are sentences about topics that exist with another
    cleanup policy or timestamp type than they should have; they can be used all the same.
    """

    partitions: Mapping[str, int]
    created: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def ensure_topics(
    admin_conf: Mapping[str, Property],
    prefix: str,
    *,
    source_partitions: int,
    partials_partitions: int = 0,
    replication: int = 0,
    topics: Sequence[Topic] = TOPICS,
    embedded: bool = False,
    timeout_s: float = _TIMEOUT_S,
) -> Ensured:
    """Makes sure that the topics are there, before anything is consumed.

    The input topics must all have one number of partitions. Where some exist, the others are
    created with theirs; `source_partitions` counts only where none does. `replication` 0 means
    3, or as many as there are brokers. Another process may do the same at the same time.

    On an `embedded` cluster (librdkafka's mock, which cannot create topics but makes them up)
    nothing is created or checked, only counted.

    Raises TopicError, naming every problem at once, where a topic has a wrong number of
    partitions or cannot be created; nothing is created then unless all that exist are right.
    Raises BrokerError where the cluster does not answer within `timeout_s`, and ConfigError
    where librdkafka refuses a setting of `admin_conf`.
    """
    deadline = time.monotonic() + timeout_s
    ours = _connection(admin_conf)
    admin = ours.admin()
    if embedded:
        names = {t.name: real_name(prefix, t.name) for t in topics}
        return Ensured({key: _made_up(admin, name, deadline) for key, name in names.items()})
    present, brokers = _present(ours, admin, prefix, topics, deadline)
    counts = _wanted_counts(topics, present, prefix, source_partitions, partials_partitions)
    missing = [t for t in topics if t.name not in present]
    created: tuple[str, ...] = ()
    if missing:
        replicas = replication or min(_DEFAULT_REPLICATION, brokers)
        created = _create(ours, admin, prefix, missing, counts, replicas, deadline)
        present = _appeared(ours, admin, prefix, topics, deadline)
        # Another process may have created some meanwhile, with settings of its own.
        counts = _wanted_counts(topics, present, prefix, source_partitions, partials_partitions)
    older = [t for t in topics if real_name(prefix, t.name) not in created]
    return Ensured(counts, created, _differences(admin, prefix, older, deadline))


def describe_topics(
    admin_conf: Mapping[str, Property],
    prefix: str,
    topics: Sequence[Topic] = TOPICS,
    timeout_s: float = _TIMEOUT_S,
) -> tuple[Existing, ...]:
    """Those of the topics that exist, as they are; raises BrokerError without an answer."""
    deadline = time.monotonic() + timeout_s
    ours = _connection(admin_conf)
    admin = ours.admin()
    present, _ = _present(ours, admin, prefix, topics, deadline)
    found = [t for t in topics if t.name in present]
    configs = _configs(admin, [real_name(prefix, t.name) for t in found], deadline)
    return tuple(
        Existing(
            topic=each,
            name=real_name(prefix, each.name),
            partitions=len(present[each.name].partitions),
            replication=min(map(_replicas, present[each.name].partitions.values()), default=0),
            config=configs[real_name(prefix, each.name)],
        )
        for each in found
    )


def _connection(admin_conf: Mapping[str, Property]) -> Connection:
    servers = str(admin_conf.get("bootstrap.servers", ""))
    return Connection(servers, "driftstream-topics", admin_conf)


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())


def _present(
    ours: Connection, admin: AdminClient, prefix: str, topics: Sequence[Topic], deadline: float
) -> tuple[dict[str, TopicMetadata], int]:
    """The metadata of those topics that exist, by logical name, and the number of brokers."""
    cluster = metadata(ours, admin, _left(deadline))
    present = {}
    for each in topics:
        known = cluster.topics.get(real_name(prefix, each.name))
        if known is not None and known.error is None:
            present[each.name] = known
    return present, len(cluster.brokers)


def _made_up(admin: AdminClient, name: str, deadline: float) -> int:
    """The partitions of a topic that the embedded cluster creates when it is asked for it."""
    while True:
        try:
            known = admin.list_topics(name, timeout=_left(deadline)).topics[name]
        except KafkaException as failed:
            raise BrokerError(f"the embedded broker does not answer: {said(failed)}") from failed
        if known.error is None and known.partitions:
            return len(known.partitions)
        if time.monotonic() > deadline:
            raise BrokerError(f"the embedded broker did not make up the topic {name}")
        time.sleep(_POLL_S)


def _wanted_counts(
    topics: Sequence[Topic],
    present: Mapping[str, TopicMetadata],
    prefix: str,
    source_partitions: int,
    partials_partitions: int,
) -> dict[str, int]:
    """The number of partitions of every topic; TopicError where those that exist disagree."""
    counts = {name: len(metadata.partitions) for name, metadata in present.items()}
    inputs = [t.name for t in topics if t.partitions is PartitionRule.SOURCES]
    # A changelog comes after its inputs: where they disagree, it is the one that is wrong.
    known = [name for name in inputs if name in counts and name in _TABLE]
    sources = counts[known[0]] if known else source_partitions
    problems = [
        f"{real_name(prefix, name)} has {counts[name]} partitions and "
        f"{real_name(prefix, known[0])} has {sources}: the input topics must have one number"
        for name in known[1:]
        if counts[name] != sources
    ]
    wanted: dict[str, int] = {}
    for each in topics:
        rule_count = partition_count(each.partitions, sources, partials_partitions)
        count = counts.get(each.name, rule_count)
        wanted[each.name] = count
        if each.name in known or not each.exact or count == rule_count:
            continue
        problems.append(
            f"{real_name(prefix, each.name)} has {count} partitions and needs {rule_count} "
            f"({each.partitions.value})"
        )
    if problems:
        raise TopicError(
            "topics have the wrong number of partitions; nothing was consumed:\n  "
            + "\n  ".join(problems)
            + "\nCreate them anew with the right number, or choose another topic prefix."
        )
    return wanted


def _create(
    ours: Connection,
    admin: AdminClient,
    prefix: str,
    missing: Sequence[Topic],
    counts: Mapping[str, int],
    replication: int,
    deadline: float,
) -> tuple[str, ...]:
    """Creates the topics; returns the real names of those that we created ourselves."""
    new = [
        NewTopic(
            real_name(prefix, each.name),
            num_partitions=counts[each.name],
            replication_factor=replication,
            config=each.config(replication),
        )
        for each in missing
    ]
    created, problems = [], []
    for name, done in admin.create_topics(new, operation_timeout=_left(deadline)).items():
        try:
            done.result(_left(deadline))
            created.append(name)
        except KafkaException as failed:
            if failed.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                problems.append(ours.login.denial("Create, or Describe,", f"topic {name}"))
            elif failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                problems.append(f"{name}: {failed.args[0].name()}: {said(failed)}")
        except TimeoutError:
            problems.append(f"{name}: no answer in time")
    if problems:
        raise TopicError(
            "topics are missing (or hidden from this user) and cannot be created:\n  "
            + "\n  ".join(problems)
            + "\nCreate them: `driftstream topics create` as a user who may, or docs/topics.md."
        )
    return tuple(created)


def _appeared(
    ours: Connection, admin: AdminClient, prefix: str, topics: Sequence[Topic], deadline: float
) -> dict[str, TopicMetadata]:
    """The topics' metadata once all of them are known to the broker that answers."""
    while True:
        present, _ = _present(ours, admin, prefix, topics, deadline)
        if len(present) == len(topics):
            return present
        if time.monotonic() > deadline:
            names = [real_name(prefix, t.name) for t in topics if t.name not in present]
            raise BrokerError(
                f"{ours.login.whom} doesn't see topics that were just made, or were there: the "
                f"cluster is slow, or the right to Describe is missing: {', '.join(names)}"
            )
        time.sleep(_POLL_S)


def _differences(
    admin: AdminClient, prefix: str, topics: Sequence[Topic], deadline: float
) -> tuple[str, ...]:
    """Sentences about topics whose configuration isn't what we would have created."""
    configs = _configs(admin, [real_name(prefix, t.name) for t in topics], deadline)
    warnings = []
    for each in topics:
        name = real_name(prefix, each.name)
        wanted = each.config(replication=1)
        for key in _COMPARED:
            actual = configs[name].get(key)
            if actual is not None and set(actual.split(",")) != set(wanted[key].split(",")):
                warnings.append(f"{name} has {key}={actual} and should have {wanted[key]}")
    return tuple(warnings)


def _configs(
    admin: AdminClient, names: Sequence[str], deadline: float
) -> dict[str, dict[str, str]]:
    """Each topic's configuration; empty where this user may not read it."""
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    if not names:
        return found
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, done in admin.describe_configs(asked, request_timeout=_left(deadline)).items():
        try:
            entries = done.result(_left(deadline))
        except KafkaException as failed:
            if failed.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue
            raise BrokerError(f"cannot read {resource.name}'s settings: {said(failed)}") from failed
        found[resource.name] = {e.name: e.value for e in entries.values() if e.value is not None}
    return found


def _replicas(partition: PartitionMetadata) -> int:
    return len(partition.replicas)


_TABLE = frozenset(each.name for each in TOPICS)
