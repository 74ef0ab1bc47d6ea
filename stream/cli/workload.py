"""Puts a workload on new topics of its own, and says what a worker needs to know of it."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from confluent_kafka import KafkaError, Message, Producer

from stream.adapters.kafka.codes import said
from stream.adapters.kafka.log import kafka_logger
from stream.adapters.kafka.offsets import partition_counts
from stream.adapters.kafka.topics import ensure_topics
from stream.cli.output import instant, print_json, print_table
from stream.cli.reading import connection
from stream.core.errors import BrokerError, ConfigError, TopicError
from stream.delivery import DELIVERY
from stream.settings import Settings
from stream.topics import TOPICS, Topic, real_name
from stream.workload import Plan, Produced, Workload, workload
from stream.workload.models import MODELS
from stream.workload.plan import TIMES
from stream.workload.records import SOURCES

__all__ = ["load_workload", "make_topics", "produce", "worker_settings"]

_SECONDS = 60.0
_FAST = {"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 200_000}


def load_workload(settings: Settings, plan: Plan, *, as_json: bool) -> Workload:
    """Makes the topics under the configured prefix, fills them, and prints what was written.

    The source topics keep the producer's timestamps and are kept for ever. Raises ConfigError
    where the workload isn't over yet by the clock, TopicError where a topic is there already.
    """
    if plan.over_ms >= time.time_ns() // 1_000_000:
        raise ConfigError(
            f"the workload ends at {instant(plan.over_ms)}, three hours after the last request: "
            "it must be in the past; give an earlier --start"
        )
    made = workload(plan)
    make_topics(settings, plan)
    for records in (made.setup, made.records):  # rows are read once what they are judged by is
        produce(settings, records)
    _tell(settings, made, as_json=as_json)
    return made


def worker_settings(settings: Settings) -> dict[str, str]:
    """The environment of a worker that is to read the workload."""
    named = {"topic_prefix": settings.topic_prefix, **TIMES}
    return {f"DRIFTSTREAM_{name.upper()}": value for name, value in named.items()}


def make_topics(settings: Settings, plan: Plan) -> None:
    """Makes all topics for a workload; TopicError where one is there already."""
    names = [real_name(settings.topic_prefix, topic.name) for topic in TOPICS]
    counts = partition_counts(connection(settings, "workload").admin(), names)
    if any(counts.values()):
        known = ", ".join(name for name in names if counts[name])
        raise TopicError(
            f"there is {known} already: a workload makes its topics itself, and is to be compared "
            "from the first record on; choose another --topic-prefix"
        )
    ensure_topics(
        settings.client_config(),
        settings.topic_prefix,
        source_partitions=plan.partitions,
        partials_partitions=settings.partials_partitions,
        replication=settings.replication,
        topics=[_kept(topic) if topic.name in SOURCES else topic for topic in TOPICS],
    )


def _kept(topic: Topic) -> Topic:
    """The topic with the producer's timestamps, which are long ago, and kept all the same."""
    own = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    return replace(topic, retention_ms=None, settings=MappingProxyType(own))


def produce(settings: Settings, records: Sequence[Produced]) -> None:
    """Every record in its place, in order; BrokerError where one isn't acknowledged."""
    failures: list[str] = []

    def reported(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(f"{message.topic()}: {said(error)}")

    own = {**DELIVERY, "client.id": "driftstream-workload"}
    producer = Producer({**_FAST, **settings.client_config(), **own}, logger=kafka_logger())
    for record in records:
        while not failures:
            try:
                producer.produce(
                    real_name(settings.topic_prefix, record.topic),
                    record.value,
                    record.key,
                    record.partition,
                    on_delivery=reported,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                )
                break
            except BufferError:
                producer.poll(1.0)
        producer.poll(0)
    left = producer.flush(_SECONDS)
    if failures or left:
        raise BrokerError(
            f"the workload could not be written: {failures[0] if failures else f'{left} left'}"
        )


def _tell(settings: Settings, made: Workload, *, as_json: bool) -> None:
    plan, counts = made.plan, made.counts()
    needed = worker_settings(settings)
    if as_json:
        print_json(
            {
                "seed": plan.seed,
                "sha256": made.hex,
                "partitions": plan.partitions,
                "idle": list(plan.silent),
                "stopping": plan.stopping,
                "start_ms": plan.start_ms,
                "half_ms": plan.half_ms,
                "end_ms": plan.end_ms,
                "over_ms": plan.over_ms,
                "models": [model.name for model in MODELS],
                "written": [
                    {"topic": topic, "format": form, "records": records, "rows": rows}
                    for (topic, form), (records, rows) in counts.items()
                ],
                "last_windows": [each._asdict() for each in made.last],
                "worker": needed,
            }
        )
        return
    print_table(
        ("topic", "format", "records", "rows"),
        [(topic, form, f"{a:,}", f"{b:,}") for (topic, form), (a, b) in counts.items()],
    )
    totals: Counter[str] = Counter()
    for (topic, _), (_, rows) in counts.items():
        totals[topic] += rows
    print(f"\nseed {plan.seed}: {', '.join(f'{totals[name]:,} {name}' for name in SOURCES)}")
    names = ", ".join(model.name for model in MODELS)
    print(f"models {names}: versions 1 and 2, which change at {instant(plan.half_ms)}")
    print(f"from {instant(plan.start_ms)} to {instant(plan.end_ms)}")
    print(f"partitions {plan.partitions}, without records: {', '.join(map(str, plan.silent))}")
    print(f"sha256 of all records {made.hex}")
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in needed.items())
    print(f"\n{words} driftstream worker")
