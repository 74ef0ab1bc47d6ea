"""A detect task's state as changelog records: immutable chunks of counts, small control records.

    frontier                        the closed end, and the format of all of this
    frontier/N                      what is known of the sources, some in each record
    model/[model, version]          control: where its spans begin, incident, warm-up, moves
    carry/[model, version]          rows too few to be scored, for the model's next window
    span/START/END/SEQUENCE         rows added to a span since the commit before, of all models
    raw/[model, version]/SEQUENCE   raw groups that wait for a profile

A bucket (a span, or a model's raw groups) of many records is rewritten as one content, the old
records removed in the same commit; a bucket that nobody needs is removed whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from stream.core.errors import StateError
from stream.core.pane.frontier import SourceState
from stream.core.pane.partial import decode_partial, encode_partials
from stream.core.pane.spans import UNBINNED, Carry, Move, Tally
from stream.core.pane.warmup import unbinned
from stream.core.pane.window import Range
from stream.core.pipeline import Detection
from stream.core.records import Group, ModelKey, Partial, Source
from stream.core.signal.incident import History, Incident
from stream.core.specs import Severity

__all__ = ["Snapshot"]

_VERSION = 1
_FRONTIER = b"frontier"
_CROWDED = 64  # records a bucket, beyond those of its last rewriting, before it is rewritten
_MAX_BYTES = 800_000  # a record: below any broker's message.max.bytes
_SOURCES = 50  # in one record, each with at most a few hundred watermarks

_Record = tuple[bytes, bytes | None]


@dataclass(slots=True)
class _Bucket:
    keys: list[bytes] = field(default_factory=list)
    next: int = 0
    base: int = 0  # how many of the keys the last rewriting made


class _Buckets:
    """Which records each bucket has on the changelog."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, _Bucket] = {}

    def found(self, key: bytes) -> None:
        """Takes in a record's key that is on the changelog."""
        name, _, sequence = key.rpartition(b"/")
        bucket = self._buckets.setdefault(name, _Bucket())
        bucket.keys.append(key)
        bucket.next = max(bucket.next, int(sequence) + 1)

    def crowded(self, name: bytes) -> bool:
        """Whether it is time to rewrite a bucket: it has had many records since the last time."""
        bucket = self._buckets.get(name)
        return bucket is not None and len(bucket.keys) > _CROWDED + 2 * bucket.base

    def append(self, name: bytes, values: Sequence[bytes]) -> Iterator[_Record]:
        """The records that add values to a bucket."""
        bucket = self._buckets.setdefault(name, _Bucket())
        for value in values:
            key = b"%s/%08d" % (name, bucket.next)
            bucket.next += 1
            bucket.keys.append(key)
            yield key, value

    def rewrite(self, name: bytes, values: Sequence[bytes]) -> Iterator[_Record]:
        """The records that make values a bucket's whole content; without values it is gone."""
        bucket = self._buckets.pop(name, _Bucket())
        yield from ((key, None) for key in bucket.keys)
        if values:
            self._buckets[name] = _Bucket(next=bucket.next, base=len(values))
            yield from self.append(name, values)


