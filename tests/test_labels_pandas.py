"""Whatever the order of topics, the windows are those that the design's table gives in pandas."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stream.adapters.monitors import encode_monitors
from stream.core.pane.reference import LabelColumn, build_profile
from stream.core.records import ModelKey, RawColumns, Source
from stream.core.rules import LabelRule, SegmentRule
from stream.core.specs import MonitorSpec, Profile, TimeSpec
from stream.engine.agent import Broadcast
from tests.detect_world import PANE, profile_broadcast
from tests.join_pandas import (
    Joined,
    Rules,
    in_segments,
    in_windows,
    join,
    panes_of,
    windows,
)
from tests.label_flow import Deployment, Flow, run
from tests.label_metrics import metrics_of
from tests.label_streams import (
    BEGIN,
    EARLY,
    END,
    HORIZON,
    MODELS,
    SKEW,
    SLACK,
    TASKS,
    Item,
    Streams,
    streams,
    streams_of,
)

WINDOW = 4 * PANE
SHAPES = {"tumbling": (WINDOW, WINDOW), "hopping": (3 * PANE, PANE)}
RULES = {
    "profile": LabelRule(),
    "binary": LabelRule(kind="binary"),
    "multiclass": LabelRule(kind="multiclass", classes=("cat", "dog", "eel")),
    "regression": LabelRule(kind="regression"),
}
KIND = {**{reading: rule.kind for reading, rule in RULES.items()}, "profile": "binary"}
CLASSES = {"binary": ["0", "1"], "multiclass": ["cat", "dog", "eel"]}
TIMES = TimeSpec(
    pane_ms=PANE,
    out_of_orderness_ms=SLACK,
    max_clock_skew_ms=SKEW,
    early_label_horizon_ms=EARLY,
    idle_after_ms=600_000,
)
DESIGN = Rules(PANE, SLACK, SKEW, EARLY, HORIZON)
Key = tuple[str, str, str, int]


def _profile(model: ModelKey) -> Profile:
    random = Random(5)
    columns: RawColumns = {
        "features.x": [random.random() for _ in range(200)],
        "prediction": [random.choice([0, 1]) for _ in range(200)],
        "score": [random.random() for _ in range(200)],
    }
    labels = LabelColumn([random.choice([0, 1]) for _ in range(200)], positive="1")
    return build_profile(model, columns, label=labels)


PROFILES = tuple(_profile(model) for model in MODELS)


def deployed(reading: str, shape: str, min_rows: int) -> Deployment:
    """`reading` says how labels are read; the first model has a profile in any case of classes."""
    window_ms, hop_ms = SHAPES[shape]
    rule = RULES[reading]
    monitors = [
        MonitorSpec(
            model=model,
            window_ms=window_ms,
            hop_ms=hop_ms,
            min_rows=min_rows,
            labels=replace(rule, horizon_ms=horizon_ms),
            segments=(SegmentRule("tags.group", ("a", "b")),),
        )
        for model, horizon_ms in HORIZON.items()
    ]
    told = [
        Broadcast("monitors", n, 0, None, encode_monitors((m,))) for n, m in enumerate(monitors)
    ]
    told += [profile_broadcast(profile, n) for n, profile in enumerate(profiled(reading))]
    return Deployment(TIMES, TASKS, MonitorSpec(window_ms=window_ms, hop_ms=hop_ms), tuple(told))


def told_windows(flow: Flow, kind: str) -> dict[Key, dict[str, Any]]:
    """The windows that were written, before those of the last rows."""
    found = {}
    for value in flow.said("windows"):
        window = orjson.loads(value)
        if window["kind"] == kind and window["start_ms"] < END - WINDOW:
            key = (window["model"], window["version"], window["segment"], window["start_ms"])
            assert key not in found
            found[key] = window
    return found


def profiled(reading: str) -> tuple[Profile, ...]:
    """The published profiles."""
    return {"profile": PROFILES, "binary": PROFILES[:1]}.get(reading, ())


def check_performance(flow: Flow, joined: Joined, reading: str, shape: str, min_rows: int) -> None:
    kind = KIND[reading]
    told = told_windows(flow, "performance")
    due = windows(joined, *SHAPES[shape], min_rows)
    assert sorted(told) == sorted(due)
    outcomes = panes_of(in_segments(joined.outcomes[joined.outcomes.label.notna()]))
    made = in_segments(joined.predictions)
    # A segment's rows are counted by a published profile.
    models = pd.MultiIndex.from_frame(made[["model", "version"]])
    counted = (made.segment == "") | models.isin([p.model for p in profiled(reading)])
    predictions = panes_of(made[counted])
    for key, expected in due.items():
        window = told[key]
        names = ("rows", "late_rows", "corrections", "scored_from_ms")
        assert {name: window[name] for name in names} == {
            name: getattr(expected, name) for name in names
        }
        assert window["scored"] is (expected.scored is not None)
        if expected.scored is not None and key[2] in {"", "tags.group=a"}:
            check_metrics(window["metrics"], expected.scored, kind)
        before_ms = window["end_ms"] - HORIZON[key[0]] - window["coverage_from_ms"]
        assert 0 <= before_ms < math.gcd(*SHAPES[shape])
        panes = range(window["coverage_from_ms"], window["end_ms"], PANE)
        assert window["outcomes"] == sum(outcomes[*key[:3], pane] for pane in panes)
        assert window["predictions"] == sum(predictions[*key[:3], pane] for pane in panes)


def check_data(flow: Flow, joined: Joined, shape: str) -> None:
    """Windows of all rows hold each prediction once, and tell the duplicates beside them."""
    rows = in_windows(joined.predictions, *SHAPES[shape])
    repeated = Counter(_places(in_windows(joined.repeated, *SHAPES[shape])))
    due = {place: n for place, n in Counter(_places(rows)).items() if place[3] < END - WINDOW}
    told = {key: w for key, w in told_windows(flow, "data").items() if not key[2]}
    assert {key: window["rows"] for key, window in told.items()} == due
    for key, window in told.items():
        assert window["duplicate_rows"] == repeated[key]


def _places(rows: pd.DataFrame) -> Iterator[Key]:
    for model, version, start_ms in zip(rows.model, rows.version, rows.start_ms, strict=True):
        yield model, version, "", start_ms


def check_metrics(told: dict[str, dict[str, Any]], rows: pd.DataFrame, kind: str) -> None:
    expected = metrics_of(rows, CLASSES.get(kind))
    for name, value in expected.items():
        if value is None or math.isnan(value):
            assert told[name]["value"] is None, name
        else:
            assert told[name]["value"] == pytest.approx(value, rel=1e-8, abs=1e-9), (name, rows)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Streams]:
    """How labels are read, and the topics' records."""
    reading = draw(st.sampled_from(sorted(RULES)))
    return reading, draw(streams(KIND[reading]))


