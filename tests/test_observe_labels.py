"""The observe agent with labels: how far one topic is read ahead of the other decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from stream.adapters.monitors import encode_monitors
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.records import Kind, Source
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Broadcast
from tests.observe_agents import partials_of
from tests.slices import Record, slice_of

HOUR_MS = 3_600_000
START_MS = 1_767_571_200_000
PREDICTIONS, LABELS = Source("predictions", 0), Source("labels", 0)
SETTINGS = ObserveSettings(
    sources=("predictions", "labels"),
    partitions=1,
    partials_partitions=1,
    times=TimeSpec(early_label_horizon_ms=HOUR_MS),
    limits=DecodeLimits(),
)
MONITOR = MonitorSpec(
    model="credit",
    labels=LabelRule(kind="binary", classes=("0", "1"), horizon_ms=HOUR_MS),
)
ROWS, EVERY_MS, DELAY_MS = 240, 2 * 60_000, 10 * 60_000  # eight hours, and labels soon after


class _Pending(SilentObserveObserver):
    """Remembers how many predictions are kept."""

    def __init__(self) -> None:
        self.predictions = 0

    def pending(self, task: int, predictions: int, labels: int) -> None:
        """What the agent tells at each commit."""
        self.predictions = predictions


def _agent(observer: _Pending, max_pending: int = 1_000_000) -> ObserveAgent:
    agent = ObserveAgent(replace(SETTINGS, max_pending=max_pending), observer=observer)
    agent.hear([Broadcast("monitors", 0, START_MS, b"credit", encode_monitors((MONITOR,)))])
    agent.assign(0, {PREDICTIONS: 0, LABELS: 0}, {})
    return agent


def _rows(source: Source, delay_ms: int, **fields: object) -> list[Record]:
    records = []
    for number in range(ROWS):
        at_ms = START_MS + number * EVERY_MS + delay_ms
        body = {"prediction_id": f"id-{number}", "event_time_ms": at_ms, **fields}
        key = f"id-{number}".encode()
        records.append(Record(source, number, at_ms, orjson.dumps(body), key))
    return records


def _outcomes(slices: Sequence[list[Record]]) -> Counter[int]:
    """First outcomes by pane, each slice being stepped and committed."""
    agent, found = _agent(_Pending()), Counter[int]()
    positions = {PREDICTIONS: 0, LABELS: 0}
    for records in slices:
        agent.step(slice_of(records), START_MS)
        for record in records:
            positions[record.source] = record.offset + 1
        for partial in partials_of(list(agent.commit(positions, START_MS).outputs)):
            for group in partial.groups:
                if group.kind is Kind.OUTCOME:
                    found[group.pane_ms] += group.rows
    return found


PREDICTED = _rows(PREDICTIONS, 0, model="credit", version="1", features={}, prediction=1)
LABELLED = _rows(LABELS, DELAY_MS, label=1)


@pytest.mark.parametrize("size", [1, 7, ROWS])
def test_predictions_read_hours_before_the_first_label_are_joined(size: int) -> None:
    by_time = sorted([*PREDICTED, *LABELLED], key=lambda record: record.timestamp_ms)
    expected = _outcomes([[record] for record in by_time])
    assert expected.total() == ROWS
    ahead = [PREDICTED[i : i + size] for i in range(0, ROWS, size)]
    assert _outcomes([*ahead, LABELLED]) == expected
    assert _outcomes([LABELLED, *ahead]) == expected


def test_a_first_label_long_after_its_partition_was_read_to_the_end_is_joined() -> None:
    agent = _agent(_Pending())
    agent.step(slice_of(PREDICTED, ends=((LABELS, 0),)), START_MS)
    positions = {PREDICTIONS: ROWS, LABELS: 0}
    for hours in range(48):
        agent.commit(positions, START_MS + hours * HOUR_MS)
    agent.step(slice_of(LABELLED), START_MS)
    partials = partials_of(list(agent.commit({**positions, LABELS: ROWS}, START_MS).outputs))
    groups = [group for partial in partials for group in partial.groups]
    assert sum(group.rows for group in groups if group.kind is Kind.OUTCOME) == ROWS


def test_without_any_labels_what_is_past_goes_when_room_gets_short() -> None:
    observer = _Pending()
    agent = _agent(observer, max_pending=ROWS)
    agent.step(slice_of(PREDICTED), START_MS)
    agent.commit({PREDICTIONS: ROWS, LABELS: 0}, START_MS)
    assert observer.predictions == ROWS  # labels may be there: they have not been read
    agent.step(slice_of([], ends=((LABELS, 0),)), START_MS)
    agent.step(slice_of([PREDICTED[-1]._replace(offset=ROWS)]), START_MS)
    agent.commit({PREDICTIONS: ROWS + 1, LABELS: 0}, START_MS)
    assert 0 < observer.predictions < ROWS / 2