class Snapshot:
    """Writes what changed in a detection since the last time, and gives all of it back.

    `schema` is the parsed pane_partial schema: chunks of counts have its form. Restored and
    resumed, a detection goes on as if it had never stopped.
    """

    def __init__(self, detection: Detection, schema: dict[str, Any]) -> None:
        self._detection = detection
        self._schema = schema
        self._buckets = _Buckets()
        self._carrying: set[ModelKey] = set()
        self._frontier: dict[bytes, bytes] = {}
        self._waiting: list[Group] = []

    def changes(self) -> list[_Record]:
        """The records to be written, None removes one; clears the detection's journal."""
        journal = self._detection.windows.journal
        records: list[_Record] = []
        for span in sorted(journal.released):
            records += self._buckets.rewrite(_span_name(span), ())
        for span in sorted(journal.counted):
            records += self._span(span, journal.counted[span])
        for model in sorted(journal.settled):
            records += self._buckets.rewrite(_name(b"raw", model), ())
        for model in sorted(journal.kept):
            records += self._raw(model, journal.kept[model])
        for model in sorted(journal.forgotten):
            self._carrying.discard(model)
            records += ((_name(kind, model), None) for kind in (b"model", b"carry"))
        for model in sorted(journal.touched):
            records += self._control(model)
        journal.clear()
        frontier = self._frontier_records()
        records += ((key, None) for key in self._frontier if key not in frontier)
        records += (item for item in frontier.items() if self._frontier.get(item[0]) != item[1])
        self._frontier = frontier
        return records

    def restore(self, records: Mapping[bytes, bytes]) -> None:
        """Reads a changelog's live records; `resume` is to follow once profiles are known.

        Raises StateError where another version of this program wrote them.
        """
        if not records:
            return
        detection = self._detection
        frontier = json.loads(records.get(_FRONTIER, b"{}"))
        if frontier.get("v") != _VERSION:
            raise StateError(
                f"the detect agent's state has the format {frontier.get('v')}, this release reads "
                f"{_VERSION}: use the release that wrote it, or `driftstream state reset`"
            )
        self._frontier = {k: v for k, v in records.items() if k.partition(b"/")[0] == _FRONTIER}
        detection.windows.closed_ms = frontier["closed_ms"]
        sources = [json.loads(self._frontier[k]) for k in self._frontier if k != _FRONTIER]
        states = [_source_state(row) for rows in sources for row in rows]
        detection.frontier.restore(frontier["closed_ms"], states)
        for key in sorted(records):
            kind, _, rest = key.partition(b"/")
            if kind == b"model":
                self._restore_control(_model(rest), json.loads(records[key]))
        for key in sorted(records):
            kind, _, rest = key.partition(b"/")
            if kind in {b"span", b"raw", b"carry"}:
                self._restore_groups(kind, rest, decode_partial(records[key], self._schema))
            if kind in {b"span", b"raw"}:
                self._buckets.found(key)

    def resume(self) -> None:
        """Ends a restoration: to be called once profiles and monitors are known."""
        for group in self._waiting:
            self._detection.windows.wait(group)
        self._waiting.clear()
        self._detection.windows.reschedule()

    def _span(self, span: Range, added: Mapping[tuple[ModelKey, str], Tally]) -> Iterator[_Record]:
        name = _span_name(span)
        if self._buckets.crowded(name):
            return self._buckets.rewrite(name, self._encode(list(self._whole(span))))
        groups = [_group(model, profile, span.start_ms, t) for (model, profile), t in added.items()]
        return self._buckets.append(name, self._encode(groups))

    def _whole(self, span: Range) -> Iterator[Group]:
        """All that is known of a span, but for the rows that stand in raw groups."""
        for model, watched in self._detection.windows.models.items():
            for profile, tally in watched.spans.tallies.get(span, {}).items():
                if profile == UNBINNED:
                    waiting = watched.warm.panes.items()
                    inside = (
                        g for at, gs in waiting if span.start_ms <= at < span.end_ms for g in gs
                    )
                    rest = Tally()
                    rest.add_rows(tally)
                    for group in inside:
                        rest.add_rows(unbinned(group), sign=-1)
                    tally = rest
                yield _group(model, profile, span.start_ms, tally)

    def _raw(self, model: ModelKey, added: list[Group]) -> Iterator[_Record]:
        name = _name(b"raw", model)
        if not self._buckets.crowded(name):
            return self._buckets.append(name, self._encode(added))
        warm = self._detection.windows.models[model].warm
        whole = [group for pane_ms in warm.panes for group in warm.groups(pane_ms)]
        return self._buckets.rewrite(name, self._encode(whole))

    def _control(self, model: ModelKey) -> Iterator[_Record]:
        watched = self._detection.windows.models[model]
        spans = watched.spans
        control = {
            "since_ms": spans.since_ms,
            "warmed": watched.warmed_hash,
            "moves": [
                [*move.source, move.before, move.after, move.pane_ms] for move in spans.moves
            ],
            "history": asdict(self._detection.histories.get(model, History())),
        }
        yield _name(b"model", model), _json(control)
        if spans.carry is not None:
            self._carrying.add(model)
            carry = spans.carry
            group = _group(model, carry.profile, carry.start_ms, carry.tally)
            yield _name(b"carry", model), self._encode([group])[0]
        elif model in self._carrying:
            self._carrying.discard(model)
            yield _name(b"carry", model), None

    def _frontier_records(self) -> dict[bytes, bytes]:
        frontier = self._detection.frontier
        rows = [
            [*state.source, state.position, state.watermark_ms, state.told, state.claim]
            for state in frontier.states()
        ]
        records = {_FRONTIER: _json({"v": _VERSION, "closed_ms": frontier.closed_ms})}
        for number, start in enumerate(range(0, len(rows), _SOURCES)):
            records[b"%s/%d" % (_FRONTIER, number)] = _json(rows[start : start + _SOURCES])
        return records

    def _restore_control(self, model: ModelKey, control: dict[str, Any]) -> None:
        watched = self._detection.windows.watched(model)
        watched.spans.since_ms = control["since_ms"]
        watched.warmed_hash = control["warmed"]
        watched.spans.moves = [
            Move(Source(topic, partition), before, after, pane_ms)
            for topic, partition, before, after, pane_ms in control["moves"]
        ]
        history = control["history"]
        incident = history["incident"]
        if incident is not None:
            incident = Incident(**{**incident, "severity": Severity(incident["severity"])})
        recent = tuple((start_ms, dirty) for start_ms, dirty in history["recent"])
        self._detection.histories[model] = History(recent, incident, history["resolved_ms"])

    def _restore_groups(self, kind: bytes, rest: bytes, partial: Partial) -> None:
        windows = self._detection.windows
        for group in partial.groups:
            if kind == b"raw":
                self._waiting.append(group)
            elif kind == b"span":
                start_ms, end_ms, _ = rest.split(b"/")
                span = Range(int(start_ms), int(end_ms))
                windows.hold(group.model, span, group.profile, _tally(group))
            else:
                carry = Carry(group.pane_ms, group.profile, _tally(group))
                windows.watched(group.model).spans.carry = carry
                self._carrying.add(group.model)

    def _encode(self, groups: list[Group]) -> list[bytes]:
        return encode_partials(Partial(tuple(groups), (), (), ()), self._schema, _MAX_BYTES)


def _group(model: ModelKey, profile: str, start_ms: int, tally: Tally) -> Group:
    counts = np.zeros(0, dtype=np.int64) if tally.counts is None else tally.counts
    numbers = (tally.rows, tally.feature_rows, tally.late_rows, tally.unknown_features)
    return Group(model, profile, start_ms, *numbers, counts)


def _tally(group: Group) -> Tally:
    tally = unbinned(group)
    tally.counts = None if group.profile == UNBINNED else group.count_vector()
    return tally


def _name(kind: bytes, model: ModelKey) -> bytes:
    return kind + b"/" + _json(list(model))


def _model(rest: bytes) -> ModelKey:
    return ModelKey(*json.loads(rest))


def _span_name(span: Range) -> bytes:
    return b"span/%d/%d" % span


def _source_state(row: Sequence[Any]) -> SourceState:
    topic, partition, position, watermark_ms, told, claim = row
    return SourceState(
        Source(topic, partition),
        position,
        watermark_ms,
        tuple((w, k) for w, k in told),
        None if claim is None else (claim[0], claim[1]),
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
