"""The design's table of the join in plain Python: each pair from whole histories, no state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.core.join import JoinEvent
from stream.core.labels import Form
from stream.core.outcomes import Change

Value = tuple[int, int]
NULL: Value = (Form.NULL, 0)


class Prediction(NamedTuple):
    task: int
    id: int
    model: str
    version: str
    horizon_ms: int
    time_ms: int
    code: int


class Label(NamedTuple):
    task: int
    id: int
    time_ms: int
    watermark_ms: int
    value: Value
    model: str | None
    late: bool
    offset: int


class Outcome(NamedTuple):
    task: int
    id: int
    model: str
    version: str
    code: int
    value: Value
    time_ms: int
    delay_ms: int
    change: Change
    late: bool
    offset: int


@dataclass
class Joined:
    duplicate: list[bool]
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    tally: Counter[tuple[int, JoinEvent]] = field(default_factory=Counter)


def oracle(
    predictions: list[Prediction], labels: list[Label], pane_ms: int, early_ms: int
) -> Joined:
    """What comes of these rows, given in offset order within each task."""
    accepted: dict[tuple[int, int, str, str], list[Prediction]] = {}
    joined = Joined([])
    for row in predictions:
        known = accepted.setdefault((row.task, row.id, row.model, row.version), [])
        again = any(row.time_ms <= first.time_ms + first.horizon_ms for first in known)
        joined.duplicate.append(again)
        if again:
            joined.tally[row.task, JoinEvent.DUPLICATE] += 1
        else:
            known.append(row)
    met: dict[Prediction, list[Label]] = {}
    for label in labels:
        found = False
        for (task, id_, model, _), rows in accepted.items():
            if (task, id_) != (label.task, label.id) or label.model not in {None, model}:
                continue
            good = [row for row in rows if _match(row, label, early_ms)]
            if good:
                found = True
                met.setdefault(min(good, key=lambda row: row.time_ms), []).append(label)
        if not found:
            joined.tally[label.task, JoinEvent.UNMATCHED] += 1
    for prediction, history in met.items():
        _follow(prediction, history, pane_ms, joined)
    return joined


def _match(row: Prediction, label: Label, early_ms: int) -> bool:
    return label.time_ms <= row.time_ms + row.horizon_ms and row.time_ms <= label.time_ms + early_ms


def _follow(row: Prediction, history: list[Label], pane_ms: int, joined: Joined) -> None:
    first_ms = delay_ms = 0
    force: Value | None = None

    def say(value: Value, change: Change, label: Label) -> None:
        late = label.late and change is Change.FIRST
        where = (row.task, row.id, row.model, row.version, row.code)
        joined.outcomes[Outcome(*where, value, first_ms, delay_ms, change, late, label.offset)] += 1

    for label in history:
        if force is None:
            if label.value == NULL:
                event = JoinEvent.NULL_FIRST
            else:
                event = JoinEvent.JOINED
                first_ms = max(label.time_ms, row.time_ms)
                delay_ms = max(0, label.time_ms - row.time_ms)
                force = label.value
                say(force, Change.FIRST, label)
        elif label.value == force:
            event = JoinEvent.DUPLICATE_LABEL
        elif (first_ms // pane_ms + 1) * pane_ms > label.watermark_ms:
            event = JoinEvent.CORRECTION
            if force != NULL:
                say(force, Change.OUT, label)
            if label.value != NULL:
                say(label.value, Change.IN, label)
            force = label.value
        else:
            event = JoinEvent.CORRECTION_LATE
        joined.tally[row.task, event] += 1
