"""The engine while workers come, go and are killed, and while its broker is away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from stream.core.errors import ConfigError, FatalBrokerError, StateError
from stream.engine.reset import reset_state
from tests.conftest import Kafka, OwnKafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.engine_zombies import Zombie
from tests.kafka_io import read_all

Start = Callable[[Deployment, str], subprocess.Popen[bytes]]
_ROOT = Path(__file__).parent.parent


@pytest.fixture
def deployment(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts worker processes; they are killed at the end."""
    processes: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "workers.log").open("wb") as log:

        def start(deployment: Deployment, instance: str = "") -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "tests.engine_worker"]
            command += [deployment.bootstrap, deployment.prefix, instance]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=_ROOT)
            processes.append(process)
            return process

        yield start
        for process in processes:
            process.kill()
            process.wait()


def _some_more(deployment: Deployment) -> None:
    """Returns in the midst of the work."""
    seen = deployment.counted().total()
    until(lambda: deployment.counted().total() != seen or seen == deployment.sent.total())


def test_kill_9_again_and_again_counts_every_record_once(
    deployment: Deployment, start: Start
) -> None:
    deployment.create()
    workers = {name: start(deployment, name) for name in ("one", "two")}
    deployment.produce(2_000)
    for turn in range(5):
        deployment.produce(4_000)
        _some_more(deployment)
        name = ("one", "two")[turn % 2]
        workers[name].kill()
        workers[name].wait()
        workers[name] = start(deployment, name)
    until(lambda: deployment.counted().total() >= deployment.sent.total(), what="all counted")
    assert deployment.counted() == deployment.sent


def test_sigterm_commits_leaves_and_exits_with_0(deployment: Deployment, start: Start) -> None:
    deployment.create()
    worker = start(deployment, "")
    deployment.produce(20_000)
    until(deployment.counted)
    worker.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert worker.wait(10) == 0
    assert time.monotonic() - told < 10
    agent = Counting()
    with Running(agent, deployment.settings()) as running:
        # It left the group, so that nobody waits for its session to time out.
        until(lambda: running.noted.tasks == 4, 20)
        until(lambda: counting(agent) == 20_000)
    assert deployment.counted() == deployment.sent


def test_a_revoked_task_is_kept_unless_someone_moved_its_state(deployment: Deployment) -> None:
    deployment.create()
    deployment.produce(400)
    first, second = Counting(), Counting()
    with Running(first, deployment.settings()) as running:
        until(lambda: counting(first) == 400)
        with Running(second, deployment.settings()) as other:
            until(lambda: other.noted.tasks == 2 and running.noted.tasks == 2)
            assert len(first.resumed) == 2
            assert len(first.assigned) == 4
        until(lambda: running.noted.tasks == 4)
        assert len(first.resumed) == 6  # the second worker had nothing to do: nobody moved
        assert len(first.assigned) == 4
        with Running(second, deployment.settings()) as other:
            until(lambda: other.noted.tasks == 2 and running.noted.tasks == 2)
            deployment.produce(400)
            until(lambda: deployment.counted() == deployment.sent)
        until(lambda: running.noted.tasks == 4)
        assert len(first.assigned) == 6
        deployment.produce(400)
        until(lambda: counting(first) == 1_200)
    assert deployment.counted() == deployment.sent


def test_of_two_workers_of_one_instance_id_the_first_ends_and_says_so(
    deployment: Deployment,
) -> None:
    deployment.create()
    deployment.produce(8)
    settings = deployment.settings(instance_id="one")
    with Running(Counting(), settings) as first:
        until(lambda: first.noted.commits)
        with Running(Counting(), settings) as second:
            first.wait()
            deployment.produce(8)
            until(lambda: deployment.counted().total() == 16)
            assert second.noted.tasks == deployment.partitions
        error, first.error = first.error, None
    assert isinstance(error, FatalBrokerError) and "fenced by other" in str(error)


def test_offsets_that_someone_moved_are_refused_and_reset(deployment: Deployment) -> None:
    deployment.create()
    deployment.produce(400)
    agent = Counting()
    settings = deployment.settings()
    with Running(agent, settings):
        until(lambda: counting(agent) == 400)
        with pytest.raises(StateError, match="stop all workers"):
            reset_state(agent, settings)
    stranger = Zombie(deployment).consumer
    name = deployment.prefix + "numbers"
    stranger.commit(offsets=[TopicPartition(name, 0, 60)], asynchronous=False)
    stranger.close()
    with (
        pytest.raises(StateError, match="driftstream state reset count"),
        Running(agent, settings) as running,
    ):
        running.wait()
    positions = reset_state(agent, settings)
    assert sorted(positions.values()) == [60, 100, 100, 100]
    again = Counting()
    with Running(again, settings):
        until(lambda: counting(again) == 40)  # the state is new, 40 records come again
    assert set(reset_state(agent, settings, "earliest").values()) == {0}
    assert set(reset_state(agent, settings, "latest").values()) == {100}
    with Running(again := Counting(), settings):
        deployment.produce(4)
        until(lambda: counting(again) == 4)
    assert len(read_all(deployment.bootstrap, f"{deployment.prefix}count-changelog")) == 4 + 4 * 2


def test_the_embedded_broker_has_no_state_to_reset() -> None:
    settings = Deployment("127.0.0.1:1", "x.").settings(embedded=True)
    with pytest.raises(ConfigError, match="embedded"):
        reset_state(Counting(), settings)


@pytest.mark.parametrize("longer_than_the_transaction", [False, True])
def test_a_broker_that_is_killed_and_comes_back(
    own_kafka: OwnKafka, unique: str, longer_than_the_transaction: bool
) -> None:
    kafka = own_kafka()
    deployment = Deployment(kafka.bootstrap_servers, unique).create()
    agent = Counting()
    with Running(agent, deployment.settings(transaction_timeout_ms=4_000)) as running:
        deployment.produce(4_000)
        # A broker killed while it ends a transaction may leave it pending for ever (Kafka 4.3.1).
        until(lambda: deployment.counted() == deployment.sent)
        kafka.kill()
        away = time.monotonic()
        until(lambda: not running.noted.is_ready)
        if longer_than_the_transaction:
            until(lambda: time.monotonic() - away > 6)
        kafka.restart()
        deployment.produce(4_000)
        until(lambda: counting(agent) == 8_000 and running.noted.is_ready, 60)
    assert deployment.counted() == deployment.sent


def test_a_worker_is_not_ready_while_its_broker_is_frozen(own_kafka: OwnKafka, unique: str) -> None:
    kafka = own_kafka()
    deployment = Deployment(kafka.bootstrap_servers, unique).create()
    agent = Counting()
    with Running(agent, deployment.settings(session_timeout_ms=2_000)) as running:
        deployment.produce(400)
        until(lambda: deployment.counted() == deployment.sent)
        until(lambda: running.noted.is_ready)
        kafka.pause()
        try:
            until(lambda: not running.noted.is_ready, what="the session to be over")
            began = time.monotonic()
            until(lambda: running.noted.is_ready or time.monotonic() - began > 4)
            assert not running.noted.is_ready
        finally:
            kafka.resume()
        deployment.produce(400)
        until(lambda: counting(agent) == 800 and running.noted.is_ready, 60)
    assert deployment.counted() == deployment.sent
