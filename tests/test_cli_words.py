"""What librdkafka says reaches people in words, never as `KafkaError{…}`."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.adapters.kafka.codes import AWAY, said
from stream.cli.application import run
from stream.client import AlertSubscriber, LabelLogger
from stream.core.errors import BrokerError, ConfigError

_AWAY = ("-b", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KafkaException(KafkaError(min(AWAY), "the broker is gone")), "the broker is gone"),
        (KafkaError(min(AWAY), "the broker is gone"), "the broker is gone"),
        (BrokerError("told to stop"), "told to stop"),
        (TimeoutError(), "no answer in time"),
    ],
)
def test_errors_in_words(error: Exception, words: str) -> None:
    assert said(error) == words


@pytest.mark.parametrize(
    "arguments",
    [
        ["windows", "tail", *_AWAY],
        ["topics", "list", *_AWAY],
        ["topics", "list", *_AWAY, "--set", "kafka.no.such=1"],
        ["state", "reset", "observe", "--yes", *_AWAY],
        ["alerts", "tail", *_AWAY, "--timeout", "1", "--set", "kafka.no.such=1"],
    ],
)
def test_no_command_shows_an_error_object(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) in {2, 3}
    printed = capsys.readouterr().err
    assert "driftstream: " in printed
    assert "KafkaError{" not in printed
    assert "Traceback" not in printed


def test_the_sdk_says_what_librdkafka_has_against_a_property() -> None:
    for make in (AlertSubscriber, LabelLogger):
        with pytest.raises(ConfigError, match=r'property: No such configuration property: "no\.x"'):
            make(bootstrap_servers="127.0.0.1:1", kafka={"no.x": 1})
