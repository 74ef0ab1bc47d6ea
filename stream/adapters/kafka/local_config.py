"""A local broker's ports and properties: what the Java process and the container both are told."""

from __future__ import annotations

import base64
import fcntl
import os
import random
import re
import socket
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream.core.errors import BrokerError

__all__ = [
    "KafkaUnavailableError",
    "NodePlan",
    "PortLease",
    "cache_folder",
    "kafka_version",
    "lease_port",
    "new_cluster_id",
    "node_properties",
    "pom_file",
]

_PORTS = range(20_000, 32_000)  # below Linux's ephemeral ports: no client's socket takes one
_TRIES = 200


class KafkaUnavailableError(BrokerError):
    """No local Kafka can be started here; its text names what is missing."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One broker of a cluster: its number from 0, and where clients and controllers find it."""

    index: int
    port: int
    controller_port: int

    @property
    def node_id(self) -> int:
        """The broker's id within the cluster, from 1."""
        return self.index + 1


class PortLease:
    """A port that no other local broker of this user will choose while the lease is held."""

    def __init__(self, port: int, handle: int) -> None:
        self.port = port
        self._handle = handle

    def release(self) -> None:
        """Gives the port back; a process that ends gives its ports back too. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def lease_port(port: int = 0) -> PortLease:
    """A free port of 127.0.0.1, or exactly `port`; BrokerError where it is taken."""
    if port:
        lease = _try_lease(port)
        if lease is None:
            raise BrokerError(f"port {port} on 127.0.0.1 is in use: choose another one")
        return lease
    chooser = random.SystemRandom()
    for _ in range(_TRIES):
        lease = _try_lease(chooser.choice(_PORTS))
        if lease is not None:
            return lease
    raise BrokerError(f"no free port on 127.0.0.1 from {_PORTS.start} to {_PORTS.stop}")


def _try_lease(port: int) -> PortLease | None:
    folder = Path(tempfile.gettempdir()) / f"driftstream-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        os.close(handle)
        return None
    return PortLease(port, handle)


def new_cluster_id() -> str:
    """A random cluster id in Kafka's form: 22 characters that don't start with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def cache_folder() -> Path:
    """Where jars are kept: `DRIFTSTREAM_CACHE`, else driftstream in the XDG cache folder."""
    chosen = os.environ.get("DRIFTSTREAM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "driftstream"


def pom_file() -> Path:
    """The Maven project that lists the broker's jars."""
    return Path(__file__).with_name("kafka.pom.xml")


def kafka_version() -> str:
    """The version of Apache Kafka that is started, as the Maven project names it."""
    found = re.search(r"<kafka\.version>([^<]+)<", pom_file().read_text(encoding="utf-8"))
    if found is None:
        raise BrokerError(f"{pom_file()} names no kafka.version: install driftstream again")
    return found[1]


def node_properties(
    plan: NodePlan,
    cluster: tuple[NodePlan, ...],
    listeners: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, str]:
    """All server properties of one node; `listeners` are the ones that say who listens where."""
    replicas = str(min(3, len(cluster)))
    in_sync = "2" if len(cluster) >= 3 else "1"
    return {
        "process.roles": "broker,controller",
        "node.id": str(plan.node_id),
        "controller.listener.names": "CONTROLLER",
        **listeners,
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "log.cleaner.backoff.ms": "500",
        "auto.create.topics.enable": "false",
        **extra,
    }
