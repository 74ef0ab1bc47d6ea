"""The Kafka that tests run on: the one named by KAFKA_BOOTSTRAP_SERVERS, else a local one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.adapters.kafka.local import KafkaUnavailableError, LocalKafka
from stream.cli.application import run
from tests.secured_kafka import SecuredKafka
from tests.secured_site import Site

OwnKafka = Callable[..., LocalKafka]
Command = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka shared by a whole test session: use topics and groups with a `unique` prefix."""

    bootstrap_servers: str


def unavailable(error: KafkaUnavailableError) -> NoReturn:
    """Skips the test for want of a Kafka; under CI=true fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(error))
    pytest.skip(str(error))


def _require_answer(bootstrap_servers: str) -> None:
    try:
        AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=15.0)
    except KafkaException as error:
        pytest.fail(f"KAFKA_BOOTSTRAP_SERVERS={bootstrap_servers} does not answer: {error}")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A real Kafka that answers; without one the test is skipped, under CI=true it fails."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        _require_answer(named)
        yield Kafka(named)
        return
    local = LocalKafka(quick=True)
    try:
        local.start()
    except KafkaUnavailableError as error:
        unavailable(error)
    try:
        yield Kafka(local.bootstrap_servers)
    finally:
        local.stop()


@pytest.fixture
def own_kafka() -> Iterator[OwnKafka]:
    """Starts a Kafka for this test alone, to be killed: `own_kafka(brokers=3)`, as LocalKafka."""
    started: list[LocalKafka] = []

    def start(brokers: int = 1, **options: object) -> LocalKafka:
        local = LocalKafka(brokers, **{"quick": True, **options})  # type: ignore[arg-type]  # as LocalKafka takes them
        started.append(local)
        try:
            local.start()
        except KafkaUnavailableError as error:
            unavailable(error)
        return local

    yield start
    for local in started:
        local.stop()


@pytest.fixture
def unique() -> str:
    """A prefix that no other test's topics, groups or models have: `f"{unique}predictions"`."""
    return f"test-{uuid.uuid4().hex[:12]}."


@pytest.fixture
def command(kafka: Kafka, unique: str, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with --json on this test's prefix; returns what it printed, by lines."""

    def call(*arguments: str) -> list[Any]:
        shared = ["-b", kafka.bootstrap_servers, "--topic-prefix", unique, "--json"]
        assert run([*arguments, *shared]) == 0, capsys.readouterr().err
        return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker that asks for passwords, for all tests that want one."""
    try:
        kafka = SecuredKafka(tmp_path_factory.mktemp("secured"))
    except KafkaUnavailableError as error:
        unavailable(error)
    with kafka:
        yield kafka


@pytest.fixture
def site(secured: SecuredKafka, unique: str) -> Site:
    """Topics of one's own on it."""
    made = Site(secured, unique)
    made.create_topics()
    return made