@settings(max_examples=25, deadline=None)
@given(cases(), st.sampled_from(sorted(SHAPES)), st.integers(1, 4), st.integers(0, 2**32))
def test_windows_are_what_pandas_makes_of_the_topics(
    case: tuple[str, Streams], shape: str, min_rows: int, seed: int
) -> None:
    reading, made = case
    min_rows = min_rows if shape == "tumbling" else 1
    classes = frozenset(CLASSES["binary"]) if KIND[reading] == "binary" else frozenset[str]()
    rules = replace(DESIGN, numbers=reading == "regression", only=classes)
    joined = join(made.predictions, made.labels, rules)
    deployment = deployed(reading, shape, min_rows)
    straight = run(Random(1), made.queues, deployment, longest=4, lazy=0.0)
    check_data(straight, joined, shape)
    check_performance(straight, joined, reading, shape, min_rows)
    malformed = sum(map(len, made.queues.values())) - len(made.predictions) - len(made.labels)
    due = joined.events + Counter(malformed=malformed)
    assert straight.events == due
    for name in due:
        event(name)
    cut = run(Random(seed), made.queues, deployment, owners=2, longest=40)
    assert cut.said("windows") == straight.said("windows")
    assert cut.events == due
    crashed = run(Random(seed), made.queues, deployment, longest=12, crashes=0.2)
    assert crashed.said("windows") == straight.said("windows")
    # A label in vain is counted by a commit and told by the next step, unless a crash comes first.
    told = crashed.events - Counter(unmatched=crashed.events["unmatched"])
    assert told == due - Counter(unmatched=due["unmatched"])


def prediction(id_: str, at_ms: int, task: int = 0) -> Item:
    row = {"id": id_, "model": "credit", "version": "3", "group": None}
    return Item(Source("predictions", task), at_ms, 0, {**row, "prediction": 1, "score": 0.5})


def label(id_: str, at_ms: int, value: int | None, task: int = 0) -> Item:
    return Item(Source("labels", task), at_ms, 0, {"id": id_, "label": value, "model": None})


def test_labels_that_waited_in_two_workers_are_all_known_to_the_one_that_takes_over() -> None:
    tasks = range(TASKS)
    items = [label("one", BEGIN, task, task) for task in tasks]
    made = streams_of([*items, *(prediction("one", BEGIN + 10, task) for task in tasks)])
    flow = Flow(deployed("binary", "tumbling", 1), made.queues, owners=TASKS)
    flow.step([Source("labels", task) for task in tasks])
    flow.commit()
    flow.crash(owners=1)
    for _ in range(2):  # the predictions, and then the last rows
        flow.step([Source("predictions", task) for task in tasks])
    flow.commit()
    flow.step([Source("labels", task) for task in tasks])
    flow.commit()
    flow.detect()
    told = told_windows(flow, "performance")
    assert told["credit", "3", "", BEGIN]["rows"] == TASKS


def test_a_window_left_empty_passes_on_the_rows_it_was_handed() -> None:
    """One by a retraction, one by holding nothing but a duplicate."""
    first, second, third, fourth = (BEGIN + number * WINDOW + 3_000 for number in range(4))
    made = streams_of(
        [
            prediction("one", first),
            label("one", first, 1),
            prediction("two", second - 2_000),
            label("two", second, 1),
            label("two", second + 100, None),
            prediction("two", third - 2_000),
            prediction("three", fourth),
            label("three", fourth, 0),
        ]
    )
    joined = join(made.predictions, made.labels, DESIGN)
    flow = run(Random(1), made.queues, deployed("profile", "tumbling", 2))
    check_performance(flow, joined, "profile", "tumbling", 2)
    told = told_windows(flow, "performance")
    last = told["credit", "3", "", BEGIN + 3 * WINDOW]
    assert (last["scored_rows"], last["scored_from_ms"]) == (2, BEGIN)
