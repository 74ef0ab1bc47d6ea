"""A Kafka that asks who comes: SASL/SCRAM over TLS, with ACLs; nobody may do anything at first."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from stream.adapters.kafka.local_config import NodePlan, lease_port, new_cluster_id
from stream.adapters.kafka.local_java import JavaNode

__all__ = ["Right", "SecuredKafka", "documented_rights"]

_SECONDS = 60.0
_START_SECONDS = 90.0
_JVM = ("-Xms128m", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_ITERATIONS = 4096  # the fewest that Kafka takes


class Right(NamedTuple):
    """What may be done with which resource; a `name` that ends in `*` is a prefix, `*` is all."""

    kind: Literal["topic", "group", "transactional_id"]
    name: str
    operation: Literal["read", "write", "create", "describe", "describe_configs"]


def documented_rights(role: str, prefix: str) -> list[Right]:
    """The rows of a role's table in docs/security.md, for a deployment of another prefix."""
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition(f"\n### {role}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \| (\w+) \|$", section, re.MULTILINE)
    assert rows, f"docs/security.md has no table of {role}"
    return [Right(kind, name.replace("driftstream.", prefix), what) for kind, name, what in rows]


class SecuredKafka:
    """A broker of one's own within `with`; its files are kept in `folder`.

    `bootstrap_servers` is the listener that asks for a password. `authority` is the file of the
    certificate that signed the broker's; `stranger` one that signed nothing. `inside` is a
    listener without either, whose clients may do everything: the test's own eyes. Making one
    raises KafkaUnavailableError where there is no Java to run it.
    """

    def __init__(self, folder: Path) -> None:
        self._leases = [lease_port() for _ in range(3)]
        inner, outer, controller = (lease.port for lease in self._leases)
        self.inside = f"127.0.0.1:{inner}"
        self.bootstrap_servers = f"localhost:{outer}"
        self.authority = _certificate(folder, "authority")
        self.stranger = _certificate(folder, "stranger")
        properties = {
            "listeners": f"INSIDE://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller},"
            f"OUTSIDE://127.0.0.1:{outer}",
            "advertised.listeners": f"INSIDE://127.0.0.1:{inner},OUTSIDE://localhost:{outer}",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "OUTSIDE:SASL_SSL",
            "inter.broker.listener.name": "INSIDE",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(_keystore(folder, "authority")),
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.outside.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common."
            "security.scram.ScramLoginModule required;",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
        }
        plan = NodePlan(0, inner, controller)
        self._node = JavaNode(plan, (plan,), folder / "node", new_cluster_id(), _JVM, properties)

    def __enter__(self) -> Self:
        try:
            self._node.prepare()
            self._node.start()
            self._admin = AdminClient({"bootstrap.servers": self.inside, "log_level": 2})
            self._await_ready()
        except BaseException:  # whatever it is, no broker may stay behind; raised again
            self._end()
            raise
        return self

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            assert self._node.running(), self._node.log_tail()
            try:
                self._admin.list_topics(timeout=1.0)
            except KafkaException:
                assert time.monotonic() < deadline, self._node.log_tail()
            else:
                return

    def _end(self) -> None:
        self._node.remove()
        for lease in self._leases:
            lease.release()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def add_user(self, name: str, password: str) -> None:
        """Makes a user, without rights."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, _ITERATIONS)
        wanted = UserScramCredentialUpsertion(name, info, password.encode())
        self._admin.alter_user_scram_credentials([wanted])[name].result(_SECONDS)
        deadline = time.monotonic() + _SECONDS
        while not self._knows(name, password):  # the broker learns it a moment later
            assert time.monotonic() < deadline, f"{name} cannot log in"

    def login(self, user: str, password: str) -> dict[str, str]:
        """Librdkafka's properties of a user."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": user,
            "sasl.password": password,
            "ssl.ca.location": str(self.authority),
        }

    def _knows(self, user: str, password: str) -> bool:
        properties: dict[str, str | int | float] = {**self.login(user, password)}
        properties |= {"bootstrap.servers": self.bootstrap_servers, "log_level": 0}
        try:
            AdminClient(properties).list_topics(timeout=5.0)
        except KafkaException:
            return False
        return True

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Gives a user rights."""
        acls = [_binding(user, right) for right in rights]
        for done in self._admin.create_acls(acls).values() if acls else ():
            done.result(_SECONDS)

    def revoke(self, user: str, rights: Iterable[Right]) -> None:
        """Takes rights away."""
        wanted = [_filter(_binding(user, right)) for right in rights]
        for done in self._admin.delete_acls(wanted).values():
            assert done.result(_SECONDS), f"{user} had no such right"


def _binding(user: str, right: Right) -> AclBinding:
    name = right.name.removesuffix("*")
    prefixed = bool(name) and name != right.name
    return AclBinding(
        ResourceType[right.kind.upper()],
        name or "*",
        ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[right.operation.upper()],
        AclPermissionType.ALLOW,
    )


def _filter(acl: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        acl.restype,
        acl.name,
        acl.resource_pattern_type,
        acl.principal,
        acl.host,
        acl.operation,
        acl.permission_type,
    )


def _certificate(folder: Path, name: str) -> Path:
    """A certificate for localhost that is its own authority, with its key beside it."""
    path = folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(folder / f"{name}.key"), "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def _keystore(folder: Path, name: str) -> Path:
    """The key and the certificate in one file, as the broker reads them."""
    path = folder / f"{name}-keystore.pem"
    path.write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.pem").read_text())
    return path
