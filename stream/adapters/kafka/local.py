"""A Kafka of one's own: one or three brokers on this machine, to start, kill, pause and restart."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.local_config import (
    KafkaUnavailableError,
    NodePlan,
    PortLease,
    lease_port,
    new_cluster_id,
)
from stream.adapters.kafka.local_docker import DockerNode, find_docker
from stream.adapters.kafka.local_folder import KeptFolder, TemporaryFolder, sweep
from stream.adapters.kafka.local_java import JavaNode, find_java, kafka_jars
from stream.core.errors import BrokerError

__all__ = ["KafkaUnavailableError", "LocalKafka"]

_READY_SECONDS = 60.0
_STEP_SECONDS = 0.1
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # half the processor time of a start
# Kafka's own are 9 s and 2 s: a broker of a busy machine isn't taken for dead.
_SHORT_SESSION = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
_SILENT = logging.getLogger("driftstream.local_kafka.probe")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _Node(Protocol):
    def prepare(self) -> None: ...
    def start(self) -> None: ...
    def running(self) -> bool: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...
    def stop(self) -> None: ...
    def remove(self) -> None: ...
    def log_tail(self) -> str: ...


class LocalKafka:
    """Apache Kafka (KRaft) on 127.0.0.1, gone when it is stopped or this process ends, however.

    It runs as Java processes from the Maven Central jars (Java 17 and Maven), else in Docker.
    With three brokers, topics and internal topics get three replicas, two of them in sync.
    `data` is a folder to keep (the next start finds it, with the same
    number of brokers); None is a temporary one, removed by `stop`, or by the next start where
    this process was killed. `port` is the first broker's,
    0 any free one. A `quick` one starts, and finds a broker dead, in less than half the time
    and stays slower under load: for tests.
    `properties` are added to every broker's server properties.

    `start` raises KafkaUnavailableError where neither way is open, naming what is missing of
    each, and BrokerError where another one runs on `data`, or with the end of the broker's log
    where it does not get ready.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        data: Path | None = None,
        port: int = 0,
        heap_mb: int = 512,
        quick: bool = False,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        if brokers not in (1, 3):
            raise BrokerError(f"a local Kafka has 1 or 3 brokers, not {brokers}")
        self._brokers = brokers
        self._data = data
        self._port = port
        self._jvm = ("-Xms128m", f"-Xmx{heap_mb}m", *(_QUICK if quick else ()))
        self._properties = {**(_SHORT_SESSION if quick else {}), **(properties or {})}
        self._leases: list[PortLease] = []
        self._plans: tuple[NodePlan, ...] = ()
        self._nodes: list[_Node] = []
        self._temporary: TemporaryFolder | None = None
        self._kept: KeptFolder | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """All brokers' addresses, as clients take them."""
        if not self._plans:
            raise BrokerError("the local Kafka is not started: call start() first")
        return ",".join(f"127.0.0.1:{plan.port}" for plan in self._plans)

    def start(self) -> None:
        """Starts all brokers and returns when each of them answers and knows the others."""
        if self._nodes:
            return
        runs_java = _choose_java()
        if self._data is not None and not runs_java:
            raise KafkaUnavailableError("a data folder to keep needs Java 17 and Maven, not Docker")
        atexit.register(self.stop)
        with ExitStack() as undo:  # Ctrl-C too: no process or port may stay behind
            undo.callback(self.stop)
            self._make_nodes(runs_java=runs_java)
            with ThreadPoolExecutor(len(self._nodes)) as pool:
                list(pool.map(lambda node: node.prepare(), self._nodes))
            for node in self._nodes:
                node.start()
            for plan in self._plans:
                self._await_ready(plan, self._plans)
            undo.pop_all()

    def stop(self) -> None:
        """Ends all brokers and removes their data unless its folder was given. Idempotent."""
        atexit.unregister(self.stop)
        keep = self._data is not None
        if keep:
            for node in self._nodes:  # all at once: the last ones have no quorum to say goodbye to
                node.terminate()
        for node in self._nodes:
            if keep:
                node.stop()
            node.remove()
        self._nodes, self._plans = [], ()
        for lease in self._leases:
            lease.release()
        self._leases = []
        if self._temporary is not None:
            self._temporary.remove()
            self._temporary = None
        if self._kept is not None:
            self._kept.release()
            self._kept = None

    def kill(self, broker: int = 0) -> None:
        """SIGKILL to a broker, numbered from 0; its data stays for `restart`."""
        self._node(broker).kill()

    def restart(self, broker: int = 0) -> None:
        """Starts a broker again on its data and ports, stopped first if it runs; waits for it."""
        node = self._node(broker)
        node.stop()
        node.start()
        plan = self._plans[broker]
        self._await_ready(plan, (plan,))

    def pause(self, broker: int = 0) -> None:
        """SIGSTOP to a broker: its connections stay, it answers nothing."""
        self._node(broker).pause()

    def resume(self, broker: int = 0) -> None:
        """SIGCONT to a paused broker."""
        self._node(broker).resume()

    def running(self, broker: int = 0) -> bool:
        """Whether the broker's process is there."""
        return self._node(broker).running()

    def log_tail(self, broker: int = 0) -> str:
        """The last lines of a broker's log."""
        return self._node(broker).log_tail()

    def _node(self, broker: int) -> _Node:
        if not 0 <= broker < len(self._nodes):
            raise BrokerError(f"broker {broker} of {len(self._nodes)}: they are numbered from 0")
        return self._nodes[broker]

    def _make_nodes(self, *, runs_java: bool) -> None:
        plans = []
        for index in range(self._brokers):
            clients = lease_port(self._port if index == 0 else 0)
            controller = lease_port()
            self._leases += [clients, controller]
            plans.append(NodePlan(index, clients.port, controller.port))
        self._plans = tuple(plans)
        root = self._data
        if root is None:
            sweep()
            self._temporary = TemporaryFolder()
            root = self._temporary.path
        else:
            self._kept = KeptFolder(root)
        cluster_id = _cluster_id(root)
        make = JavaNode if runs_java else DockerNode
        for plan in plans:
            folder = root / f"broker-{plan.node_id}"
            self._nodes.append(
                make(plan, self._plans, folder, cluster_id, self._jvm, self._properties)
            )

    def _await_ready(self, plan: NodePlan, wanted: tuple[NodePlan, ...]) -> None:
        """Returns when the broker answers and knows the wanted ones, itself among them."""
        deadline = time.monotonic() + _READY_SECONDS
        settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": f"127.0.0.1:{plan.port}",
            "reconnect.backoff.max.ms": 200,
        }
        probe = AdminClient(settings, logger=_SILENT)
        ids = {other.node_id for other in wanted}
        while time.monotonic() < deadline:
            for other in wanted:
                if not self._nodes[other.index].running():
                    raise self._not_ready(other, "ended while starting")
            try:
                if ids <= probe.list_topics(timeout=1.0).brokers.keys():
                    return
            except KafkaException:
                pass
            time.sleep(_STEP_SECONDS)
        raise self._not_ready(plan, f"was not ready after {_READY_SECONDS:.0f} s")

    def _not_ready(self, plan: NodePlan, what: str) -> BrokerError:
        tail = self._nodes[plan.index].log_tail()
        return BrokerError(f"broker {plan.index} {what}; the end of its log:\n{tail}")


def _cluster_id(root: Path) -> str:
    root.mkdir(parents=True, exist_ok=True)
    file = root / "cluster-id"
    if not file.exists():
        file.write_text(new_cluster_id(), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def _choose_java() -> bool:
    try:
        find_java()
        kafka_jars()
    except KafkaUnavailableError as no_java:
        try:
            find_docker()
        except KafkaUnavailableError as no_docker:
            raise KafkaUnavailableError(
                f"no local Kafka: {no_java}; and {no_docker}. "
                "Install Java 17 and Maven, or start Docker, or set KAFKA_BOOTSTRAP_SERVERS"
            ) from no_docker
        return False
    return True
