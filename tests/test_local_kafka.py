from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import IsolationLevel
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.local import KafkaUnavailableError, LocalKafka
from stream.adapters.kafka.local_config import NodePlan, kafka_version, lease_port, new_cluster_id
from stream.adapters.kafka.local_docker import DockerNode, environment
from stream.adapters.kafka.local_java import find_java, kafka_jars
from stream.adapters.kafka.offsets import Partition, ends
from stream.core.errors import BrokerError
from tests.conftest import Kafka
from tests.kafka_io import Record, create_topic, produce_all, read_all

ROOT = Path(__file__).parents[1]
SECONDS = 60.0
OwnKafka = Callable[..., LocalKafka]


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not so after {SECONDS} s"
        os.sched_yield()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_records_come_back_in_order(kafka: Kafka, unique: str) -> None:
    topic = f"{unique}numbers"
    create_topic(kafka.bootstrap_servers, topic, 2)
    sent = [Record(str(i).encode(), key=b"k", headers=(("h", b"v"),)) for i in range(100)]
    produce_all(kafka.bootstrap_servers, topic, sent)
    rows = read_all(kafka.bootstrap_servers, topic)
    assert [row.value for row in rows] == [record.value for record in sent]
    assert {row.headers for row in rows} == {(("h", b"v"),)}


def test_broker_restarts_with_its_data_after_a_kill_and_goes_on_after_a_pause(
    own_kafka: OwnKafka,
) -> None:
    local = own_kafka()
    before = local.bootstrap_servers
    create_topic(before, "kept")
    produce_all(before, "kept", [Record(b"1")])
    local.kill()
    assert not local.running()
    local.restart()
    assert local.bootstrap_servers == before
    local.pause()
    assert local.running()
    local.resume()
    produce_all(before, "kept", [Record(b"2")])
    assert [row.value for row in read_all(before, "kept")] == [b"1", b"2"]


def test_three_brokers_go_on_when_one_is_killed(own_kafka: OwnKafka) -> None:
    local = own_kafka(brokers=3, heap_mb=256)
    servers = local.bootstrap_servers
    create_topic(servers, "replicated", 3)
    admin = AdminClient({"bootstrap.servers": servers})
    known = admin.list_topics("replicated", timeout=SECONDS)
    assert {len(p.replicas) for p in known.topics["replicated"].partitions.values()} == {3}
    create_topic(servers, "ends", 12)
    produce_all(servers, "ends", [Record(b"x", partition=p) for p in range(12)])
    assert set(_ends(admin).values()) == {1}
    asking = subprocess.Popen([sys.executable, "-m", "tests.asking", servers])
    try:
        local.kill(1)
        _wait_until(lambda: set(_ends(admin).values()) == {1}, "the ends, with new leaders")
        assert [local.running(broker) for broker in range(3)] == [True, False, True]
        produce_all(servers, "replicated", [Record(b"x", partition=p) for p in range(3)])
        local.restart(1)
        assert len(read_all(servers, "replicated")) == 3
        assert asking.poll() is None, "asking for committed offsets ended the process"
    finally:
        asking.kill()
        asking.wait()


def _ends(admin: AdminClient) -> dict[Partition, int]:
    """All ends or none: a leader that is away must not look like an empty partition."""
    try:
        found = ends(admin, [("ends", p) for p in range(12)], IsolationLevel.READ_UNCOMMITTED)
    except BrokerError:
        return {}
    assert set(found.values()) == {1}
    return found


def test_a_data_folder_is_kept_for_the_next_start(tmp_path: Path, kafka: Kafka) -> None:
    del kafka  # skips where there is none
    try:
        find_java()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    for expected in (1, 2):
        with LocalKafka(data=tmp_path, quick=True) as local:
            if expected == 1:
                create_topic(local.bootstrap_servers, "kept")
            produce_all(local.bootstrap_servers, "kept", [Record(b"x")])
            assert len(read_all(local.bootstrap_servers, "kept")) == expected
            properties = next(tmp_path.glob("broker-*/*.properties"))
            written = properties.read_bytes()
            with pytest.raises(BrokerError, match="another local Kafka is running on the folder"):
                LocalKafka(data=tmp_path, quick=True).start()
            assert properties.read_bytes() == written


