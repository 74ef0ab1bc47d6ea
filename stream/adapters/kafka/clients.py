"""librdkafka clients with the settings that exactly-once processing and speed need."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream.access import Login
from stream.adapters.kafka.codes import said
from stream.adapters.kafka.log import ClientErrors, kafka_logger
from stream.core.errors import ConfigError
from stream.delivery import DELIVERY

__all__ = ["FETCH", "Connection", "Property"]

Property = str | int | float | bool

# By default a consumer whose queue is full fetches again after a second: 146,000 records/s
# where these settings give 575,000 (JSON rows of 478 bytes, decoded).
FETCH: Mapping[str, Property] = {
    "fetch.queue.backoff.ms": 1,
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 4_194_304,
}
_READING: Mapping[str, Property] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
}
_HEARTBEAT_MS = 3_000  # the client's own; less where a session is short
_RECONNECT: Mapping[str, Property] = {"reconnect.backoff.ms": 100, "reconnect.backoff.max.ms": 2000}


@dataclass(frozen=True, slots=True)
class Connection:
    """How one program reaches Kafka; makes its clients, which share one log and error report.

    `properties` are the user's librdkafka properties; they win over tunings, never over what
    correctness needs. A property that librdkafka refuses is a ConfigError.
    """

    bootstrap_servers: str
    client_id: str
    properties: Mapping[str, Property] = field(default_factory=dict, repr=False)
    errors: ClientErrors = field(default_factory=ClientErrors)

    @property
    def login(self) -> Login:
        """Where, how and as whom, for what is said to people."""
        return Login.of(self.properties, self.bootstrap_servers)

    def group_consumer(self, group: str, session_timeout_ms: int, instance_id: str) -> Consumer:
        """A member of a consumer group: range assignor, nothing committed by itself.

        Its user says where to read from. Where that isn't on the log (deleted by retention, or
        the topic was made anew) it reports an error and doesn't jump.

        A fetch waits 50 ms for records, not 500: a partition that is resumed meanwhile waits
        behind it, and catching up with labels pauses and resumes often.
        """
        membership: dict[str, Property] = {
            "group.id": group,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": session_timeout_ms,
        }
        if instance_id:
            membership["group.instance.id"] = instance_id
        pulse: dict[str, Property] = {
            "fetch.wait.max.ms": 50,
            "heartbeat.interval.ms": min(_HEARTBEAT_MS, session_timeout_ms // 3),
        }
        tuned = {**_RECONNECT, **FETCH, **pulse, **self.properties}
        return self._consumer({**tuned, **_READING, **membership, "auto.offset.reset": "error"})

    def reader(self, isolation: str = "read_committed") -> Consumer:
        """A consumer for partitions that its user assigns; its group is never joined."""
        own: dict[str, Property] = {
            "group.id": f"{self.client_id}-reader",
            "isolation.level": isolation,
            "fetch.wait.max.ms": 50,
        }
        return self._consumer({**_RECONNECT, **FETCH, **self.properties, **_READING, **own})

    def producer(
        self,
        transactional_id: str,
        transaction_timeout_ms: int,
        errors: ClientErrors | None = None,
        *,
        alone: bool = False,
    ) -> Producer:
        """A transactional producer; a random part is added to its id.

        The group's generation fences zombies (KIP-447), so no two processes need share an id.
        One that is `alone` has the id as it is, and fences the one that had it before.
        `errors` hears this producer's errors instead of the connection's own report.
        """
        end = "" if alone else f"-{uuid.uuid4().hex}"
        own: dict[str, Property] = {
            "transactional.id": f"{transactional_id}{end}",
            "transaction.timeout.ms": transaction_timeout_ms,
            **DELIVERY,
        }
        tuned: dict[str, Property] = {**_RECONNECT, "compression.type": "lz4", "linger.ms": 5}
        try:
            config = {**self._base(), **tuned, **self.properties, **own}
            return Producer(config, logger=kafka_logger(), error_cb=errors or self.errors)
        except KafkaException as error:
            raise _refused(error) from error

    def admin(self) -> AdminClient:
        """A client that asks for offsets and topics."""
        try:
            return AdminClient({**self._base(), **_RECONNECT, **self.properties}, **self._shell())
        except KafkaException as error:
            raise _refused(error) from error

    def _consumer(self, config: Mapping[str, Property]) -> Consumer:
        try:
            return Consumer({**self._base(), **config}, **self._shell())
        except KafkaException as error:
            raise _refused(error) from error

    def _base(self) -> dict[str, Property]:
        return {"bootstrap.servers": self.bootstrap_servers, "client.id": self.client_id}

    def _shell(self) -> dict[str, object]:
        return {"logger": kafka_logger(), "error_cb": self.errors}


def _refused(error: KafkaException) -> ConfigError:
    return ConfigError(f"librdkafka refuses a kafka setting: {said(error)}")
