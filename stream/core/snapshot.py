"""A detect task's state as changelog records: immutable chunks of counts, small control records.

    frontier                         the closed ends, and the format of all of this
    frontier/KIND/N                  what is known of the sources, some in each record
    subject/[model, version, segment]          where its spans begin, incidents, what windows need
    moves/KIND/[…]/SEQUENCE          moves noted since the commit before
    carry/KIND/[…]                   rows too few to be scored, for the subject's next window
    span/KIND/START/END/SEQUENCE     rows added to a span since the commit before, of all subjects
    raw/[model, version]/SEQUENCE    raw groups that wait for a profile

KIND is `data` or `outcomes`. A bucket (what has sequences) of many records is rewritten as one
content, the old records removed in the same commit; one that nobody needs is removed whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stream.core.changelog import CROWDED, Buckets, Record
from stream.core.control import (
    as_json,
    control,
    moves_json,
    moves_of,
    restore_control,
    subject_of,
)
from stream.core.errors import StateError
from stream.core.pane.frontier import Frontier, SourceState
from stream.core.pane.open import OpenWindows
from stream.core.pane.partial import decode_partial, encode_partials
from stream.core.pane.spans import UNBINNED, Carry, Counted, Subject, Tally
from stream.core.pane.warmup import unbinned
from stream.core.pane.window import Range
from stream.core.pipeline import Detection
from stream.core.records import Group, ModelKey, Partial, Source

__all__ = ["Snapshot"]

_VERSION = 5
_FRONTIER = b"frontier"
_DATA, _OUTCOMES = b"data", b"outcomes"
_MAX_BYTES = 800_000  # a record: below any broker's message.max.bytes
_SOURCES = 50  # in one record, each with at most a few hundred watermarks


class Snapshot:
    """Writes what changed in a detection since the last time, and gives all of it back.

    `schema` is the parsed pane_partial schema: chunks of counts have its form. Restored and
    resumed, a detection goes on as if it had never stopped.
    """

    def __init__(
        self, detection: Detection, schema: dict[str, Any], crowded: int = CROWDED
    ) -> None:
        self._detection = detection
        self._schema = schema
        self._buckets = Buckets(crowded)
        self._carrying: set[bytes] = set()
        self._frontier: dict[bytes, bytes] = {}
        self._waiting: list[Group] = []

    def changes(self) -> list[Record]:
        """The records to be written, None removes one; clears the detection's journals."""
        data = self._detection.windows.open.journal
        records = [*self._windows(_DATA), *self._windows(_OUTCOMES)]
        for model in sorted(data.settled):
            records += self._buckets.rewrite(_name(b"raw", model), ())
        for model in sorted(data.kept):
            records += self._raw(model, data.kept[model])
        journals = (data, self._detection.outcomes.journal)
        touched = {subject for journal in journals for subject in journal.touched}
        forgotten = {subject for journal in journals for subject in journal.forgotten}
        records += ((_name(b"subject", subject), None) for subject in sorted(forgotten - touched))
        for subject in sorted(touched):
            value = as_json(control(self._detection, subject))
            records.append((_name(b"subject", subject), value))
        for journal in journals:
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
        frontier = json.loads(records.get(_FRONTIER, b"{}"))
        if frontier.get("v") != _VERSION:
            raise StateError(
                f"the detect agent's state has the format {frontier.get('v')}, this release reads "
                f"{_VERSION}: use the release that wrote it, or `driftstream state reset`"
            )
        self._frontier = {k: v for k, v in records.items() if k.partition(b"/")[0] == _FRONTIER}
        for kind in (_DATA, _OUTCOMES):
            self._restore_frontier(kind, *frontier[kind.decode()])
        for key in sorted(records):
            kind, _, rest = key.partition(b"/")
            if kind == b"subject":
                restore_control(self._detection, subject_of(rest), json.loads(records[key]))
        for key in sorted(records):
            kind, _, rest = key.partition(b"/")
            if kind in {b"span", b"raw", b"carry"}:
                self._restore_groups(kind, rest, decode_partial(records[key], self._schema))
            if kind == b"moves":
                self._restore_moves(rest, records[key])
            if kind in {b"span", b"raw", b"moves"}:
                self._buckets.found(key)

    def resume(self) -> None:
        """Ends a restoration: to be called once profiles and monitors are known."""
        for group in self._waiting:
            self._detection.windows.wait(group)
        self._waiting.clear()
        self._detection.reschedule()

    def _opened(self, kind: bytes) -> OpenWindows:
        detection = self._detection
        return detection.windows.open if kind == _DATA else detection.outcomes

    def _windows(self, kind: bytes) -> Iterator[Record]:
        windows = self._opened(kind)
        journal = windows.journal
        for span in sorted(journal.released):
            yield from self._buckets.rewrite(_span_name(kind, span), ())
        for span in sorted(journal.counted):
            yield from self._span(kind, span, journal.counted[span])
        for subject in sorted(journal.unmoved):
            strand = windows.strands.get(subject)
            moves = [] if strand is None else strand.spans.moves
            name = b"moves/%s" % _name(kind, subject)
            yield from self._buckets.rewrite(name, [moves_json(moves)] if moves else ())
        for subject in sorted(journal.moved):
            if subject not in journal.unmoved:
                yield from self._moves(kind, subject)
        for subject in sorted(journal.touched | journal.forgotten):
            yield from self._carry(kind, subject)

    def _span(
        self, kind: bytes, span: Range, added: Mapping[tuple[Subject, Counted], Tally]
    ) -> Iterator[Record]:
        name = _span_name(kind, span)
        if self._buckets.crowded(name):
            return self._buckets.rewrite(name, self._encode(list(self._whole(kind, span))))
        groups = [_group(*of, span.start_ms, tally) for of, tally in added.items()]
        return self._buckets.append(name, self._encode(groups))

    def _whole(self, kind: bytes, span: Range) -> Iterator[Group]:
        """All that is known of a span, but for the rows that stand in raw groups."""
        for subject, strand in self._opened(kind).strands.items():
            for counted, tally in strand.spans.tallies.get(span, {}).items():
                if counted == UNBINNED and not subject.segment:
                    tally = self._without_waiting(subject.model, span, tally)
                yield _group(subject, counted, span.start_ms, tally)

    def _without_waiting(self, model: ModelKey, span: Range, tally: Tally) -> Tally:
        rest = Tally()
        rest.add_rows(tally)
        warming = self._detection.windows.warming.get(model)
        for at_ms, groups in {} if warming is None else warming.waiting.panes.items():
            if span.start_ms <= at_ms < span.end_ms:
                for group in groups:
                    rest.add_rows(unbinned(group), sign=-1)
        return rest

    def _raw(self, model: ModelKey, added: list[Group]) -> Iterator[Record]:
        name = _name(b"raw", model)
        if not self._buckets.crowded(name):
            return self._buckets.append(name, self._encode(added))
        waiting = self._detection.windows.warming[model].waiting
        whole = [group for pane_ms in waiting.panes for group in waiting.groups(pane_ms)]
        return self._buckets.rewrite(name, self._encode(whole))

    def _moves(self, kind: bytes, subject: Subject) -> Iterator[Record]:
        windows, name = self._opened(kind), b"moves/%s" % _name(kind, subject)
        if self._buckets.crowded(name):
            return self._buckets.rewrite(name, [moves_json(windows.strands[subject].spans.moves)])
        return self._buckets.append(name, [moves_json(windows.journal.moved[subject])])

    def _carry(self, kind: bytes, subject: Subject) -> Iterator[Record]:
        strand = self._opened(kind).strands.get(subject)
        carry = None if strand is None else strand.spans.carry
        key = b"carry/%s" % _name(kind, subject)
        if carry is not None:
            self._carrying.add(key)
            group = _group(subject, carry.counted, carry.start_ms, carry.tally)
            yield key, self._encode([group])[0]
        elif key in self._carrying:
            self._carrying.discard(key)
            yield key, None

    def _frontier_records(self) -> dict[bytes, bytes]:
        detection = self._detection
        head: dict[str, Any] = {"v": _VERSION}
        records = {_FRONTIER: b""}
        both = ((_DATA, detection.frontier), (_OUTCOMES, detection.outcome_frontier))
        for kind, frontier in both:
            opened = self._opened(kind)
            head[kind.decode()] = [opened.closed_ms, opened.settled_ms, opened.last_pane_ms]
            rows = [list(state) for state in frontier.states()]
            for number, start in enumerate(range(0, len(rows), _SOURCES)):
                key = b"%s/%s/%d" % (_FRONTIER, kind, number)
                records[key] = as_json(rows[start : start + _SOURCES])
        records[_FRONTIER] = as_json(head)
        return records

    def _restore_frontier(self, kind: bytes, closed_ms: int, *rest: int) -> None:
        windows, detection = self._opened(kind), self._detection
        windows.closed_ms, (windows.settled_ms, windows.last_pane_ms) = closed_ms, rest
        prefix = b"%s/%s/" % (_FRONTIER, kind)
        chunks = [json.loads(v) for k, v in self._frontier.items() if k.startswith(prefix)]
        frontier: Frontier = detection.frontier if kind == _DATA else detection.outcome_frontier
        frontier.restore(closed_ms, [_source_state(row) for rows in chunks for row in rows])

    def _restore_moves(self, rest: bytes, value: bytes) -> None:
        kind, _, name = rest.partition(b"/")
        subject = subject_of(name.rpartition(b"/")[0])
        for move in moves_of(value):
            self._opened(kind).strand(subject).spans.moved(move)

    def _restore_groups(self, what: bytes, rest: bytes, partial: Partial) -> None:
        if what == b"raw":
            self._waiting += partial.groups
            return
        kind, _, where = rest.partition(b"/")
        windows = self._opened(kind)
        for group in partial.groups:
            subject, counted = (
                Subject(group.model, group.segment),
                Counted(group.kind, group.profile),
            )
            if what == b"span":
                start_ms, end_ms, _ = where.split(b"/")
                span = Range(int(start_ms), int(end_ms))
                windows.hold(subject, span, counted, _tally(group))
            else:
                carry = Carry(group.pane_ms, counted, _tally(group))
                windows.strand(subject).spans.carry = carry
                self._carrying.add(b"carry/" + rest)

    def _encode(self, groups: list[Group]) -> list[bytes]:
        return encode_partials(
            Partial(self._detection.pane_ms, tuple(groups), (), (), ()), self._schema, _MAX_BYTES
        )


