"""Brokers as Docker containers, for machines without Java or Maven; their data stays inside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.adapters.kafka.local_config import (
    KafkaUnavailableError,
    NodePlan,
    kafka_version,
    node_properties,
)
from stream.core.errors import BrokerError

__all__ = ["DockerNode", "environment", "find_docker"]

_ANSWER_SECONDS = 20
_PULL_SECONDS = 600
_LOG_LINES = 30
_INTERNAL_PORT, _CONTROLLER_PORT = 19092, 19093  # inside the containers' own network


def find_docker() -> str:
    """The path of a docker command whose daemon answers; KafkaUnavailableError says what is not."""
    path = shutil.which("docker")
    if path is None:
        raise KafkaUnavailableError("Docker is not installed")
    try:
        answer = subprocess.run(
            [path, "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailableError("the Docker daemon does not answer") from error
    if answer.returncode:
        raise KafkaUnavailableError("the Docker daemon is not running, or not for this user")
    return path


class DockerNode:
    """One broker as a container on its cluster's network; killed and started again with its data.

    No folder is used: a container's data goes with it. So `data=` needs Java.
    """

    def __init__(  # what one broker is, as JavaNode takes it
        self,
        plan: NodePlan,
        cluster: tuple[NodePlan, ...],
        _folder: Path,
        cluster_id: str,
        jvm: Sequence[str],
        properties: Mapping[str, str],
    ) -> None:
        self._docker = find_docker()
        self._network = f"driftstream-{cluster[0].port}"
        self._name = _container(cluster, plan)
        self._plan = plan
        self._environment = {
            "CLUSTER_ID": cluster_id,
            "KAFKA_HEAP_OPTS": " ".join(jvm),
            **environment(plan, cluster, properties),
        }
        self._watchdog: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Makes the network and the container."""
        subprocess.run(
            [self._docker, "network", "create", self._network], capture_output=True, check=False
        )
        command = ["create", "--name", self._name, "--network", self._network]
        command += ["-p", f"127.0.0.1:{self._plan.port}:{self._plan.port}"]
        for name, value in self._environment.items():
            command += ["-e", f"{name}={value}"]
        self._run(*command, f"apache/kafka:{kafka_version()}", seconds=_PULL_SECONDS)
        clean = 'read -r _; "$0" rm -f "$1"; "$0" network rm "$2"'
        self._watchdog = subprocess.Popen(
            ["sh", "-c", clean, self._docker, self._name, self._network],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self) -> None:
        """Starts the container; the broker is not ready yet."""
        self._run("start", self._name)

    def running(self) -> bool:
        """Whether the container runs, paused or not."""
        return self._state() in {"running", "paused"}

    def pause(self) -> None:
        """Freezes it: connections stay open, nothing answers."""
        self._run("pause", self._name)

    def resume(self) -> None:
        """Lets a paused one go on."""
        self._run("unpause", self._name)

    def kill(self) -> None:
        """Ends it at once (SIGKILL); its data stays in the container."""
        if self.running():
            self._run("kill", self._name)

    def terminate(self) -> None:
        """Asks it to end in order, and doesn't wait."""
        if self.running():
            self._run("kill", "--signal", "TERM", self._name)

    def stop(self) -> None:
        """Ends it in order; its data stays in the container. Idempotent."""
        if self._state() == "paused":
            self.resume()
        if self.running():
            self._run("stop", self._name)

    def remove(self) -> None:
        """Ends it and removes the container and, once it is empty, the network. Idempotent."""
        for command in (["rm", "-f", "-v", self._name], ["network", "rm", self._network]):
            subprocess.run([self._docker, *command], capture_output=True, check=False)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    def log_tail(self) -> str:
        """The last lines of the container's log."""
        done = subprocess.run(
            [self._docker, "logs", "--tail", str(_LOG_LINES), self._name],
            capture_output=True,
            text=True,
            check=False,
        )
        return f"docker logs {self._name}:\n{done.stdout}{done.stderr}"

    def _state(self) -> str:
        done = subprocess.run(
            [self._docker, "inspect", "--format", "{{.State.Status}}", self._name],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def _run(self, *arguments: str, seconds: int = 60) -> None:
        done = subprocess.run(
            [self._docker, *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-1500:]
            raise BrokerError(f"docker {arguments[0]} failed for {self._name}: {said}")


def environment(
    plan: NodePlan, cluster: tuple[NodePlan, ...], extra: Mapping[str, str]
) -> dict[str, str]:
    """The container's environment: every server property by the name that the image reads."""
    properties = node_properties(plan, cluster, _listeners(plan, cluster), extra)
    return {_variable(name): value for name, value in properties.items()}


def _variable(name: str) -> str:
    escaped = name.replace("_", "__").replace("-", "___").replace(".", "_")
    return f"KAFKA_{escaped.upper()}"


def _container(cluster: tuple[NodePlan, ...], plan: NodePlan) -> str:
    return f"driftstream-{cluster[0].port}-{plan.node_id}"


def _listeners(plan: NodePlan, cluster: tuple[NodePlan, ...]) -> dict[str, str]:
    voters = (f"{node.node_id}@{_container(cluster, node)}:{_CONTROLLER_PORT}" for node in cluster)
    inside = f"INTERNAL://{_container(cluster, plan)}:{_INTERNAL_PORT}"
    return {
        "listeners": f"PLAINTEXT://0.0.0.0:{plan.port},INTERNAL://0.0.0.0:{_INTERNAL_PORT},"
        f"CONTROLLER://0.0.0.0:{_CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plan.port},{inside}",
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "INTERNAL",
        "controller.quorum.voters": ",".join(voters),
    }
