"""A transaction whose producer Kafka refuses: what comes after it goes on with another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from stream.adapters.kafka.log import ClientErrors
from stream.core.errors import AccessError, BrokerError
from stream.engine import transaction as engine_transaction
from stream.engine.rights import Rights
from stream.engine.transaction import Transaction

_REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no")
_TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "timed out", retriable=True)
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


class Unheard(Refused):
    """A producer whose transaction's coordinator is lost to it; what else it asks is answered."""

    def __init__(self, *, answered: bool = True, enough: int = 1 << 30) -> None:
        super().__init__()
        self.answered = answered
        self.enough = enough
        self.asked = 0

    def list_topics(self, *_: Any, **__: Any) -> None:
        if not self.answered:
            raise KafkaException(_TIMED_OUT)

    def commit_transaction(self, _: float) -> None:
        self.asked += 1
        if self.asked > self.enough:
            raise KafkaException(_REFUSED)
        raise KafkaException(_TIMED_OUT)

    abort_transaction = commit_transaction


class NeverBegun(Unheard):
    """Such a producer from its first call on."""

    def init_transactions(self, seconds: float) -> None:
        self.commit_transaction(seconds)


class NotWritable:
    """Rights of somebody who may not write."""

    def explain(self, error: KafkaError, _: Iterable[str]) -> BrokerError | None:
        return AccessError("may not") if error.code() == _REFUSED.code() else None


def _begun(*made: Refused) -> Transaction:
    """A transaction of somebody who may not write, on these producers one after another."""
    producers = iter(made)

    def make(_: ClientErrors) -> Producer:
        return cast(Producer, next(producers))

    transaction = Transaction(make, lambda: False, lambda: None, cast(Rights, NotWritable()))
    transaction.begin_all()
    return transaction


def test_after_a_refused_transaction_the_next_record_finds_another_producer() -> None:
    made = [Refused(), Refused()]
    transaction = _begun(*made)
    transaction.produce("windows", b"key", b"value")
    with pytest.raises(AccessError):
        transaction.commit([], None)
    transaction.abort()
    transaction.produce("windows", b"key", b"value")
    assert [producer.produced for producer in made] == [1, 1]


@pytest.mark.parametrize("ending", [lambda one: one.commit([], None), Transaction.abort])
def test_a_coordinator_that_is_lost_to_a_producer_is_asked_by_another(
    monkeypatch: pytest.MonkeyPatch, ending: Callable[[Transaction], None]
) -> None:
    monkeypatch.setattr(engine_transaction, "_UNHEARD_SECONDS", 0.01)
    made = [Unheard(), Unheard()]
    transaction = _begun(*made)
    transaction.produce("windows", b"key", b"value")
    with suppress(BrokerError):
        ending(transaction)
    assert not transaction.open
    assert made[0].asked > 1
    transaction.abort()
    transaction.renew()
    transaction.produce("windows", b"key", b"value")
    assert [producer.produced for producer in made] == [1, 1]


def test_one_that_cannot_even_begin_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_transaction, "_UNHEARD_SECONDS", 0.01)
    last = Refused()
    _begun(NeverBegun(), NeverBegun(), last).produce("windows", b"key", b"value")
    assert last.produced == 1


def test_while_no_broker_answers_a_call_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_transaction, "_UNHEARD_SECONDS", 0.0)
    producer = Unheard(answered=False, enough=1_000)
    transaction = _begun(producer)
    transaction.produce("windows", b"key", b"value")
    with pytest.raises(AccessError):
        transaction.commit([], None)
    assert producer.asked == 1_001
