"""Streams of predictions and labels for hypothesis, on the edges of the join's rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson
import pandas as pd
from hypothesis import strategies as st

from stream.core.records import ModelKey, Source
from tests.detect_world import PANE
from tests.slices import Record

TASKS = 2
BEGIN = 96 * PANE
END = BEGIN + 100 * PANE  # a last row and a last label a partition close everything before
SLACK, SKEW, EARLY = 500, 3_000, 2_000
MODELS = (ModelKey("credit", "3"), ModelKey("credit", "4"), ModelKey("fraud", ""))
HORIZON = {"credit": 4_000, "fraud": 1_500}
VALUES: dict[str, tuple[list[Any], list[Any]]] = {  # predictions and labels, by kind
    "binary": ([0, 1, "1", True], [0, 1, 0, 1, "1", 1.0, True, 0.0, "0", None, "maybe", 7]),
    "multiclass": (
        ["cat", "dog", "eel", "newt", None],
        ["cat", "dog", "eel", "dog", "fox", 7, "7", 7.0, None],
    ),
    "regression": ([0.5, 2, -3.25, 10.125], [0, 0.5, 1, 1.0, 2.5, -4, "1", None, "none"]),
}

_INT = ["partition", "offset", "kafka_ms", "event_ms"]
_ROW = {
    "predictions": [*_INT, "id", "model", "version", "prediction", "score", "group"],
    "labels": [*_INT, "id", "label", "model"],
}


@dataclass(frozen=True)
class Streams:
    """The topics' records, and the same rows as `join_pandas` wants them."""

    queues: dict[Source, list[Record]]
    predictions: pd.DataFrame = field(repr=False)
    labels: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class Item:
    """A record on its way to a partition; no row: one that can't be read."""

    source: Source
    event_ms: int
    lag_ms: int
    row: dict[str, Any]
    burst: bool = False

    @property
    def arrives_ms(self) -> int:
        arrives_ms = self.event_ms + self.lag_ms
        return -(-arrives_ms // (6 * PANE)) * 6 * PANE if self.burst else arrives_ms


# When a row is appended, after its event: in and out of order, and by clocks that run ahead.
_LAGS = st.sampled_from(
    [0, 0, 0, 0, 0, 100, 100, 300, 300, 700, 4_000, 9_000, -900, -SKEW, -SKEW - 1, -60_000]
)
_AFTER_PREDICTION = st.sampled_from(
    [0, 0, 0, 200, 900, 1_500, 1_501, 2_000, 4_000, 4_001, 4_500, 8_002]
)
_AFTER_REQUEST = st.sampled_from(
    [-2_001, -2_000, -1_500, -300, 0, 1, 500, 1_000, 1_500, 1_501, 3_000, 3_999, 4_000, 4_001]
)
_TIME = st.builds(
    lambda step, edge: BEGIN + 250 * step + edge,
    st.integers(0, 48),
    st.sampled_from([0, 0, 0, -1, 1]),
)
_SCORES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.5, 0.75, 0.9375, 1.0, None])
_TAGS = st.sampled_from(["a", "a", "b", "elsewhere", None])


@st.composite
def streams(draw: st.DrawFn, kind: str) -> Streams:
    """Up to sixteen requests, with predictions and labels each; and a few unreadable records."""
    items: list[Item] = []
    for number in range(draw(st.integers(1, 16))):
        items += draw(_request(kind, number))
    for source in draw(st.lists(st.sampled_from(_sources()), max_size=2)):
        items.append(Item(source, draw(_TIME), 0, {}))
    return streams_of(items)


