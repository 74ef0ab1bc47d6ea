"""Kafka's refusals in words: by which codes they are known, and what they say."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from stream.access import Login, is_denied, is_refused
from stream.adapters.kafka.codes import AUTHENTICATION

_TLS = KafkaError._SSL
_REFUSED = (
    AUTHENTICATION,
    _TLS,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
)
_DENIED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
_SASL = {"security.protocol": "sasl_ssl", "sasl.username": "ann", "sasl.password": "hidden"}


def test_refusals_are_known_by_the_clients_codes() -> None:
    known = [value for value in vars(KafkaError).values() if isinstance(value, int)]
    assert sorted(filter(is_refused, known)) == sorted(_REFUSED)
    assert sorted(filter(is_denied, known)) == sorted(_DENIED)


@pytest.mark.parametrize(("code", "check"), [(AUTHENTICATION, "sasl.password"), (_TLS, "ssl.ca")])
def test_a_refusal_says_where_whom_and_what_to_look_at(code: int, check: str) -> None:
    text = Login.of(_SASL, "b:9093").explained(code, "no", "t", "Write")
    assert text.startswith("Kafka at b:9093 refuses user ann over SASL_SSL: no. ")
    assert check in text and "hidden" not in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "user ann may not Write topic t on b:9093"),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, "user ann may not Write any topic, t among them"),
        (KafkaError._ALL_BROKERS_DOWN, "does it speak SASL_SSL there"),
    ],
)
def test_what_is_missing_is_named(code: int, said: str) -> None:
    assert said in Login.of(_SASL, "b:9093").explained(code, "no", "t", "Write")


def test_other_errors_are_left_as_they_are() -> None:
    plain = Login.of({"sasl.username": "ann"}, "b:1")
    assert (plain.protocol, plain.whom) == ("PLAINTEXT", "this user")
    assert plain.explained(KafkaError.UNKNOWN_TOPIC_OR_PART, "no topic", "t", "Read") == "no topic"
