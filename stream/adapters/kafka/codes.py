"""librdkafka's errors: its own codes under public names, and what an error says to people."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

__all__ = ["AUTHENTICATION", "AWAY", "END", "FENCED", "STATE", "is_fatal", "said"]

# ruff: noqa: SLF001  # the underscore marks librdkafka's own codes, which have no other name
END = KafkaError._PARTITION_EOF
FENCED = KafkaError._FENCED
STATE = KafkaError._STATE
AUTHENTICATION = KafkaError._AUTHENTICATION
AWAY = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE})


def is_fatal(error: KafkaError) -> bool:
    """Whether a client is beyond repair: an error that a consumer returns has a code for it only.

    >>> is_fatal(KafkaError(KafkaError._FATAL, "fenced")), is_fatal(KafkaError(KafkaError._FENCED))
    (True, False)
    """
    return bool(error.fatal() or error.code() == KafkaError._FATAL)


def said(error: BaseException | KafkaError) -> str:
    """An error in words: those of the KafkaError in a KafkaException, any other's own.

    >>> said(KafkaException(KafkaError(KafkaError._TRANSPORT, "broker is gone")))
    'broker is gone'
    >>> said(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE, "ConsumerGroupDescribe: "))
    'ConsumerGroupDescribe: COORDINATOR_NOT_AVAILABLE'
    """
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    if isinstance(cause, KafkaError):
        text = cause.str().strip()
        return f"{text} {cause.name()}".strip() if not text or text.endswith(":") else text
    return str(cause) or ("no answer in time" if isinstance(cause, TimeoutError) else repr(cause))
