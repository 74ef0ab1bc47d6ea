"""A transaction whose producer Kafka refuses: what comes after it goes on with another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from stream.adapters.kafka.log import ClientErrors
from stream.core.errors import AccessError, BrokerError
from stream.engine.rights import Rights
from stream.engine.transaction import Transaction

_REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no")
_BEYOND_REPAIR = KafkaError(KafkaError._FATAL, "cannot abort", fatal=True)


class Refused:
    """A producer as librdkafka's is where a right is missing: it can't even abort."""

    def __init__(self) -> None:
        self.fatal = False
        self.produced = 0

    def poll(self, _: float = 0) -> int:
        return 0

    def init_transactions(self, _: float) -> None:
        pass

    def begin_transaction(self) -> None:
        if self.fatal:
            raise KafkaException(_BEYOND_REPAIR)

    def produce(self, *_: Any, **__: Any) -> None:
        self.produced += 1

    def commit_transaction(self, _: float) -> None:
        raise KafkaException(_REFUSED)

    def abort_transaction(self, _: float) -> None:
        self.fatal = True
        raise KafkaException(_BEYOND_REPAIR)


class NotWritable:
    """Rights of somebody who may not write."""

    def explain(self, error: KafkaError, _: Iterable[str]) -> BrokerError | None:
        return AccessError("may not") if error.code() == _REFUSED.code() else None


def test_after_a_refused_transaction_the_next_record_finds_another_producer() -> None:
    made: list[Refused] = []

    def make(_: ClientErrors) -> Producer:
        made.append(Refused())
        return cast(Producer, made[-1])

    transaction = Transaction(make, lambda: False, lambda: None, cast(Rights, NotWritable()))
    transaction.begin_all()
    transaction.produce("windows", b"key", b"value")
    with pytest.raises(AccessError):
        transaction.commit([], None)
    transaction.abort()
    transaction.produce("windows", b"key", b"value")
    assert [producer.produced for producer in made] == [1, 1]
