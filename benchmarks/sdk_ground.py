"""What the SDK's benchmarks stand on: a Kafka with topics, and a row of 20 features."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream.adapters.kafka.local import LocalKafka

__all__ = ["FEATURES", "broker", "topics"]

PARTITIONS = 4

FEATURES = {
    **{f"number_{i}": 1.37 * i for i in range(16)},
    **{f"text_{i}": f"category {i}" for i in range(4)},
}


@contextmanager
def broker() -> Iterator[str]:
    """The address of KAFKA_BOOTSTRAP_SERVERS, else of a local Kafka."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
        return
    with LocalKafka() as local:
        yield local.bootstrap_servers


def topics(servers: str) -> str:
    """The prefix of topics made anew."""
    prefix = f"bench-sdk-{uuid.uuid4().hex[:8]}."
    admin = AdminClient({"bootstrap.servers": servers})
    wanted = [NewTopic(f"{prefix}{name}", PARTITIONS) for name in ("predictions", "labels")]
    for made in admin.create_topics(wanted).values():
        made.result(30)
    return prefix
