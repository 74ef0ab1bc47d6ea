"""A record's headers, whatever a producer put there."""

from __future__ import annotations

from confluent_kafka import Message

from stream.core.records import Header

__all__ = ["UNREADABLE", "headers_of"]

# What confluent-kafka raises where a header's name is no UTF-8; Kafka itself doesn't look at names.
UNREADABLE = (SystemError, UnicodeDecodeError)


def headers_of(message: Message) -> list[Header]:
    """The headers, b"" for the value of one without; none where a name among them is no text."""
    try:
        pairs = message.headers() or ()
    except UNREADABLE:
        return []
    named = pairs.items() if isinstance(pairs, dict) else pairs
    return [
        (name, value.encode() if isinstance(value, str) else value or b"") for name, value in named
    ]
