"""A segment isn't said to have drifted by the very column that makes it."""

from __future__ import annotations

from random import Random

import orjson
import pytest

from stream.core.pane.grouping import columns_of_segment
from stream.core.rules import SegmentRule
from stream.core.specs import MonitorSpec
from tests.detect_labels import END, deployed, events_of
from tests.detect_world import PANE
from tests.label_flow import run

RULES = (
    SegmentRule("plan", ("a", "b=c")),
    SegmentRule("tags.plan"),
    SegmentRule("age>=65 and `odd name` is missing", protected=True),
    SegmentRule("vip == 'plan'"),
)


@pytest.mark.parametrize(
    ("segment", "columns"),
    [
        ("", ()),
        ("plan=a", ("plan",)),
        ("plan=b=c", ("plan",)),
        ("plan=missing", ("plan",)),
        ("planet=a", ()),
        ("tags.plan=other", ("tags.plan",)),
        ("age >= 65 and `odd name` is missing", ("age", "odd name")),
        ("not (age >= 65 and `odd name` is missing)", ("age", "odd name")),
        ('vip == "plan"', ("vip",)),
    ],
)
def test_columns_of_a_segment(segment: str, columns: tuple[str, ...]) -> None:
    assert columns_of_segment(RULES, segment) == columns


def test_what_chose_a_segment_s_rows_is_not_judged_in_it() -> None:
    monitor = MonitorSpec(
        window_ms=4 * PANE,
        hop_ms=4 * PANE,
        min_rows=20,
        segments=(SegmentRule("x >= 0.5"), SegmentRule("tags.group", ("a", "b"))),
    )
    flow = run(Random(1), events_of(3, 600), deployed(monitor), longest=60)
    windows = [orjson.loads(value) for value in flow.said("windows")]
    told = [w for w in windows if w["kind"] == "data" and w["scored"] and w["start_ms"] < END]
    assert {w["segment"] for w in told} == {"", "x >= 0.5", "tags.group=a", "tags.group=b"}
    for window in told:
        judged = set(window["features"])
        assert ("x" in judged) == (window["segment"] != "x >= 0.5")
        assert {"prediction", "score"} <= judged
    chosen = [w for w in told if w["segment"] == "x >= 0.5"]
    assert len(chosen) > 3
    assert not any(w["dirty"] for w in chosen)
    alerts = [orjson.loads(value) for value in flow.said("alerts")]
    assert "x >= 0.5" not in {alert["segment"] for alert in alerts}
