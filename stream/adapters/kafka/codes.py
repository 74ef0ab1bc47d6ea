"""Error codes that librdkafka makes itself, under public names (its own begin with `_`)."""

from __future__ import annotations

from confluent_kafka import KafkaError

__all__ = ["AUTHENTICATION", "AWAY", "CREDENTIALS", "END", "FENCED"]

# ruff: noqa: SLF001  # the underscore marks librdkafka's own codes, which have no other name
END = KafkaError._PARTITION_EOF
FENCED = KafkaError._FENCED
AUTHENTICATION = KafkaError._AUTHENTICATION
AWAY = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE})
CREDENTIALS = frozenset(
    {
        AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