def test_no_broker_outlives_a_killed_parent(kafka: Kafka) -> None:
    del kafka
    code = (
        "import signal\n"
        "from stream.adapters.kafka.local import LocalKafka\n"
        "local = LocalKafka(quick=True)\n"
        "local.start()\n"
        "print(local.bootstrap_servers, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rsplit(":", 1)[1])
        assert _answers(port)
        parent.send_signal(signal.SIGKILL)
    _wait_until(lambda: not _answers(port), "the broker of a killed process is gone")


def test_properties_that_kafka_refuses_are_quoted(kafka: Kafka) -> None:
    del kafka
    with pytest.raises(BrokerError, match=r"(?s)formatted.*message\.max\.bytes"):
        LocalKafka(properties={"message.max.bytes": "-5"}).start()


def test_a_broker_that_ends_quotes_its_log(kafka: Kafka) -> None:
    del kafka
    with pytest.raises(
        BrokerError, match=r"(?s)ended while starting.*broker\.log.*no.such.Reporter"
    ):
        LocalKafka(quick=True, properties={"metric.reporters": "no.such.Reporter"}).start()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaUnavailableError, match=r"Java 17.*Docker is not installed"):
        LocalKafka().start()


def test_an_old_java_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaUnavailableError, match="is version 11"):
        find_java()


def test_jars_are_fetched_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    script = (
        "#!/bin/sh\n"
        'for word; do case "$word" in -DoutputDirectory=*) to="${word#*=}";; esac; done\n'
        f'mkdir -p "$to" && touch "$to/kafka_2.13-x.jar" && echo fetched >> {tmp_path}/fetches\n'
    )
    maven.write_text(script, encoding="utf-8")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DRIFTSTREAM_CACHE", str(tmp_path / "cache"))
    code = "from stream.adapters.kafka.local_java import kafka_jars; print(kafka_jars())"
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    folders = {process.communicate()[0].strip() for process in both}
    assert folders == {str(kafka_jars())}
    assert (tmp_path / "fetches").read_text(encoding="utf-8") == "fetched\n"


def test_a_fetch_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho no route to the repository; exit 1\n", encoding="utf-8")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("DRIFTSTREAM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(KafkaUnavailableError, match="no route to the repository"):
        kafka_jars()


def test_a_leased_port_is_leased_once() -> None:
    lease = lease_port()
    with pytest.raises(BrokerError, match=f"port {lease.port} .* is in use"):
        lease_port(lease.port)
    lease.release()
    again = lease_port(lease.port)
    again.release()


def test_a_port_that_somebody_listens_on_is_not_leased() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BrokerError, match="is in use"):
            lease_port(port)


def test_cluster_ids_are_kafkas() -> None:
    ids = {new_cluster_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(text) == 22 and not text.startswith("-") for text in ids)


def test_a_container_is_told_what_the_process_is_told() -> None:
    cluster = tuple(NodePlan(i, 21_000 + i, 22_000 + i) for i in range(3))
    told = environment(cluster[1], cluster, {"log.retention.ms": "5"})
    assert told["KAFKA_NODE_ID"] == "2"
    assert told["KAFKA_LOG_RETENTION_MS"] == "5"
    assert told["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "2"
    assert told["KAFKA_ADVERTISED_LISTENERS"].startswith("PLAINTEXT://127.0.0.1:21001,INTERNAL://")
    assert told["KAFKA_CONTROLLER_QUORUM_VOTERS"].count("@driftstream-21000-") == 3


def test_only_one_or_three_brokers() -> None:
    with pytest.raises(BrokerError, match="1 or 3 brokers, not 2"):
        LocalKafka(2)


def test_the_version_is_the_projects() -> None:
    assert kafka_version().count(".") == 2


def test_a_container_is_driven_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    said = tmp_path / "said"
    script = f'#!/bin/sh\necho "$@" >> {said}\n[ "$1" != inspect ] || echo running\n'
    docker.write_text(script, encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    plan = NodePlan(0, 21_000, 22_000)
    node = DockerNode(plan, (plan,), tmp_path, new_cluster_id(), ["-Xmx256m"], {})
    node.prepare()
    for act in (node.start, node.pause, node.resume, node.kill, node.stop, node.remove):
        act()
    lines = said.read_text(encoding="utf-8").splitlines()
    name = "driftstream-21000-1"
    assert any(line.endswith(f" apache/kafka:{kafka_version()}") for line in lines)
    verbs = [line.split()[0] for line in lines if line.split()[0] not in {"info", "inspect"}]
    assert verbs == [
        "network",
        "create",
        "start",
        "pause",
        "unpause",
        "kill",
        "stop",
        "rm",
        "network",
    ]
    assert all(name in line for line in lines if line.split()[0] in {"start", "kill", "rm"})


def test_a_broken_docker_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n[ $1 = info ] || { echo no space; exit 1; }\n", encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    plan = NodePlan(0, 21_000, 22_000)
    node = DockerNode(plan, (plan,), tmp_path, new_cluster_id(), ["-Xmx256m"], {})
    with pytest.raises(BrokerError, match="docker create failed for driftstream-21000-1: no space"):
        node.prepare()
