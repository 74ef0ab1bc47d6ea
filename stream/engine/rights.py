"""What a refused transaction means: which right is missing, on which topic, group or id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from stream.access import Login
from stream.adapters.kafka.asking import denied, read_error
from stream.adapters.kafka.codes import STATE
from stream.core.errors import AccessError, BrokerError, FatalBrokerError

__all__ = ["Rights"]


@dataclass(frozen=True, slots=True)
class Rights:
    """Explains refusals to a member of `group`, whose transactional ids begin with its name.

    `inputs` are the topics whose offsets it commits.
    """

    login: Login
    admin: AdminClient
    group: str
    inputs: Sequence[str]

    def explain(self, error: KafkaError, topics: Iterable[str]) -> BrokerError | None:
        """The error for people where a right is missing, None where it is something else.

        Kafka doesn't say which of the transaction's `topics` it refuses, and a call that follows
        the refused one only learns that the transaction is in a wrong state: the cluster is asked
        for the user's rights. A refused transactional id is beyond repair for its producer.
        """
        code = error.code()
        if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            ids = f"transactional ids that begin with {self.group}-"
            return FatalBrokerError(self.login.denial("Write and Describe", ids))
        if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return self._group_denied()
        if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, STATE):
            unwritten = denied(self.admin, "WRITE", topics)
            if unwritten:
                return AccessError(self.login.denial("Write", f"topic {', '.join(unwritten)}"))
            unread = denied(self.admin, "READ", self.inputs)
            if unread:
                return AccessError(self.login.denial("Read", f"topic {', '.join(unread)}"))
        return None

    def explain_read(self, error: KafkaError, topic: str) -> BrokerError:
        """What an error means that the group's consumer reports, of a topic or of the group."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return self._group_denied()
        return read_error(self.login, topic, error)

    def _group_denied(self) -> AccessError:
        return AccessError(self.login.denial("Read", f"group {self.group}"))
