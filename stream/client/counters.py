"""What became of the rows that were logged."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Counters"]


class Counters(NamedTuple):
    """What became of the rows: `buffered` ones are neither delivered nor given up yet.

    `failed` ones were given to librdkafka and not acknowledged; `dropped` ones were not, the
    buffer being full or the logger at its end; `rejected` ones could not be logged at all.
    """

    delivered: int
    failed: int
    dropped: int
    buffered: int
    rejected: int = 0
