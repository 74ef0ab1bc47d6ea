"""Asking a cluster for its topics, with an answer that says what is wrong where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AclOperation,
    AdminClient,
    ClusterMetadata,
)

from stream.access import Login
from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import said
from stream.core.errors import AccessError, BrokerError, CredentialsError

__all__ = ["denied", "is_passing", "metadata", "read_error"]

_STEP_SECONDS = 1.0
_RIGHTS_SECONDS = 3.0


def metadata(
    connection: Connection, client: AdminClient | Consumer, seconds: float, topic: str | None = None
) -> ClusterMetadata:
    """The cluster's topics as `client`, one of the connection's, is told them; or of one topic.

    Raises CredentialsError as soon as the broker or TLS refuses us (librdkafka itself would try
    again for ever), BrokerError where no answer came within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            return _listed(client, topic, max(0.1, min(_STEP_SECONDS, left)))
        except KafkaException as failed:
            client.poll(0)  # a refused password or certificate is told to the callbacks only
            refused = connection.errors.refused
            if refused is not None:
                text = connection.login.refusal(refused.code(), refused.str())
                raise CredentialsError(text) from failed
            if time.monotonic() >= deadline:
                raise BrokerError(connection.login.silence(said(failed))) from failed


def _listed(client: AdminClient | Consumer, topic: str | None, seconds: float) -> ClusterMetadata:
    if topic is None:
        return client.list_topics(timeout=seconds)
    return client.list_topics(topic, timeout=seconds)


def is_passing(error: KafkaError) -> bool:
    """Whether a consumer that assigns itself goes on after this error.

    It never joins the group that librdkafka wants a name of, so it needs no right to it.
    """
    return error.retriable() or error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def read_error(login: Login, topic: str, error: KafkaError) -> BrokerError:
    """What a consumer's error that won't pass means to people."""
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return AccessError(login.denial("Read", f"topic {topic}"))
    return BrokerError(f"{topic} cannot be read: {said(error)}")


def denied(admin: AdminClient, right: Literal["READ", "WRITE"], topics: Iterable[str]) -> list[str]:
    """Those of the topics that this user may not read or write; none where Kafka won't tell."""
    wanted = sorted(topics)
    try:
        asked = admin.describe_topics(
            TopicCollection(wanted),
            include_authorized_operations=True,
            request_timeout=_RIGHTS_SECONDS,
        )
        told = {name: asked[name].result(_RIGHTS_SECONDS) for name in wanted}
    except (KafkaException, TimeoutError):
        return []
    return [
        name
        for name, topic in told.items()
        if topic.authorized_operations is not None
        and AclOperation[right] not in topic.authorized_operations
    ]
