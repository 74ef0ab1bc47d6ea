"""The engine on a real broker: what an agent is told, in which order, and what is committed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import pytest

from stream.core.errors import ConfigError, TopicError
from stream.core.records import Output, Slice, Source
from stream.engine import Broadcast, EngineSettings
from tests.conftest import Kafka
from tests.engine_agents import Counting
from tests.engine_setup import Deployment, Running, counting, until
from tests.kafka_io import Record, create_topic, produce_all, read_all


@pytest.fixture
def deployment(kafka: Kafka, unique: str) -> Deployment:
    return Deployment(kafka.bootstrap_servers, unique)


def _count_all(deployment: Deployment) -> Counting:
    agent = Counting()
    with Running(agent, deployment.settings()) as running:
        until(lambda: counting(agent) == deployment.sent.total())
    assert running.noted.aborts == []
    return agent


class Keeping(Counting):
    """Keeps the slices it is given."""

    def __init__(self, inputs: Sequence[str] = ("numbers",)) -> None:
        super().__init__(inputs)
        self.slices: list[Slice] = []

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        self.slices.append(slice_)
        return super().step(slice_, now_ms)

    def ends(self) -> dict[Source, int]:
        return dict(end for slice_ in self.slices for end in slice_.ends)


def test_counts_are_exact_over_a_restart(deployment: Deployment) -> None:
    deployment.create()
    for _ in range(2):
        deployment.produce(1_000)
        agent = _count_all(deployment)
    assert deployment.counted() == deployment.sent
    assert agent.assigned == [0, 1, 2, 3]


def test_a_slice_holds_the_records_of_all_tasks_in_columns(deployment: Deployment) -> None:
    deployment.inputs = ("numbers", "letters")
    deployment.partitions = 2
    deployment.create()
    for topic in deployment.inputs:
        records = [
            Record(b"%s%d" % (topic.encode(), i), b"key%d" % i, (("h", b"x"),) * (i % 2), i % 2)
            for i in range(10)
        ]
        produce_all(deployment.bootstrap, deployment.prefix + topic, records)
    agent = Keeping(deployment.inputs)
    with Running(agent, deployment.settings(slice_records=7)) as running:
        until(lambda: counting(agent) == 20 and len(agent.ends()) == 4)
    assert agent.ends() == {Source(t, p): 5 for t in deployment.inputs for p in range(2)}
    assert running.noted.records == {"numbers": 10, "letters": 10}
    seen = {}
    for slice_ in agent.slices:
        assert len(slice_) <= 7
        for i, value in enumerate(slice_.values):
            source = slice_.sources[slice_.source[i]]
            number = int(slice_.offset[i]) * 2 + source.partition
            assert value == b"%s%d" % (source.topic.encode(), number)
            assert slice_.key(i) == b"key%d" % number
            headers = slice_.headers[i] if slice_.headers else None
            assert headers == ([("h", b"x")] if number % 2 else None)
            assert slice_.timestamp_ms[i] > 1_700_000_000_000
            seen[source, int(slice_.offset[i])] = True
    assert len(seen) == 20


def test_slices_are_bounded_by_bytes(deployment: Deployment) -> None:
    deployment.create()
    deployment.produce(400, value=b"x" * 10_000)
    agent = Keeping()
    with Running(agent, deployment.settings(slice_bytes=100_000)):
        until(lambda: counting(agent) == 400)
    assert max(map(len, agent.slices[1:])) <= 10
    assert len(agent.slices[0]) <= 64  # the first is taken without knowing


class Listening(Counting):
    """Wants what is new on `rules` when a record says so."""

    broadcasts = ("rules",)
    order: list[str]

    def assign(self, *told) -> None:  # type: ignore[no-untyped-def]  # passed through
        self.order = [*getattr(self, "order", ()), f"assign after {len(self.heard)}"]
        super().assign(*told)

    def hear(self, records: Sequence[Broadcast]) -> Sequence[Output]:
        super().hear(records)
        return [Output("grown", b"0", b"0", partition=0) for _ in records]

    def wants_broadcasts(self, slice_: Slice) -> bool:
        return b"ask" in slice_.values

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        if b"ask" in slice_.values:
            self.order.append(f"asked after {len(self.heard)}")
        return super().step(slice_, now_ms)


def test_broadcasts_are_heard_before_tasks_and_when_asked_for(deployment: Deployment) -> None:
    deployment.partitions = 1
    deployment.create()
    rules = deployment.prefix + "rules"
    create_topic(deployment.bootstrap, rules, 2, config={"cleanup.policy": "compact"})
    produce_all(deployment.bootstrap, rules, [Record(b"v", b"k%d" % i) for i in range(5)])
    agent = Listening()
    with Running(agent, deployment.settings()):
        until(lambda: 0 in agent.totals)
        produce_all(deployment.bootstrap, rules, [Record(b"v", b"new")])
        deployment.produce(1, value=b"ask")
        until(lambda: len(agent.order) == 2)
        until(lambda: counting(agent) == 1)
    assert agent.order == ["assign after 5", "asked after 6"]
    assert {(r.topic, r.key, r.value) for r in agent.heard[-1:]} == {("rules", b"new", b"v")}
    outputs = read_all(deployment.bootstrap, f"{deployment.prefix}grown")
    assert [r.value for r in outputs].count(b"0") == 6


def test_broadcasts_are_read_again_when_they_are_old(deployment: Deployment) -> None:
    deployment.partitions = 1
    deployment.create()
    rules = deployment.prefix + "rules"
    create_topic(deployment.bootstrap, rules)
    now_ms = [1_000_000]
    agent = Listening()
    with Running(agent, deployment.settings(), clock=lambda: now_ms[0]):
        until(lambda: 0 in agent.totals)
        produce_all(deployment.bootstrap, rules, [Record(b"v")])
        deployment.produce(1)
        until(lambda: counting(agent) == 1)
        assert agent.heard == []
        now_ms[0] += agent.broadcast_every_ms
        until(lambda: len(agent.heard) == 1)


class Holding(Keeping):
    """Holds one source back while it is told to."""

    held: AbstractSet[Source] = frozenset(Source("numbers", task) for task in (0, 1, 2))

    def paused(self, now_ms: int) -> AbstractSet[Source]:
        return self.held


def test_a_paused_source_waits_and_loses_nothing(deployment: Deployment) -> None:
    deployment.create()
    deployment.produce(8_000)  # so that the very first slice could hold records of any source
    agent = Holding()
    with Running(agent, deployment.settings(slice_records=100)) as running:
        until(lambda: counting(agent) >= 2_000)
        assert agent.totals == {0: 0, 1: 0, 2: 0, 3: 2_000}
        assert running.noted.lags["paused"] == 3
        agent.held = frozenset()
        until(lambda: agent.totals[1] > 0)
        agent.held = frozenset({Source("numbers", 1), Source("numbers", 2)})
        deployment.produce(8_000)
        until(lambda: running.noted.lags.get("paused") == 2)
        agent.held = frozenset()
        until(lambda: counting(agent) == 16_000)
    assert deployment.counted() == deployment.sent


class Failing(Counting):
    """Raises on every so many slices, or on a poisoned record."""

    failures = 2

    def step(self, slice_: Slice, now_ms: int) -> Sequence[Output]:
        said = super().step(slice_, now_ms)
        if b"poison" in slice_.values:
            raise ValueError("poison")
        if self.failures and counting(self) > 1_000:
            self.failures -= 1
            raise ValueError("a passing fault")
        return [*said, Output("grown", b"0", b"0", partition=0)]


def test_an_agents_fault_aborts_and_the_same_records_come_again(deployment: Deployment) -> None:
    deployment.create()
    deployment.produce(4_000)
    agent = Failing()
    # No commit comes between, so that there is something to abort.
    settings = deployment.settings(slice_records=300, commit_interval_ms=2_000)
    with Running(agent, settings) as running:
        until(lambda: counting(agent) == 4_000)
    assert agent.failures == 0
    assert len(agent.assigned) == 12
    assert "agent" in running.noted.aborts
    assert deployment.counted() == deployment.sent


def test_a_fault_that_stays_ends_the_runner_and_says_where_it_was(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.create()
    deployment.produce(1, value=b"poison")
    agent = Failing()
    with (
        pytest.raises(ValueError, match="poison"),
        Running(agent, deployment.settings(max_failures=3)) as running,
    ):
        running.wait()
    assert running.noted.is_ready is False
    said = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert len(said) == 3 and all(re.search(r"read since: numbers/\d 0?-0$", s) for s in said)


def test_topics_of_a_wrong_shape_are_refused_before_anything(deployment: Deployment) -> None:
    agent = Counting(("numbers", "letters"))
    with pytest.raises(TopicError, match="missing"), Running(agent, deployment.settings()) as one:
        one.wait()
    deployment.create()
    create_topic(deployment.bootstrap, deployment.prefix + "letters", 3)
    with (
        pytest.raises(TopicError, match="letters has 3"),
        Running(agent, deployment.settings()) as one,
    ):
        one.wait()
    agent = Counting(("letters",))
    with (
        pytest.raises(TopicError, match="changelog has 4"),
        Running(agent, deployment.settings()) as one,
    ):
        one.wait()


def test_settings_that_contradict_the_protocol_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"isolation\.level"):
        EngineSettings("broker:1", kafka={"isolation.level": "read_uncommitted"})
    with pytest.raises(ConfigError, match="no Kafka brokers"):
        EngineSettings("")
    with pytest.raises(ConfigError, match="half"):
        EngineSettings("broker:1", commit_interval_ms=6_000)
    with pytest.raises(ConfigError, match="slice_records"):
        EngineSettings("broker:1", slice_records=0)
    assert "secret" not in repr(EngineSettings("broker:1", kafka={"sasl.password": "secret"}))


def test_a_setting_that_librdkafka_refuses_is_named() -> None:
    settings = EngineSettings("127.0.0.1:1", kafka={"no.such.property": "x"})
    with (
        pytest.raises(ConfigError, match=r"no\.such\.property"),
        Running(Counting(), settings) as running,
    ):
        running.wait()


def test_a_runner_without_broker_waits_and_stops_when_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = EngineSettings("127.0.0.1:1", max_backoff_ms=100)
    with Running(Counting(), settings) as running:
        until(lambda: "count waits for Kafka" in caplog.text)
        assert not running.noted.is_ready
    assert running.error is None


def test_on_the_embedded_cluster(unique: str) -> None:
    from confluent_kafka import Producer

    embedded = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1})
    brokers = embedded.list_topics(timeout=10).brokers.values()
    bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    deployment = Deployment(bootstrap, unique)
    agent = Counting()
    with Running(agent, deployment.settings(embedded=True)) as running:
        until(lambda: running.noted.tasks == 4)
        deployment.produce(4_000)
        until(lambda: counting(agent) == 4_000)
    assert deployment.counted() == deployment.sent