def _group(subject: Subject, counted: Counted, start_ms: int, tally: Tally) -> Group:
    counts = np.zeros(0, dtype=np.int64) if tally.counts is None else tally.counts
    return Group(
        subject.model,
        counted.by,
        start_ms,
        tally.rows,
        tally.feature_rows,
        tally.late_rows,
        tally.unknown_features,
        counts,
        width=len(counts),
        kind=counted.kind,
        segment=subject.segment,
        duplicate_rows=tally.duplicate_rows,
        unkept_rows=tally.unkept_rows,
    )


def _tally(group: Group) -> Tally:
    tally = unbinned(group)
    counted = Counted(group.kind, group.profile)
    tally.counts = None if counted == UNBINNED else group.count_vector()
    return tally


def _name(kind: bytes, model: Sequence[Any]) -> bytes:
    flat = [*model[0], *model[1:]] if isinstance(model, Subject) else list(model)
    return kind + b"/" + as_json(flat)


def _span_name(kind: bytes, span: Range) -> bytes:
    return b"span/%s/%d/%d" % (kind, *span)


def _source_state(row: Sequence[Any]) -> SourceState:
    source, position, watermark_ms, told, claim = row
    return SourceState(
        Source(*source),
        position,
        watermark_ms,
        tuple((w, k) for w, k in told),
        None if claim is None else (claim[0], claim[1], claim[2]),
    )
