"""A record's headers, whatever a producer put there.

Where a header's name is no UTF-8 (Kafka itself doesn't look at names), confluent-kafka keeps and
returns pairs with a hole in them, which end the process that looks at them, and sets an error.
Python sees the error only where the call is checked: through `map` it always is, a plain call that
became hot is not. So messages are asked through `map`, and once, for the second time is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import Message

from stream.core.records import Header

__all__ = ["headers_each", "headers_of"]

_UNREADABLE = (SystemError, UnicodeDecodeError)


def headers_of(message: Message) -> list[Header]:
    """The headers, b"" for the value of one without; none where a name among them is no text.

    To be called once a message, and not after `headers_each`.
    """
    (found,) = headers_each([message]) or [None]
    return list(found or ())


def headers_each(messages: Sequence[Message]) -> list[Sequence[Header] | None] | None:
    """The headers of each message, None for one without; None where no message has any."""
    found: list[Any] = []
    left = iter(messages)
    while len(found) < len(messages):
        try:
            found.extend(map(Message.headers, left))  # on an error what came before it stays
        except _UNREADABLE:
            found.append(None)
    if not any(found):
        return None
    return [_plain(pairs) if pairs else None for pairs in found]


def _plain(pairs: Any) -> list[Header]:
    named: Iterable[tuple[str, Any]]
    named = pairs.items() if isinstance(pairs, dict) else pairs
    return [
        (name, value.encode() if isinstance(value, str) else value or b"") for name, value in named
    ]
