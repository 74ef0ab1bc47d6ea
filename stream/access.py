"""What Kafka's refusals mean in words: a wrong password, a certificate nobody vouches for, a right.

Codes of errors are the protocol's; negative ones are librdkafka's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Login", "is_denied", "is_refused"]

_TOPIC, _GROUP, _CLUSTER, _TRANSACTION = 29, 30, 31, 53
_TLS = -181
_ALL_DOWN = -187
_REFUSED = frozenset(
    {_TLS, -169, 33, 34, 58}
)  # TLS, authentication, SASL's mechanism, state, login
_DENIED = frozenset({_TOPIC, _GROUP, _CLUSTER, _TRANSACTION})


def is_refused(code: int) -> bool:
    """Whether an error says that the connection itself was refused: credentials, or TLS."""
    return code in _REFUSED


def is_denied(code: int) -> bool:
    """Whether an error says that a user who is known may not do what was asked for."""
    return code in _DENIED


@dataclass(frozen=True, slots=True)
class Login:
    """Where a program connects, how, and as whom. Holds no secret; makes sentences for people."""

    servers: str
    protocol: str
    user: str

    @classmethod
    def of(cls, properties: Mapping[str, object], servers: str) -> Login:
        """The login that librdkafka properties describe."""
        protocol = str(properties.get("security.protocol") or "plaintext").upper()
        user = properties.get("sasl.username") if protocol.startswith("SASL") else None
        return cls(servers, protocol, str(user or ""))

    @property
    def whom(self) -> str:
        """The user's name, as a sentence begins with it."""
        return f"user {self.user}" if self.user else "this user"

    def silence(self, said: str) -> str:
        """Why nothing may answer: the broker is away, or its listener speaks another protocol."""
        return (
            f"Kafka at {self.servers} does not answer: {said}. Is it up, is its address right, "
            f"and does it speak {self.protocol} there (security.protocol)?"
        )

    def refusal(self, code: int, said: str) -> str:
        """A refused connection, and what to look at."""
        check = (
            "ssl.ca.location (who signed the broker's certificate) and security.protocol"
            if code == _TLS
            else "sasl.mechanism, sasl.username and sasl.password"
        )
        return (
            f"Kafka at {self.servers} refuses {self.whom} over {self.protocol}: {said}. "
            f"Check {check} in the kafka settings"
        )

    def denial(self, operation: str, resource: str) -> str:
        """A right that is missing: `operation` in Kafka's word, `resource` with its kind."""
        return (
            f"{self.whom} may not {operation} {resource} on {self.servers}: grant it that right "
            "(docs/security.md lists all of them)"
        )

    def explained(self, code: int, said: str, topic: str, operation: str) -> str:
        """What a client of one topic heard, with what to do where it is a refusal."""
        if is_refused(code):
            return self.refusal(code, said)
        if code == _ALL_DOWN:
            return self.silence("no broker can be reached")
        if code == _CLUSTER:
            return f"{said}: {self.denial(operation, f'any topic, {topic} among them,')}"
        if code == _TOPIC:
            return f"{said}: {self.denial(operation, f'topic {topic}')}"
        return said