@st.composite
def _request(draw: st.DrawFn, kind: str, number: int) -> list[Item]:
    """Predictions and labels of one id."""
    task, time_ms = draw(st.integers(0, TASKS - 1)), draw(_TIME)
    id_ = str(UUID(int=number << 64 | 7)) if number % 2 else f"request {number}"
    predicted, labelled = VALUES[kind]
    items = []
    for _ in range(draw(st.integers(0, 4))):
        model = draw(st.sampled_from(MODELS))
        row: dict[str, Any] = {"id": id_, "model": model.model, "version": model.version}
        row |= {"prediction": draw(st.sampled_from(predicted)), "group": draw(_TAGS)}
        row["score"] = draw(_SCORES) if kind == "binary" else None
        event_ms = time_ms + draw(_AFTER_PREDICTION)
        items.append(Item(Source("predictions", task), event_ms, draw(_LAGS), row))
    burst = draw(st.booleans())
    for _ in range(draw(st.integers(0, 4))):
        row = {"id": id_, "label": draw(st.sampled_from(labelled))}
        row["model"] = draw(st.sampled_from([None, None, None, "credit", "fraud"]))
        astray = draw(st.integers(0, 15)) == 15
        source = Source("labels", (task + astray) % TASKS)
        items.append(Item(source, time_ms + draw(_AFTER_REQUEST), draw(_LAGS), row, burst))
    at_the_end = draw(st.booleans())
    if items and at_the_end:
        items += draw(_at_the_end(items[-1], id_, Source("labels", task), labelled))
    return items


@st.composite
def _at_the_end(
    draw: st.DrawFn, last: Item, id_: str, source: Source, labelled: list[Any]
) -> list[Item]:
    """A label when the watermark is at the end of the pane of the last row, or a millisecond off.

    Another label before it brings the watermark there.
    """
    end_ms = (last.event_ms // PANE + 1) * PANE
    there_ms = end_ms + SLACK + draw(st.sampled_from([-1, 0, 0, 1]))
    mover = {"id": f"before {id_}", "label": None, "model": None}
    row = {"id": id_, "label": draw(st.sampled_from(labelled)), "model": None}
    return [Item(source, there_ms, 0, mover), Item(source, there_ms, 1, row)]


def _sources() -> list[Source]:
    return [Source(topic, task) for topic in _ROW for task in range(TASKS)]


def streams_of(items: Sequence[Item]) -> Streams:
    """The items by source in the order of their arrival, and two last ones a partition."""
    by_source: dict[Source, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.arrives_ms):
        by_source[item.source].append(item)
    queues: dict[Source, list[Record]] = {}
    rows: dict[str, list[dict[str, Any]]] = {topic: [] for topic in _ROW}
    for source in _sources():
        queue = queues[source] = []
        for item in [*by_source[source], *_last(source)]:
            place = {"partition": source.partition, "offset": len(queue)}
            queue.append(Record(source, len(queue), item.arrives_ms, _json(item)))
            if item.row:
                times = {"kafka_ms": item.arrives_ms, "event_ms": item.event_ms}
                rows[source.topic].append({**item.row, **place, **times})
    frames = {
        topic: pd.DataFrame(rows[topic], columns=columns, dtype=object).astype(
            dict.fromkeys(_INT, "int64")
        )
        for topic, columns in _ROW.items()
    }
    return Streams(queues, frames["predictions"], frames["labels"])


def _last(source: Source) -> list[Item]:
    row: dict[str, Any] = {"id": "last", "label": None, "model": None}
    if source.topic == "predictions":
        row = {"id": "last", "model": "credit", "version": "3", "prediction": None}
        row |= {"score": None, "group": None}
    last = Item(source, END, 0, row)
    return [last, replace(last, event_ms=END + 1, row={**row, "id": "the very last"})]


def _json(item: Item) -> bytes:
    if not item.row:
        return b'{"prediction_id": '
    row = {**item.row, "event_time_ms": item.event_ms}
    row["prediction_id"] = row.pop("id")
    if item.source.topic == "labels" and row["model"] is None:
        del row["model"]
    if item.source.topic == "predictions":
        group = row.pop("group")
        row |= {"features": {"x": 0.5}, "tags": {} if group is None else {"group": group}}
        row = {name: value for name, value in row.items() if value is not None}
    return orjson.dumps(row)
