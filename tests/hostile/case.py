"""What a hostile record is: its bytes, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from stream.core.errors import Reason
from stream.core.records import Header
from tests.kafka_io import Record

__all__ = ["Case", "Maker", "body", "good", "refused", "text"]


@dataclass(frozen=True, slots=True)
class Case:
    """A record for a topic, how many of its rows count, and how many are refused for what.

    Each reason makes one letter, however many of the record's rows it holds for.
    """

    topic: str
    record: Record
    rows: int
    refused: Mapping[Reason, int] = field(default_factory=dict)


Maker = Callable[[int, int], Case]  # a number that no other record has, and the time


def refused(
    reason: Reason,
    value: bytes | None,
    number: int,
    *headers: Header,
    topic: str = "predictions",
) -> Case:
    """A record that is refused whole."""
    return Case(topic, _record(value, number, headers), 0, {reason: 1})


def good(
    value: bytes, number: int, *headers: Header, topic: str = "predictions", rows: int = 1
) -> Case:
    """A record that looks odd, and counts."""
    return Case(topic, _record(value, number, headers), rows)


def body(number: int, now_ms: int, **fields: Any) -> dict[str, Any]:
    """A prediction of `credit` 1 that is all right; a field given as `...` is left out."""
    whole: dict[str, Any] = {
        "prediction_id": f"odd-{number}",
        "model": "credit",
        "version": "1",
        "event_time_ms": now_ms,
        "features": {"x0": 0.5, "x1": 1, "x2": None, "state": "CA"},
        "prediction": number % 2,
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def text(number: int, now_ms: int, **fields: Any) -> bytes:
    """The same as JSON."""
    return orjson.dumps(body(number, now_ms, **fields))


def _record(value: bytes | None, number: int, headers: tuple[Header, ...]) -> Record:
    return Record(value, f"odd-{number}".encode(), headers)
