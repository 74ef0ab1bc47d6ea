"""Performance windows: what outcomes say, of which predictions, beside what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sklearn import metrics

from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.core.outcomes import Change
from stream.core.records import Output, Source
from stream.core.rules import LabelRule, MetricRule, SegmentRule
from stream.core.specs import MonitorSpec, Severity
from tests.detect_agents import Observer, step, values
from tests.detect_outcomes import L0, L1, P0, P1, PROFILE, Row, labelled, predicted, rows_of
from tests.detect_world import PANE, TIMES, partial, profile_broadcast

WINDOW = 4 * PANE
MONITOR = MonitorSpec(
    window_ms=WINDOW,
    hop_ms=WINDOW,
    min_rows=50,
    labels=LabelRule(horizon_ms=8 * WINDOW),
    performance={"accuracy": MetricRule(low=0.8)},
    estimated={"accuracy": MetricRule(low=0.5)},
)
BOTH = [P0, L0]


def agent_of(
    monitor: MonitorSpec = MONITOR, observer: Observer | None = None, partitions: int = 1
) -> DetectAgent:
    topics = ("predictions", "labels")
    settings = DetectSettings(topics, partitions, TIMES, "driftstream/test", monitor)
    agent = DetectAgent(settings, observer)
    agent.assign(0, {}, {})
    agent.hear([profile_broadcast(PROFILE)])
    return agent


def pass_to(agent: DetectAgent, end_ms: int, sources: Sequence[Source] = BOTH) -> list[Output]:
    return step(agent, partial(told=[(source, end_ms, end_ms) for source in sources]))


def performance(outputs: list[Output], segment: str = "") -> list[dict[str, Any]]:
    found = [w for w in values(outputs) if w["kind"] == "performance"]
    return [window for window in found if window["segment"] == segment]


def of_kind(outputs: list[Output], kind: str) -> list[dict[str, Any]]:
    return [alert for alert in values(outputs, "alerts") if alert["kind"] == kind]


def test_a_window_of_outcomes_says_what_scikit_learn_says() -> None:
    agent = agent_of()
    rows = [row for pane in range(4) for row in rows_of(pane, 100, pane * PANE)]
    outputs = step(agent, partial(*predicted(rows), *labelled(rows)))
    outputs += pass_to(agent, WINDOW)
    [window] = performance(outputs)
    y = [row.label for row in rows]
    told = {name: metric["value"] for name, metric in window["metrics"].items()}
    predictions = [row.prediction for row in rows]
    assert (window["rows"], window["scored"], window["scored_rows"]) == (400, True, 400)
    assert told["accuracy"] == pytest.approx(metrics.accuracy_score(y, predictions), abs=1e-9)
    assert told["f1"] == pytest.approx(metrics.f1_score(y, predictions), abs=1e-9)
    low, high = (window["metrics"]["accuracy"][end] for end in ("low", "high"))
    assert low < told["accuracy"] < high
    expected = window["estimated"]["accuracy"]["value"]
    assert expected == pytest.approx(0.9, abs=0.02)
    assert window["residual"]["accuracy"] == pytest.approx(told["accuracy"] - expected, abs=1e-8)
    assert window["reference_metrics"]["accuracy"] == pytest.approx(0.9, abs=0.02)
    assert window["label_kind"] == "binary"


def test_a_data_window_says_what_is_expected_before_any_label() -> None:
    agent = agent_of()
    outputs = step(agent, partial(*predicted(rows_of(1, 400, 0))))
    outputs += pass_to(agent, WINDOW, [P0])
    [window] = values(outputs)
    assert window["kind"] == "data"
    accuracy = window["estimated"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert performance(outputs) == []


def test_coverage_counts_both_over_the_label_horizon() -> None:
    monitor = replace(MONITOR, labels=LabelRule(horizon_ms=2 * WINDOW))
    observer = Observer()
    agent = agent_of(monitor, observer)
    rows = [row for pane in range(16) for row in rows_of(pane, 100, pane * PANE)]
    known = [row for row in rows if row.pane_ms >= WINDOW or row.score < 0.5]
    outputs = step(agent, partial(*predicted(rows), *labelled(known)))
    outputs += pass_to(agent, 4 * WINDOW)
    windows = performance(outputs)
    assert [window["predictions"] for window in windows] == [400, 800, 800, 800]
    for number, window in enumerate(windows):
        inside = range(max(number - 1, 0) * WINDOW, (number + 1) * WINDOW)
        outcomes = sum(row.pane_ms in inside for row in known)
        assert window["outcomes"] == outcomes
        assert window["coverage"] == pytest.approx(outcomes / window["predictions"], abs=1e-9)
        assert window["coverage_from_ms"] == inside.start
    assert observer.coverages == [window["coverage"] for window in windows]


def test_outcomes_that_come_later_count_in_the_windows_of_their_labels() -> None:
    agent = agent_of()
    rows = rows_of(3, 200, PANE, delay_ms=WINDOW + 500)
    outputs = step(agent, partial(*predicted(rows), *labelled(rows)))
    outputs += pass_to(agent, 2 * WINDOW)
    [window] = performance(outputs)
    assert (window["start_ms"], window["outcomes"], window["predictions"]) == (WINDOW, 200, 200)
    for quantile in ("p50", "p90", "p99"):
        assert window["label_delay_ms"][quantile] == pytest.approx(WINDOW + 500, rel=0.02)


def test_a_sample_is_accounted_for() -> None:
    agent = agent_of(replace(MONITOR, labels=LabelRule(horizon_ms=WINDOW, sample=0.5)))
    rows = rows_of(4, 400, 0)
    outputs = step(agent, partial(*predicted(rows), *labelled(rows[:100])))
    outputs += pass_to(agent, WINDOW)
    [window] = performance(outputs)
    assert (window["outcomes"], window["predictions"], window["label_sample"]) == (100, 400, 0.5)
    assert window["coverage"] == 0.5


def bad_then_good(monitor: MonitorSpec) -> list[Output]:
    """Drifted and wrong in the first window, then two good ones."""
    agent = agent_of(monitor)
    bad = [replace(row, score=row.score / 4) for row in rows_of(5, 400, 0, accuracy=0.5)]
    good = [row for n in (1, 2) for row in rows_of(5 + n, 400, n * WINDOW)]
    outputs = step(agent, partial(*predicted([*bad, *good]), *labelled([*bad, *good])))
    return outputs + pass_to(agent, 3 * WINDOW)


def test_poor_performance_is_critical_and_cites_the_drift() -> None:
    outputs = bad_then_good(MONITOR)
    [drift, _] = of_kind(outputs, "drift")
    opened, resolved = of_kind(outputs, "performance")
    assert (opened["state"], opened["severity"]) == ("opened", "critical")
    assert [cited["incident_id"] for cited in opened["cites"]] == [drift["incident_id"]]
    [breach] = opened["breaches"]
    assert (breach["metric"], breach["limit"], breach["rule"]) == ("accuracy", 0.8, "min")
    assert breach["high"] < 0.8
    assert "accuracy" in opened["summary"]
    assert "data has drifted" in opened["summary"]
    assert (resolved["state"], resolved["cites"]) == ("resolved", [])
    assert opened["incident_id"] != drift["incident_id"]
    [window, *_] = performance(outputs)
    assert opened["window_id"] == window["window_id"]
    assert window["dirty"]


def test_below_min_coverage_no_incident_opens() -> None:
    agent = agent_of(replace(MONITOR, min_coverage=0.6))
    rows = rows_of(5, 400, 0, accuracy=0.5)
    outputs = step(agent, partial(*predicted(rows), *labelled(rows[:200])))
    outputs += pass_to(agent, WINDOW)
    [window] = performance(outputs)
    assert (window["dirty"], window["coverage"]) == (True, 0.5)
    assert of_kind(outputs, "performance") == []


def test_expected_harm_warns_before_labels_come() -> None:
    monitor = replace(MONITOR, estimated={"accuracy": MetricRule(low=0.95)})
    agent = agent_of(monitor)
    outputs = step(agent, partial(*predicted(rows_of(1, 400, 0))))
    outputs += pass_to(agent, WINDOW, [P0])
    [alert] = of_kind(outputs, "estimated")
    assert (alert["state"], alert["severity"]) == ("opened", Severity.WARNING)
    assert alert["breaches"][0]["metric"] == "accuracy"


def test_too_few_outcomes_wait_for_the_next_window() -> None:
    agent = agent_of()
    rows = [*rows_of(1, 30, 0), *rows_of(2, 30, WINDOW)]
    outputs = step(agent, partial(*predicted(rows), *labelled(rows)))
    outputs += pass_to(agent, 2 * WINDOW)
    first, second = performance(outputs)
    assert (first["scored"], first["reason"], first["rows"]) == (False, "min_rows", 30)
    assert (second["scored_rows"], second["scored_from_ms"]) == (60, 0)


def test_corrections_change_the_outcome_while_its_pane_is_open() -> None:
    observer = Observer()
    agent = agent_of(observer=observer)
    rows = rows_of(7, 200, 0, accuracy=1.0)
    wrong = [replace(row, label=1 - row.label) for row in rows[:50]]
    step(agent, partial(*predicted(rows), *labelled(rows)))
    step(agent, partial(*labelled(rows[:50], Change.OUT)))
    step(agent, partial(*labelled(wrong, Change.IN)))
    [window] = performance(pass_to(agent, WINDOW))
    assert window["metrics"]["accuracy"]["value"] == 0.75
    assert (window["rows"], window["corrections"]) == (200, 50)
    outputs = step(agent, partial(*labelled(wrong, Change.OUT)))
    assert observer.late_corrections == 50
    assert performance(outputs + pass_to(agent, 2 * WINDOW)) == []


def test_retracted_outcomes_are_none() -> None:
    agent = agent_of()
    rows = rows_of(7, 200, 0)
    step(agent, partial(*predicted(rows), *labelled(rows)))
    step(agent, partial(*labelled(rows[:120], Change.OUT)))
    [window] = performance(pass_to(agent, WINDOW))
    assert (window["rows"], window["outcomes"], window["corrections"]) == (80, 80, 120)
    assert window["coverage"] == 0.4


def test_outcomes_of_a_closed_pane_are_moved_and_the_window_says_so() -> None:
    """The second partition of labels was silent, is excused, and speaks again."""
    agent = agent_of(partitions=2)
    rows = rows_of(8, 200, 0)
    step(agent, partial(*predicted(rows), *labelled(rows[:100])))
    claims = [(L1, 10, 90_000_000)]
    step(agent, partial(claims=claims), partial(progress=[(L1, 5, 10)], claims=claims))
    [first] = performance(pass_to(agent, WINDOW, [P0, P1, L0]))
    assert (first["rows"], first["moves"]) == (100, [])
    step(agent, partial(*labelled(rows[100:]), progress=[(L1, 10, 110), (L0, 9, 12)]))
    [window] = performance(pass_to(agent, 2 * WINDOW, [P0, P1, L0, L1]))
    assert (window["start_ms"], window["rows"], window["late_rows"]) == (WINDOW, 100, 100)
    assert window["moves"] == [
        {"topic": "labels", "partition": 1, "before": 10, "after": 110, "pane_ms": WINDOW}
    ]
    assert (first["coverage"], window["coverage"]) == (0.5, 1.0)


def test_segments_have_windows_of_their_own() -> None:
    agent = agent_of(replace(MONITOR, segments=(SegmentRule("group", ("a", "b")),)))
    rows = rows_of(9, 400, 0)
    groups = [*predicted(rows, segments=True), *labelled(rows, segments=True)]
    outputs = step(agent, partial(*groups)) + pass_to(agent, WINDOW)
    windows = values(outputs)
    names = {(window["kind"], window["segment"]) for window in windows}
    assert names == {(k, s) for k in ("data", "performance") for s in ("", "group=a", "group=b")}
    assert len({window["window_id"] for window in windows}) == 6
    for segment in "ab":
        mine = [row for row in rows if row.segment == segment]
        [window] = performance(outputs, f"group={segment}")
        right = sum(row.prediction == row.label for row in mine)
        assert window["metrics"]["accuracy"]["value"] == pytest.approx(right / len(mine), abs=1e-8)
        assert (window["outcomes"], window["predictions"]) == (len(mine), len(mine))


def unfair(rows: list[Row]) -> list[Row]:
    """Whom the model calls negative though they are positive is in group b."""
    return [replace(r, segment="b" if r.label and r.score < 0.5 else r.segment) for r in rows]


def test_protected_groups_are_compared_in_the_window_of_all_rows() -> None:
    rule = SegmentRule("group", ("a", "b"), protected=True, reference="a")
    monitor = replace(MONITOR, segments=(rule,), fairness={"tpr_difference": MetricRule(low=-0.1)})
    agent = agent_of(monitor)
    rows = unfair(rows_of(9, 600, 0, accuracy=0.8))
    groups = [*predicted(rows, segments=True), *labelled(rows, segments=True)]
    outputs = step(agent, partial(*groups)) + pass_to(agent, WINDOW)
    [window] = performance(outputs)
    rates = {}
    for segment in "ab":
        mine = [row for row in rows if row.segment == segment and row.label]
        rates[segment] = sum(row.prediction for row in mine) / len(mine)
        told = window["fairness"][f"tpr.group={segment}"]["value"]
        assert told == pytest.approx(rates[segment], abs=1e-8)
    told = window["fairness"]["tpr_difference.group=b"]
    assert told["value"] == pytest.approx(rates["b"] - rates["a"], abs=1e-8)
    [alert] = of_kind(outputs, "fairness")
    assert (alert["severity"], alert["segment"]) == ("critical", "")
    assert performance(outputs, "group=a")[0]["fairness"] == {}


@pytest.mark.parametrize("positive", ["", "1", "0"])
def test_figures_of_a_reference_that_was_read_otherwise_are_compared_with_nothing(
    positive: str,
) -> None:
    labels = LabelRule(horizon_ms=8 * WINDOW, positive=positive)
    agent = agent_of(
        replace(MONITOR, labels=labels, estimated={"f1": MetricRule(max_drop=0.0, point=True)})
    )
    rows = rows_of(1, 400, 0)
    outputs = step(agent, partial(*predicted(rows), *labelled(rows)))
    outputs += pass_to(agent, WINDOW)
    [data] = [window for window in values(outputs) if window["kind"] == "data"]
    [window] = performance(outputs)
    alike = positive != "0"
    told = data["estimated"], window["estimated"], window["residual"], window["reference_metrics"]
    assert [bool(each) for each in told] == [alike] * 4
