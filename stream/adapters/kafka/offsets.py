"""What brokers know of partitions: their number, where they begin and end, what is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its public name is not exported

from stream.adapters.kafka.clients import Connection
from stream.adapters.kafka.codes import said
from stream.core.errors import BrokerError

__all__ = [
    "Partition",
    "beginnings",
    "committed",
    "committed_by",
    "ends",
    "partition_counts",
    "stable_ends",
]

Partition = tuple[str, int]

_SECONDS = 5.0
_TOPICS_SECONDS = 2.0
_SESSION_MS = 30_000  # of a group that is never joined
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library has no types here
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # likewise


def partition_counts(
    admin: AdminClient, topics: Iterable[str], *, embedded: bool = False
) -> dict[str, int]:
    """The number of partitions of each topic, 0 for one that doesn't exist. BrokerError.

    On an `embedded` broker, where topics appear by being asked for, each is asked for by name.
    """
    wanted = tuple(topics)
    try:
        if embedded:
            for topic in wanted:
                admin.list_topics(topic, timeout=_TOPICS_SECONDS)
        known = admin.list_topics(timeout=_TOPICS_SECONDS).topics
    except KafkaException as error:
        raise _failed("list its topics", error) from error
    return {
        topic: len(known[topic].partitions) if topic in known and not known[topic].error else 0
        for topic in wanted
    }


def ends(
    admin: AdminClient, partitions: Sequence[Partition], isolation: IsolationLevel
) -> dict[Partition, int]:
    """The offset behind the last record of each partition.

    READ_UNCOMMITTED counts the records and markers of every transaction; READ_COMMITTED ends
    before the first one still open. BrokerError.
    """
    return _offsets(admin, partitions, _LATEST, isolation)


def beginnings(admin: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The offset of the oldest record that each partition still has. BrokerError."""
    return _offsets(admin, partitions, _EARLIEST, IsolationLevel.READ_UNCOMMITTED)


def stable_ends(admin: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The ends of the partitions in which no transaction is open; others are left out."""
    all_of_it = ends(admin, partitions, IsolationLevel.READ_UNCOMMITTED)
    stable = ends(admin, partitions, IsolationLevel.READ_COMMITTED)
    return {one: end for one, end in stable.items() if all_of_it[one] == end}


def committed(
    consumer: Consumer, partitions: Sequence[Partition], seconds: float
) -> dict[Partition, int]:
    """What the consumer's group has committed; a partition without a commit is left out.

    A read_committed consumer waits for transactions that have sent offsets and not ended yet:
    where that takes longer than `seconds`, and where the broker is away, a BrokerError.
    """
    try:
        answers = consumer.committed([TopicPartition(*one) for one in partitions], timeout=seconds)
    except KafkaException as error:
        raise _failed("tell the committed offsets", error) from error
    for answer in answers:
        if answer.error is not None:
            raise _failed("tell the committed offsets", KafkaException(answer.error))
    return {(a.topic, a.partition): a.offset for a in answers if a.offset >= 0}


def committed_by(
    connection: Connection, group: str, partitions: Sequence[Partition], seconds: float
) -> dict[Partition, int]:
    """What a group has committed, asked by a consumer that never joins it; as `committed`.

    An AdminClient could be asked as well; but while the group's coordinator moves, its question
    ends the process (librdkafka issue 5315, open in 2.16).
    """
    asking = connection.group_consumer(group, _SESSION_MS, "")
    try:
        return committed(asking, partitions, seconds)
    finally:
        asking.close()


def _offsets(
    admin: AdminClient,
    partitions: Sequence[Partition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> dict[Partition, int]:
    if not partitions:
        return {}
    wanted: Mapping[TopicPartition, OffsetSpec] = {TopicPartition(*one): spec for one in partitions}
    try:
        asked = admin.list_offsets(
            dict(wanted), isolation_level=isolation, request_timeout=_SECONDS
        )
        found = {
            (one.topic, one.partition): future.result(2 * _SECONDS).offset
            for one, future in asked.items()
        }
    except (KafkaException, FutureTimeoutError) as error:
        _look_again(admin)
        raise _failed("tell the offsets of its partitions", error) from error
    if any(offset < 0 for offset in found.values()):  # the client's word for a leader that is away
        _look_again(admin)
        raise BrokerError("Kafka did not tell the offsets of partitions whose leader is away")
    return found


def _look_again(admin: AdminClient) -> None:
    """Asks for the leaders anew.

    An admin client doesn't by itself: after a broker's restart it would send the old leader
    epoch for ever and be told FENCED_LEADER_EPOCH.
    """
    with suppress(KafkaException):
        admin.list_topics(timeout=_TOPICS_SECONDS)


def _failed(doing: str, error: Exception) -> BrokerError:
    return BrokerError(f"Kafka did not {doing}: {said(error)}; is the broker up and reachable?")
