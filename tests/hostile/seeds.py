"""What fuzzing starts with: a small record of every kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stream.core.records import Header
from tests.decode_rows import NOW_MS
from tests.hostile.mixture import KINDS

__all__ = ["seeds"]

_MOST = 16_384


def seeds() -> Iterator[tuple[str, Sequence[Header], bytes]]:
    """Topic, headers and value of each."""
    for number, make in enumerate(KINDS.values()):
        case = make(number, NOW_MS)
        value = case.record.value or b""
        if len(value) <= _MOST:
            yield case.topic, case.record.headers, value
