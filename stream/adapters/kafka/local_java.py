"""Brokers as Java processes from the Maven Central jars; none outlives its maker."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stream.adapters.kafka.local_config import (
    KafkaUnavailableError,
    NodePlan,
    cache_folder,
    node_properties,
    pom_file,
)
from stream.core.errors import BrokerError

__all__ = ["JavaNode", "find_java", "kafka_jars"]

_FETCH_SECONDS = 600
_FORMAT_SECONDS = 60
_STOP_SECONDS = 15
_LOG_LINES = 30

_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""


def find_java() -> str:
    """The path of a Java of version 17 or later; KafkaUnavailableError says what is wrong."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates.append("java")
    seen = []
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
        found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
        if found and int(found[1]) >= 17:
            return path
        seen.append(f"{path} is version {found[1] if found else 'unknown'}")
    raise KafkaUnavailableError(f"Java 17 or later is missing ({'; '.join(seen) or 'none found'})")


def kafka_jars() -> Path:
    """The folder of the broker's jars, fetched by Maven the first time; safe among processes."""
    digest = hashlib.sha256(pom_file().read_bytes()).hexdigest()[:12]
    target = cache_folder() / f"kafka-{digest}"
    if target.is_dir():
        return target
    cache_folder().mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.is_dir():
            _fetch(target)
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError("Maven (mvn) is missing, which fetches the broker's jars")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as folder:
        jars = Path(folder) / "jars"
        command = [maven, "-q", "-B", "-f", str(pom_file()), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KafkaUnavailableError(
                f"Maven did not fetch the broker's jars in {_FETCH_SECONDS} s"
            ) from error
        if done.returncode or not any(jars.glob("kafka_*.jar")):
            said = (done.stdout + done.stderr).strip()[-1500:]
            raise KafkaUnavailableError(f"Maven could not fetch the broker's jars: {said}")
        jars.rename(target)


class JavaNode:
    """One broker as a Java process in a folder of its own, which holds its data and its log."""

    def __init__(  # what one broker is
        self,
        plan: NodePlan,
        cluster: tuple[NodePlan, ...],
        folder: Path,
        cluster_id: str,
        jvm: Sequence[str],
        properties: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._java = find_java()
        self._jars = kafka_jars()
        self._jvm = jvm
        self._cluster_id = cluster_id
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._config = folder / "server.properties"
        self._properties = node_properties(
            plan,
            cluster,
            {**_listeners(plan, cluster), "log.dirs": str(folder / "data")},
            properties,
        )

    def prepare(self) -> None:
        """Writes the configuration; formats the data folder unless it already is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{name}={value}\n" for name, value in self._properties.items())
        self._config.write_text(lines, encoding="utf-8")
        (self._folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        if (self._folder / "data" / "meta.properties").exists():
            return
        arguments = ["format", "-t", self._cluster_id, "-c", str(self._config)]
        done = subprocess.run(
            [*self._command("kafka.tools.StorageTool"), *arguments],
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-1500:]
            raise BrokerError(f"the broker's data folder could not be formatted: {said}")

    def start(self) -> None:
        """Starts the process; it is not ready yet."""
        command = [*self._command("kafka.Kafka"), str(self._config)]
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Reads until this process, which alone holds the pipe's other end, is gone.
        self._watchdog = subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -s KILL -- "-$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def pause(self) -> None:
        """Stops it in its tracks (SIGSTOP): connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused one go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once (SIGKILL); its data stays."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks it to end in order, and doesn't wait."""
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ends it in order (SIGTERM, then SIGKILL); its data stays. Idempotent."""
        self._end(signal.SIGTERM)

    def remove(self) -> None:
        """Ends it without ceremony, for data that nobody will read again. Idempotent."""
        self._end(signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines of its log, and where the log is."""
        path = self._folder / "broker.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join([f"{path}:", *text.splitlines()[-_LOG_LINES:]])

    def _command(self, main: str) -> list[str]:
        return [
            self._java,
            *self._jvm,
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            main,
        ]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._signal(number)
            self._signal(signal.SIGCONT)  # a paused process would never see SIGTERM
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        self._process = None
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None


def _listeners(plan: NodePlan, cluster: tuple[NodePlan, ...]) -> dict[str, str]:
    voters = ",".join(f"{node.node_id}@127.0.0.1:{node.controller_port}" for node in cluster)
    clients = f"PLAINTEXT://127.0.0.1:{plan.port}"
    return {
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{plan.controller_port}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": voters,
    }
