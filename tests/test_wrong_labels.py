"""Labels that their model cannot have: a dead letter a record, whatever waited or came in bulk."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stream import schemas
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.agents.observe.observer import SilentObserveObserver
from stream.core.decode import DecodeLimits
from stream.core.records import Output, Source
from tests.decode_rows import ARROW, arrow_bytes
from tests.detect_outcomes import PROFILE
from tests.detect_world import PANE, TIMES, profile_broadcast
from tests.slices import Record, row_json, slice_of

TOPICS = ("predictions", "labels")
PREDICTIONS, LABELS = Source("predictions", 0), Source("labels", 0)
AT_MS = 50 * PANE


class _Rejections(SilentObserveObserver):
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def rejected(self, reason: str, count: int) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count


def _agent(observer: _Rejections) -> ObserveAgent:
    settings = ObserveSettings(TOPICS, 1, 1, TIMES, DecodeLimits())
    agent = ObserveAgent(settings, observer=observer)
    agent.hear([profile_broadcast(PROFILE)])
    agent.assign(0, dict.fromkeys((PREDICTIONS, LABELS), 0), {})
    return agent


def _prediction(offset: int, prediction_id: str) -> Record:
    value = row_json(prediction_id, AT_MS, version="3", features={"x": 0.5}, score=0.5)
    return Record(PREDICTIONS, offset, AT_MS, value, prediction_id.encode())


def _labels(offset: int, ids: list[str], values: list[str]) -> Record:
    columns = {
        "prediction_id": pa.array(ids),
        "label": pa.array(values),
        "event_time_ms": pa.array([AT_MS] * len(ids)),
    }
    headers = [("content-type", ARROW.encode())]
    return Record(LABELS, offset, AT_MS, arrow_bytes(columns, None), None, headers)


def _letters(outputs: list[Output]) -> list[dict[str, Any]]:
    letters = [o.value or b"" for o in outputs if o.topic == "dead-letters"]
    return [schemas.decode_avro("dead_letter", letter) for letter in letters]


def test_a_batch_of_wrong_labels_is_one_letter_and_each_of_them_counts() -> None:
    observer = _Rejections()
    agent = _agent(observer)
    ids = [f"id-{number}" for number in range(50)]
    agent.step(slice_of([_prediction(n, name) for n, name in enumerate(ids)]), AT_MS)
    batches = [_labels(4, ids[:40], ["maybe"] * 39 + ["1"]), _labels(5, ids[40:], ["never"] * 10)]
    letters = _letters(list(agent.step(slice_of(batches), AT_MS)))
    assert [(one["topic"], one["offset"], one["reason"]) for one in letters] == [
        ("labels", 4, "wrong_label"),
        ("labels", 5, "wrong_label"),
    ]
    assert [letter["value"] for letter in letters] == [batch.value for batch in batches]
    assert observer.counts == {"wrong_label": 49}


def test_the_letter_of_a_label_that_had_waited_holds_its_position() -> None:
    observer = _Rejections()
    agent = _agent(observer)
    assert not agent.step(slice_of([_labels(7, ["a"], ["maybe"])]), AT_MS)
    (letter,) = _letters(list(agent.step(slice_of([_prediction(0, "a")]), AT_MS)))
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("labels", 0, 7)
    assert letter["value"] is None and letter["truncated"]
    assert "neither '0' nor '1'" in letter["detail"]
    assert observer.counts == {"wrong_label": 1}
