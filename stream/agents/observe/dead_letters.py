"""The dead letter of a refused record: its bytes, headers and position, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream import schemas
from stream.agents.observe.joining import WrongLabel
from stream.core.errors import Reason, Rejected
from stream.core.records import Header, Output, Slice, Source

__all__ = ["DeadLetters"]

_KEY_BYTES = 4_096  # of a key that are kept
_HEADER_BYTES = 65_536  # of all headers that are kept
_DETAIL = 500  # characters


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Makes dead letters of at most `max_bytes`, about.

    A longer value, a key of more than 4 KB, headers of more than 64 KB are cut, and the letter is
    marked truncated.
    """

    agent: str
    max_bytes: int

    def letter(self, slice_: Slice, rejected: Rejected, now_ms: int) -> Output:
        """The output that carries one refused record, or some rows of one."""
        place = rejected.record
        value, key = slice_.values[place], slice_.key(place)
        headers = (slice_.headers[place] if slice_.headers is not None else None) or ()
        kept = _kept(headers)
        cut = len(value or b"") > self.max_bytes or len(key or b"") > _KEY_BYTES
        return self._output(
            slice_.sources[int(slice_.source[place])],
            int(slice_.offset[place]),
            rejected.reason,
            rejected.detail,
            now_ms,
            timestamp_ms=int(slice_.timestamp_ms[place]),
            key=key,
            value=None if value is None else value[: self.max_bytes],
            truncated=cut or len(kept) < len(headers),
            headers=kept,
            rows=list(rejected.rows),
        )

    def wrong_labels(
        self, slice_: Slice, labels: Sequence[WrongLabel], now_ms: int
    ) -> list[Output]:
        """The outputs for labels that are refused when they meet their predictions.

        One of an earlier slice has its position, and no bytes any more.
        """
        if not labels:
            return []
        positions = zip(slice_.source.tolist(), slice_.offset.tolist(), strict=True)
        places = {(slice_.sources[s], offset): place for place, (s, offset) in enumerate(positions)}
        outputs = []
        for label in labels:
            source = Source("labels", label.task)
            place = places.get((source, label.offset))
            reason, detail = Reason.WRONG_LABEL, label.detail
            if place is None:
                outputs.append(self._output(source, label.offset, reason, detail, now_ms))
            else:
                outputs.append(self.letter(slice_, Rejected(place, reason, detail), now_ms))
        return outputs

    def _output(
        self,
        source: Source,
        offset: int,
        reason: Reason,
        detail: str,
        now_ms: int,
        *,
        timestamp_ms: int = 0,
        key: bytes | None = None,
        value: bytes | None = None,
        truncated: bool = True,
        headers: Sequence[Mapping[str, object]] = (),
        rows: Sequence[int] = (),
    ) -> Output:
        key = None if key is None else key[:_KEY_BYTES]
        record = {
            "topic": source.topic,
            "partition": source.partition,
            "offset": offset,
            "timestamp_ms": timestamp_ms,
            "key": key,
            "value": value,
            "truncated": truncated,
            "headers": headers,
            "reason": reason.value,
            "detail": _unicode(detail[:_DETAIL]),
            "rows": rows,
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
        kept.append({"name": _unicode(name), "value": value})
    return kept


def _unicode(text: str) -> str:
    """The text, which may quote what a record holds, without surrogates that have no partner."""
    return text.encode("utf-8", "backslashreplace").decode()
