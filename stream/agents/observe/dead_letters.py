"""The dead letter of a refused record: its bytes, headers and position, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream import schemas
from stream.agents.observe.joining import WrongLabel
from stream.core.errors import Reason, Rejected
from stream.core.records import Header, Output, Slice, Source

__all__ = ["DeadLetters"]

_KEY_BYTES = 4_096  # of a key that are kept
_HEADER_BYTES = 8_192  # of all headers that are kept
_DETAIL = 500  # characters


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Makes dead letters of at most `max_bytes`: a longer value is cut and marked truncated."""

    agent: str
    max_bytes: int

    def wrong_label(self, slice_: Slice, label: WrongLabel, now_ms: int) -> Output:
        """The output for a label that is refused when it meets its prediction.

        One of an earlier slice has its position, and no bytes any more.
        """
        source = Source("labels", label.task)
        if source in slice_.sources:
            mine = slice_.source == slice_.sources.index(source)
            places = np.flatnonzero(mine & (slice_.offset == label.offset)).tolist()
            if places:
                rejected = Rejected(places[0], Reason.WRONG_LABEL, label.detail)
                return self.letter(slice_, rejected, now_ms)
        record = {
            "topic": source.topic,
            "partition": source.partition,
            "offset": label.offset,
            "timestamp_ms": 0,
            "key": None,
            "value": None,
            "truncated": True,
            "headers": [],
            "reason": Reason.WRONG_LABEL.value,
            "detail": label.detail[:_DETAIL],
            "rows": [],
            "agent": self.agent,
            "rejected_at_ms": now_ms,
        }
        return Output("dead-letters", None, schemas.encode_avro("dead_letter", record))

    def letter(self, slice_: Slice, rejected: Rejected, now_ms: int) -> Output:
        """The output that carries one refused record, or some rows of one."""
        place = rejected.record
        source = slice_.sources[int(slice_.source[place])]
        key, value = slice_.key(place), slice_.values[place]
        if key is not None:
            key = key[:_KEY_BYTES]
        headers = slice_.headers[place] if slice_.headers is not None else None
        record = {
            "topic": source.topic,
            "partition": source.partition,
            "offset": int(slice_.offset[place]),
            "timestamp_ms": int(slice_.timestamp_ms[place]),
            "key": key,
            "value": None if value is None else value[: self.max_bytes],
            "truncated": value is not None and len(value) > self.max_bytes,
            "headers": _kept(headers or ()),
            "reason": rejected.reason.value,
            "detail": rejected.detail[:_DETAIL],
            "rows": list(rejected.rows),
            "agent": self.agent,
            "rejected_at_ms": now_ms,
        }
        return Output("dead-letters", key, schemas.encode_avro("dead_letter", record))


def _kept(headers: Sequence[Header]) -> list[dict[str, object]]:
    """Headers up to a total size; what goes beyond is left out."""
    kept: list[dict[str, object]] = []
    room = _HEADER_BYTES
    for name, value in headers:
        room -= len(name) * 4 + len(value or b"")
        if room < 0:
            break
        kept.append({"name": name, "value": value})
    return kept
