"""The topic table, and the topics that are made from it on a real cluster."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported
    AdminClient,
    NewTopic,
)

from stream import schemas
from stream.adapters.kafka.topics import describe_topics, ensure_topics
from stream.core.errors import BrokerError, ConfigError, TopicError
from stream.topics import (
    TOPICS,
    Direction,
    PartitionRule,
    changelog,
    partition_count,
    real_name,
    topic,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Kafka, OwnKafka

LOGICAL = [
    "features",
    "predictions",
    "labels",
    "joined",
    "profiles",
    "monitors",
    "partials",
    "windows",
    "alerts",
    "retrain-requests",
    "retrain-status",
    "dead-letters",
]
ALL = (*TOPICS, changelog("observe", ["predictions"]), changelog("detect", ["partials"]))


def create(conf: Mapping[str, Any], name: str, partitions: int, **config: str) -> None:
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
    admin = AdminClient(dict(conf))  # held: futures of a client that is gone are cancelled
    admin.create_topics([new])[name].result(30)
    deadline = time.monotonic() + 30
    while name not in admin.list_topics(timeout=30).topics:
        assert time.monotonic() < deadline, f"{name} did not appear"


def existing(conf: Mapping[str, Any], prefix: str) -> set[str]:
    topics = AdminClient(dict(conf)).list_topics(timeout=30).topics
    return {name for name in topics if name.startswith(prefix)}


# The table


def test_the_table_has_the_topics_of_the_design() -> None:
    assert [each.name for each in TOPICS] == LOGICAL


def test_every_topics_schemas_exist_and_every_schema_has_a_topic() -> None:
    named = [name for each in TOPICS for name in each.schemas]
    assert sorted(named) == sorted(schemas.names())


def test_every_topic_is_stamped_by_the_broker() -> None:
    assert {each.config(1)["message.timestamp.type"] for each in ALL} == {"LogAppendTime"}


@pytest.mark.parametrize(("replication", "insync"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_three_replicas_want_two_in_sync(replication: int, insync: str | None) -> None:
    assert topic("predictions").config(replication).get("min.insync.replicas") == insync


def test_changelogs_have_small_segments_and_their_inputs_partitions() -> None:
    observe, detect = ALL[-2:]
    assert observe.partitions is PartitionRule.SOURCES
    assert detect.partitions is PartitionRule.PARTIALS
    assert observe.name == "observe-changelog"
    assert observe.direction is Direction.INTERNAL
    assert observe.config(1) == {
        "cleanup.policy": "compact",
        "message.timestamp.type": "LogAppendTime",
        "segment.bytes": "33554432",
        "min.cleanable.dirty.ratio": "0.1",
    }


def test_a_changelog_of_unlike_inputs_is_refused() -> None:
    with pytest.raises(TopicError, match="one number of partitions"):
        changelog("odd", ["predictions", "partials"])


@pytest.mark.parametrize(
    ("rule", "sources", "partials", "count"),
    [
        (PartitionRule.SOURCES, 24, 0, 24),
        (PartitionRule.PARTIALS, 24, 0, 16),
        (PartitionRule.PARTIALS, 6, 0, 6),
        (PartitionRule.PARTIALS, 6, 2, 2),
        (PartitionRule.ONE, 24, 0, 1),
    ],
)
def test_partition_counts(rule: PartitionRule, sources: int, partials: int, count: int) -> None:
    assert partition_count(rule, sources, partials) == count


def test_names_are_prefixed_and_known() -> None:
    assert real_name("driftstream.", "alerts") == "driftstream.alerts"
    with pytest.raises(TopicError, match="there are features, predictions"):
        topic("nothing")


# On a cluster


@pytest.fixture
def conf(kafka: Kafka) -> dict[str, str]:
    return {"bootstrap.servers": kafka.bootstrap_servers}


def test_creates_what_is_missing_as_the_table_says(conf: dict[str, str], unique: str) -> None:
    first = ensure_topics(conf, unique, source_partitions=20, topics=ALL, replication=1)
    assert sorted(first.created) == sorted(unique + each.name for each in ALL)
    assert first.warnings == ()
    for found in describe_topics(conf, unique, ALL):
        rule = partition_count(found.topic.partitions, 20)
        assert first.partitions[found.topic.name] == found.partitions == rule
        wanted = found.topic.config(1)
        assert {key: found.config[key] for key in wanted} == wanted
    again = ensure_topics(conf, unique, source_partitions=20, topics=ALL, replication=1)
    assert again.created == ()
    assert again.warnings == ()
    assert again.partitions == first.partitions


def test_missing_inputs_get_the_partitions_of_those_that_exist(
    conf: dict[str, str], unique: str
) -> None:
    create(conf, f"{unique}predictions", 3, **{"message.timestamp.type": "LogAppendTime"})
    ensured = ensure_topics(conf, unique, source_partitions=6, topics=ALL)
    assert ensured.partitions["labels"] == ensured.partitions["observe-changelog"] == 3
    assert ensured.partitions["partials"] == 3


def test_wrong_partition_counts_are_all_named_and_nothing_is_created(
    conf: dict[str, str], unique: str
) -> None:
    for name, partitions in {
        "predictions": 4,
        "labels": 6,
        "profiles": 2,
        "observe-changelog": 5,
        "alerts": 7,
    }.items():
        create(conf, unique + name, partitions)
    before = existing(conf, unique)
    with pytest.raises(TopicError) as refused:
        ensure_topics(conf, unique, source_partitions=4, topics=ALL)
    text = str(refused.value)
    assert f"{unique}labels has 6 partitions and {unique}predictions has 4" in text
    assert f"{unique}profiles has 2 partitions and needs 1 (one)" in text
    assert f"{unique}observe-changelog has 5 partitions and needs 4" in text
    assert "alerts" not in text
    assert existing(conf, unique) == before


def test_other_settings_of_existing_topics_are_warnings(conf: dict[str, str], unique: str) -> None:
    create(conf, f"{unique}predictions", 2, **{"message.timestamp.type": "CreateTime"})
    create(conf, f"{unique}alerts", 1, **{"cleanup.policy": "delete"})
    ensured = ensure_topics(conf, unique, source_partitions=2)
    assert sorted(ensured.warnings) == [
        f"{unique}alerts has cleanup.policy=delete and should have compact,delete",
        f"{unique}alerts has message.timestamp.type=CreateTime and should have LogAppendTime",
        f"{unique}predictions has message.timestamp.type=CreateTime and should have LogAppendTime",
    ]


def test_two_at_the_same_time_agree(conf: dict[str, str], unique: str) -> None:
    results: list[Any] = []

    def run() -> None:
        results.append(ensure_topics(conf, unique, source_partitions=3, topics=ALL))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3
    assert {tuple(sorted(each.partitions.items())) for each in results} == {
        tuple(sorted(results[0].partitions.items()))
    }
    created = [name for each in results for name in each.created]
    assert sorted(created) == sorted(unique + each.name for each in ALL)


def test_too_many_replicas_is_a_topic_error(conf: dict[str, str], unique: str) -> None:
    with pytest.raises(TopicError, match=r"cannot be created:\n  .*INVALID_REPLICATION_FACTOR"):
        ensure_topics(conf, unique, source_partitions=1, replication=30)


def test_three_brokers_get_three_replicas_and_two_in_sync(own_kafka: OwnKafka, unique: str) -> None:
    conf = {"bootstrap.servers": own_kafka(brokers=3, heap_mb=256).bootstrap_servers}
    ensure_topics(conf, unique, source_partitions=2, topics=ALL)
    deadline = time.monotonic() + 30
    # A topic is known to one broker a moment before it is known to the others.
    while len(found := describe_topics(conf, unique, ALL)) < len(ALL):
        assert time.monotonic() < deadline, "topics did not appear on all brokers"
    assert {each.replication for each in found} == {3}
    assert {each.config["min.insync.replicas"] for each in found} == {"2"}


def test_no_broker_is_a_broker_error() -> None:
    conf: dict[str, str | int] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    with pytest.raises(BrokerError, match="does not answer"):
        ensure_topics({**conf}, "x.", source_partitions=1, timeout_s=0.5)


def test_a_refused_password_is_told(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    conf = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "alice",
        "sasl.password": "s3cret",
    }
    with pytest.raises(BrokerError):
        ensure_topics(conf, "x.", source_partitions=1, timeout_s=2)
    assert "user and password" in caplog.text
    assert "s3cret" not in caplog.text


def test_an_unknown_setting_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        ensure_topics({"nonsense": "1"}, "x.", source_partitions=1)


def test_the_embedded_cluster_makes_topics_up() -> None:
    conf: dict[str, str | int] = {
        "bootstrap.servers": "",
        "test.mock.num.brokers": 1,
        "log_level": 0,
    }
    ensured = ensure_topics({**conf}, "x.", source_partitions=1, embedded=True)
    assert ensured.created == ()
    assert set(ensured.partitions) == set(LOGICAL)
    assert all(count > 0 for count in ensured.partitions.values())
