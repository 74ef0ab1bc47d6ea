"""Labels that wait in vain, each counted once, restarts or not."""

from __future__ import annotations

import orjson
import pytest

from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.records import Source
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec, TimeSpec
from tests.label_flow import Counts
from tests.slices import Record, row_json, slice_of

_MINUTE_MS = 60_000
_NOW = 1_767_571_200_000
_PREDICTIONS, _LABELS = Source("predictions", 0), Source("labels", 0)
_SETTINGS = ObserveSettings(
    sources=("predictions", "labels"),
    partitions=1,
    partials_partitions=1,
    times=TimeSpec(out_of_orderness_ms=10 * _MINUTE_MS, early_label_horizon_ms=_MINUTE_MS),
    limits=DecodeLimits(),
    monitor=MonitorSpec(labels=LabelRule(kind="binary", classes=("0", "1"))),
)


class _Worker:
    """An agent, and the changelog of its task."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._positions = {_PREDICTIONS: 0, _LABELS: 0}
        self._log: dict[bytes, bytes] = {}
        self.restart()

    def restart(self) -> None:
        self._agent = ObserveAgent(_SETTINGS, observer=self.counts)
        self._agent.assign(0, self._positions, self._log)

    def take(self, source: Source, prediction_id: str, minutes: int) -> None:
        """One row, and a commit."""
        at_ms, offset = _NOW + minutes * _MINUTE_MS, self._positions[source]
        value = row_json(prediction_id, at_ms)
        if source == _LABELS:
            row = {"prediction_id": prediction_id, "label": 1, "event_time_ms": at_ms}
            value = orjson.dumps(row)
        record = Record(source, offset, at_ms, value, prediction_id.encode())
        self._agent.step(slice_of([record]), _NOW)
        self._positions[source] += 1
        for change in self._agent.commit(self._positions, _NOW).changes:
            if change.value is None:
                del self._log[change.key]
            else:
                self._log[change.key] = change.value


@pytest.mark.parametrize("restarts", [False, True])
def test_a_label_that_comes_too_late_to_wait_counts_whatever_waited_before(restarts: bool) -> None:
    worker = _Worker()
    worker.take(_LABELS, "a", 0)
    worker.take(_PREDICTIONS, "a", 0)  # what became of the label is a record of its own
    worker.take(_LABELS, "b", 9)
    worker.take(_PREDICTIONS, "c", 15)  # the first label waits no more, the second one does
    for place in range(2):
        if restarts:
            worker.restart()
        worker.take(_LABELS, f"late-{place}", 0)
    if restarts:
        worker.restart()
    worker.take(_PREDICTIONS, "d", 60)
    worker.take(_PREDICTIONS, "e", 61)
    assert worker.counts.events["joined"] == 1
    assert worker.counts.events["unmatched"] == 3
