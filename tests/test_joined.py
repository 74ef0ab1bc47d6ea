"""Predictions put out with their labels, from every format, corrected, retracted and restored."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from stream import schemas
from stream.adapters.monitors import encode_monitors
from stream.agents.observe.agent import ObserveAgent, ObserveSettings
from stream.core.decode import DecodeLimits
from stream.core.labels import LabelKind
from stream.core.records import Header, ModelKey, Output, Source
from stream.core.rules import LabelRule
from stream.core.specs import MonitorSpec, TimeSpec
from stream.engine.agent import Broadcast
from tests.decode_rows import ARROW, arrow_bytes
from tests.slices import Record, row_json, slice_of

NOW = 1_000_000
UUID = "0190a1b2-0000-7000-8000-00000000002a"
IDS = ["plain", UUID, "Größe/№ 7"]
SETTINGS = ObserveSettings(
    sources=("predictions", "labels"),
    partitions=1,
    partials_partitions=1,
    times=TimeSpec(
        pane_ms=1_000,
        out_of_orderness_ms=500,
        max_clock_skew_ms=2_000,
        idle_after_ms=6_000,
        max_hold_ms=60_000,
    ),
    limits=DecodeLimits(max_clock_skew_ms=2_000),
)
BINARY = LabelRule(kind=LabelKind.BINARY, classes=("deny", "approve"), positive="approve")
MULTI = LabelRule(kind=LabelKind.MULTICLASS, classes=("approve", "deny", "refer"))
FEATURES = {"age": 41.5, "state": "CA"}
AT = [NOW + 100 * place for place in range(len(IDS))]


def _agent(rule: LabelRule) -> ObserveAgent:
    agent = ObserveAgent(SETTINGS)
    monitor = encode_monitors((MonitorSpec(model="credit", labels=rule, joined=True),))
    agent.hear([Broadcast("monitors", 0, NOW, b"credit", monitor)])
    return agent


def _row(place: int, score: Any) -> bytes:
    return row_json(
        IDS[place], AT[place], features=FEATURES, prediction="approve", score=score, tags={"a": "b"}
    )


def _predictions(form: str, score: Any) -> list[Record]:
    source = Source("predictions", 0)
    if form == "arrow":
        named = score if isinstance(score, dict) else {"": score}
        columns = {
            "prediction_id": pa.array(IDS),
            "event_time_ms": pa.array(AT),
            "features.age": pa.array([41.5] * 3),
            "features.state": pa.array(["CA"] * 3),
            "prediction": pa.array(["approve"] * 3),
            "tags.a": pa.array(["b"] * 3),
        }
        columns |= {
            f"score.{name}".rstrip("."): pa.array([share] * 3) for name, share in named.items()
        }
        headers: list[Header] = [("content-type", ARROW.encode())]
        value = arrow_bytes(columns, ModelKey("credit", "1"))
        return [Record(source, 0, NOW + 300, value, None, headers)]
    rows = [_row(place, score) for place in range(3)]
    if form == "json":
        return [Record(source, i, NOW + 300, row, IDS[i].encode()) for i, row in enumerate(rows)]
    whole = [
        schemas.encode_avro("prediction", schemas.decode_json("prediction", row)) for row in rows
    ]
    avro: list[Header] = [("content-type", b"application/avro")]
    return [Record(source, i, NOW + 300, row, None, avro) for i, row in enumerate(whole)]


def _label(offset: int, prediction_id: str, label: object) -> Record:
    at = NOW + 1_000 + offset
    row = {"prediction_id": prediction_id, "label": label, "event_time_ms": at}
    return Record(Source("labels", 0), offset, at, orjson.dumps(row), prediction_id.encode())


def _told(outputs: list[Output]) -> list[dict[str, Any]]:
    joined = [output for output in outputs if output.topic == "joined"]
    records = [schemas.decode_json("joined", output.value or b"") for output in joined]
    assert [output.key for output in joined] == [r["prediction_id"].encode() for r in records]
    return records


@pytest.mark.parametrize("form", ["json", "avro", "arrow"])
@pytest.mark.parametrize(
    ("rule", "score"), [(BINARY, 0.75), (MULTI, {"approve": 0.5, "deny": 0.25, "refer": 0.25})]
)
@pytest.mark.parametrize("restarts", [False, True])
def test_a_joined_record_is_the_prediction_as_sent_with_its_label(
    form: str, rule: LabelRule, score: Any, restarts: bool
) -> None:
    agent = _agent(rule)
    sources = {Source(topic, 0): 0 for topic in SETTINGS.sources}
    agent.assign(0, sources, {})
    outputs = list(agent.step(slice_of(_predictions(form, score)), NOW + 400))
    assert _told(outputs) == []
    if restarts:
        positions = {Source("predictions", 0): 3, Source("labels", 0): 0}
        commit = agent.commit(positions, NOW + 400)
        agent = _agent(rule)
        agent.assign(0, positions, {c.key: c.value or b"" for c in commit.changes})
    labels: list[tuple[str, object]] = [
        *zip(IDS, ["approve", "deny", "deny"], strict=True),
        (IDS[2], "approve"),
    ]
    labels += [(IDS[0], None), ("unheard of", "deny")]
    records = [_label(i, *each) for i, each in enumerate(labels)]
    told = _told(list(agent.step(slice_of(records), NOW + 2_000)))
    states = ["first", "first", "first", "corrected", "retracted"]
    assert [r["state"] for r in told] == states
    places = [0, 1, 2, 2, 0]
    assert [r["prediction_id"] for r in told] == [IDS[place] for place in places]
    assert [r["event_time_ms"] for r in told] == [AT[place] for place in places]
    assert [r["label"] for r in told] == ["approve", "deny", "deny", "approve", None]
    firsts = [NOW + 1_000 + place for place in places]
    assert [r["joined_ms"] for r in told] == firsts
    assert [r["delay_ms"] for r in told] == [
        first - AT[place] for first, place in zip(firsts, places, strict=True)
    ]
    for record in told:
        assert (record["model"], record["version"]) == ("credit", "1")
        assert (record["features"], record["tags"]) == (FEATURES, {"a": "b"})
        assert (record["prediction"], record["score"]) == ("approve", score)


@pytest.mark.parametrize(
    ("rule", "wrong"), [(BINARY, "maybe"), (BINARY, 2.5), (LabelRule(kind="regression"), "dear")]
)
def test_a_label_that_its_model_cannot_have_is_a_dead_letter_and_joins_nothing(
    rule: LabelRule, wrong: object
) -> None:
    agent = _agent(rule)
    agent.assign(0, {Source(topic, 0): 0 for topic in SETTINGS.sources}, {})
    agent.step(slice_of(_predictions("json", 0.75)), NOW + 400)
    right = "approve" if rule is BINARY else 2.5
    labels = [_label(0, IDS[0], wrong), _label(1, IDS[0], right), _label(2, IDS[0], wrong)]
    outputs = list(agent.step(slice_of(labels), NOW + 2_000))
    told = _told(outputs)
    assert [(each["label"], each["state"]) for each in told] == [(right, "first")]
    assert [output.topic for output in outputs].count("dead-letters") == 2


@pytest.mark.parametrize("number", [2**52, 1e18, -1e18, 1e19, 1e308, -1e308])
def test_a_number_of_any_size_is_put_out_though_it_is_no_class(number: float) -> None:
    agent = _agent(MULTI)
    agent.assign(0, {Source(topic, 0): 0 for topic in SETTINGS.sources}, {})
    agent.step(slice_of(_predictions("json", None)), NOW + 400)
    outputs = list(agent.step(slice_of([_label(0, IDS[0], number)]), NOW + 2_000))
    assert [each["label"] for each in _told(outputs)] == [number]
