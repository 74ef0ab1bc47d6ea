"""Where the demo's topics live: on the Kafka that the settings name, else in this process."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.asking import metadata
from stream.cli.reading import connection
from stream.core.errors import BrokerError, CredentialsError
from stream.settings import Settings

__all__ = [
    "EMBEDDED_WARNING",
    "check_broker",
    "embedded_broker",
    "own_prefix",
    "removed_afterwards",
]

EMBEDDED_WARNING = (
    "an embedded broker, for looking around (KAFKA_BOOTSTRAP_SERVERS names a real one)"
)
_SECONDS = 10.0
_ANSWER_SECONDS = 8.0
_LOG = logging.getLogger("stream.demo")
_SILENT = logging.getLogger("driftstream.demo.probe")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@contextmanager
def embedded_broker() -> Iterator[str]:
    """A broker inside this process; its address. It ends with the block."""
    # Its first log line says that the address below is replaced: that is what we are here for.
    config = {"test.mock.num.brokers": 1, "bootstrap.servers": "embedded:0", "log_level": 3}
    producer = Producer(config)
    try:
        brokers = producer.list_topics(timeout=_SECONDS).brokers.values()
    except KafkaException as error:
        raise BrokerError(f"the embedded broker did not start: {error.args[0].str()}") from error
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del producer  # the cluster lives as long as its producer does


def check_broker(settings: Settings) -> None:
    """Raises BrokerError, in one sentence, where the settings' Kafka does not answer in 8 s."""
    ours = connection(settings, "demo")
    ours.errors.log = _SILENT
    probe = AdminClient({**settings.client_config()}, logger=_SILENT, error_cb=ours.errors)
    try:
        metadata(ours, probe, _ANSWER_SECONDS)
    except CredentialsError:
        raise
    except BrokerError as error:
        raise BrokerError(
            f"{error} Where none is named the demo brings a broker of its own"
        ) from error


def own_prefix() -> str:
    """A topic prefix that no other run has."""
    return f"driftstream-demo-{uuid.uuid4().hex[:8]}."


@contextmanager
def removed_afterwards(settings: Settings) -> Iterator[None]:
    """Deletes every topic and consumer group with the settings' prefix when the block ends."""
    try:
        yield
    finally:
        admin = connection(settings, "demo").admin()
        deadline = time.monotonic() + _SECONDS
        try:
            _remove(admin, settings.topic_prefix, deadline)
        except KafkaException as error:
            _LOG.warning("%s* could not be removed: %s", settings.topic_prefix, error.args[0].str())


def _remove(admin: AdminClient, prefix: str, deadline: float) -> None:
    left = max(1.0, deadline - time.monotonic())
    topics = [n for n in admin.list_topics(timeout=left).topics if n.startswith(prefix)]
    groups = admin.list_consumer_groups(request_timeout=left).result(left)
    ours = [g.group_id for g in groups.valid if g.group_id.startswith(prefix)]
    futures = {
        **(admin.delete_topics(topics) if topics else {}),
        **(admin.delete_consumer_groups(ours) if ours else {}),
    }
    for name, done in futures.items():
        try:
            done.result(max(1.0, deadline - time.monotonic()))
        except (KafkaException, TimeoutError) as error:
            _LOG.warning("%s could not be removed: %s", name, error)
