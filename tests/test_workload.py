"""The workload: the same bytes for the same arguments, and every case that it promises."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.core.errors import ConfigError
from stream.workload import Plan, Workload, workload
from stream.workload.broken import BROKEN
from stream.workload.plan import HOUR_MS, MINUTE_MS, START_MS
from tests.workload_rows import Line, partition_by_hand, read_back

PLAN = Plan(seed=5, rows=6_000, hours=4)
LATE_MS = 30_000  # out_of_orderness
SKEW_MS = 5 * MINUTE_MS


@pytest.fixture(scope="module")
def made() -> Workload:
    return workload(PLAN)


@pytest.fixture(scope="module")
def lines(made: Workload) -> list[Line]:
    return [line for each in made.records if each.form != "broken" for line in read_back(each)]


@pytest.fixture(scope="module")
def by_topic(lines: list[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.topic].append(line)
    return found


def test_the_same_arguments_give_the_same_bytes_in_another_process(made: Workload) -> None:
    code = (
        "from stream.workload import Plan, workload\n"
        f"print(workload(Plan(seed={PLAN.seed}, rows={PLAN.rows}, hours={PLAN.hours})).hex)"
    )
    environ = {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == made.hex
    assert workload(PLAN).records == made.records


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**40),
    partitions=st.integers(3, 20),
    hours=st.integers(1, 12),
    start=st.integers(0, 10_000).map(lambda k: START_MS - k * HOUR_MS),
    data=st.data(),
)
def test_any_plan_keeps_its_word(
    seed: int, partitions: int, hours: int, start: int, data: st.DataObject
) -> None:
    idle = tuple(data.draw(st.sets(st.integers(0, partitions - 1), max_size=partitions - 2)))
    plan = Plan(seed, 300, partitions, start, hours, idle)
    found = workload(plan)
    assert found.hex == workload(plan).hex != workload(replace(plan, seed=seed + 1)).hex
    assert {each.partition for each in found.records} == set(range(partitions)) - set(idle)
    for before, after in pairwise(found.records):
        assert before.timestamp_ms <= after.timestamp_ms <= plan.over_ms
    for each in found.records:
        if each.form == "broken":
            continue
        for line in read_back(each):
            assert partition_by_hand(line.id.encode(), partitions) == each.partition
            stops = line.topic != "labels" and each.partition == plan.stopping
            assert not stops or each.timestamp_ms < plan.half_ms


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"seed": -1}, "seed"),
        ({"rows": 3}, "rows"),
        ({"hours": 0}, "hours"),
        ({"start_ms": START_MS + 1}, "full hour"),
        ({"idle": (12,)}, "among 0 to 11"),
        ({"idle": tuple(range(11))}, "at least two partitions"),
    ],
)
def test_a_plan_that_makes_no_workload_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(PLAN, **arguments)


def test_five_models_of_two_versions_in_three_formats(by_topic: dict[str, list[Line]]) -> None:
    predictions = by_topic["predictions"]
    models = {(line.body["model"], line.body["version"]) for line in predictions}
    assert len({model for model, _ in models}) == 5
    assert {version for _, version in models} == {"1", "2"}
    assert len(models) == 10
    for topic in ("predictions", "features", "labels"):
        forms = Counter(line.form for line in by_topic[topic])
        assert min(forms[form] for form in ("json", "avro", "arrow")) > 100, topic
    served = {(x.body["model"], x.id): set[str]() for x in predictions}
    for line in predictions:
        served[line.body["model"], line.id].add(line.body["version"])
    champions = sum(versions == {"1", "2"} for versions in served.values())
    assert champions > 200
    first = [x.event_ms for x in predictions if x.body["version"] == "1"]
    assert START_MS <= min(first) < max(first) < PLAN.at(0.6) + HOUR_MS


def test_rows_come_out_of_order_within_and_beyond_the_bound(lines: list[Line]) -> None:
    lateness: Counter[str] = Counter()
    newest: dict[tuple[str, int], int] = {}
    for line in lines:
        place = (line.topic, line.partition)
        behind = newest.get(place, line.event_ms) - line.event_ms
        lateness[f"{line.topic} {0 if behind <= 0 else 1 if behind <= LATE_MS else 2}"] += 1
        newest[place] = max(newest.get(place, 0), min(line.event_ms, line.timestamp_ms))
    for topic in ("predictions", "features", "labels"):
        assert min(lateness[f"{topic} {how}"] for how in range(3)) > 50, (topic, lateness)


def test_hourly_batches_come_at_once_and_in_random_order(by_topic: dict[str, list[Line]]) -> None:
    batch = [
        line.event_ms
        for line in by_topic["predictions"]
        if line.body["model"] == "credit"
        and line.form == "arrow"
        and 0 <= line.timestamp_ms - PLAN.at(0.5) < 30_000
        and line.event_ms < PLAN.at(0.5)
    ]
    assert len(batch) > 50
    assert max(batch) - min(batch) > 50 * MINUTE_MS
    falls = sum(after < before for before, after in pairwise(batch))
    assert 0.3 < falls / len(batch) < 0.7


def test_a_producer_s_clock_runs_ahead_of_what_is_taken_and_beyond(
    by_topic: dict[str, list[Line]],
) -> None:
    ahead = [line.event_ms - line.timestamp_ms for line in by_topic["predictions"]]
    assert sum(0 < each <= SKEW_MS for each in ahead) > 30
    assert sum(each > SKEW_MS for each in ahead) > 5


def test_arrow_batches_are_of_mixed_sizes_and_some_are_empty(made: Workload) -> None:
    sizes = Counter(each.rows for each in made.records if each.form == "arrow")
    assert sizes[0] > 20
    assert sizes[1] > 100
    assert max(sizes) > 8
    for each in made.records:
        if each.form == "arrow":
            assert each.rows == sum(1 for _ in read_back(each))


def test_one_partition_is_idle_and_one_stops_half_way(made: Workload) -> None:
    assert PLAN.silent == (11,)
    assert 11 not in {each.partition for each in made.records}
    stopping = [
        each.timestamp_ms
        for each in made.records
        if each.partition == PLAN.stopping and each.topic == "predictions"
    ]
    assert PLAN.at(0.35) < max(stopping) < PLAN.half_ms


def test_a_sparse_model_has_a_row_every_few_windows(by_topic: dict[str, list[Line]]) -> None:
    rows = [line for line in by_topic["predictions"] if line.body["model"] == "sparse"]
    windows = {line.event_ms // (5 * MINUTE_MS) for line in rows if line.event_ms < PLAN.end_ms}
    assert 10 < len(windows) < PLAN.hours * 12 * 0.6


def test_labels_are_early_late_and_of_nothing(by_topic: dict[str, list[Line]]) -> None:
    asked = {line.id: line for line in by_topic["predictions"]}
    delays = [
        (line.event_ms - asked[line.id].event_ms, line.timestamp_ms < asked[line.id].timestamp_ms)
        for line in by_topic["labels"]
        if line.id in asked
    ]
    assert sum(early for _, early in delays) > 30
    assert sum(delay > HOUR_MS for delay, _ in delays) > 30
    assert sum(line.id not in asked for line in by_topic["labels"]) > 50
    assert len(delays) > 0.5 * len(asked)


CASES: dict[str, Callable[[list[object]], bool]] = {
    "repeated": lambda told: len(told) == 2 and told[0] == told[1] is not None,
    "corrected": lambda told: len(told) == 2 and None not in told and told[0] != told[1],
    "retracted": lambda told: len(told) == 2 and told[0] is not None and told[1] is None,
    "retracted and told again": lambda told: len(told) == 3 and told[1] is None,
    "null at first": lambda told: len(told) == 2 and told[0] is None,
}


@pytest.mark.parametrize("case", CASES)
def test_labels_are(case: str, by_topic: dict[str, list[Line]]) -> None:
    told: dict[str, list[object]] = defaultdict(list)
    for line in sorted(by_topic["labels"], key=lambda line: line.event_ms):
        told[line.id].append(line.body["label"])
    assert sum(map(CASES[case], told.values())) >= 10, case


def test_some_labels_name_their_model_and_a_few_another(by_topic: dict[str, list[Line]]) -> None:
    models = {line.id: line.body["model"] for line in by_topic["predictions"]}
    named = [line for line in by_topic["labels"] if line.body.get("model")]
    right = sum(line.body["model"] == models.get(line.id) for line in named)
    assert right > 200
    assert len(named) - right > 10
    assert any(not line.body.get("model") for line in by_topic["labels"])


def test_hours_of_labels_come_at_once(by_topic: dict[str, list[Line]]) -> None:
    price = {line.id for line in by_topic["predictions"] if line.body["model"] == "price"}
    bursts: dict[int, list[int]] = defaultdict(list)
    for line in by_topic["labels"]:
        if line.id in price and line.timestamp_ms < PLAN.closing_ms:
            bursts[line.timestamp_ms // MINUTE_MS].append(line.event_ms)
    assert len(bursts) <= 5
    assert max(max(times) - min(times) for times in bursts.values()) > 100 * MINUTE_MS


def test_predictions_come_twice_and_ids_again_after_the_horizon(
    by_topic: dict[str, list[Line]],
) -> None:
    times: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in by_topic["predictions"]:
        times[line.body["model"], line.body["version"], line.id].append(line)
    twice = [pair for pair in times.values() if len(pair) == 2]
    gaps = [abs(b.timestamp_ms - a.timestamp_ms) for a, b in twice]
    assert sum(gap <= 2 * MINUTE_MS for gap in gaps) > 50
    assert sum(gap > HOUR_MS for gap in gaps) > 3
    assert any(a.form != b.form for a, b in twice)


def test_segments_and_serving_fields_are_there(by_topic: dict[str, list[Line]]) -> None:
    fraud = [line.body for line in by_topic["predictions"] if line.body["model"] == "fraud"]
    assert {body.get("status") for body in fraud} == {"ok", "error", None}
    assert {(body.get("tags") or {}).get("channel") for body in fraud} == {"web", "app", None}
    assert sum("latency_ms" in body for body in fraud) > 0.9 * len(fraud)


def test_profiles_are_published_for_some_and_a_monitor_changes_half_way(made: Workload) -> None:
    published = {each.key for each in made.setup if each.topic == "profiles"}
    assert {(key or b"").split(b"/")[0] for key in published} == {
        b"fraud@1",
        b"fraud@2",
        b"credit@1",
        b"credit@2",
        b"price@1",
    }
    records = [orjson.loads(x.value or b"") for x in made.setup if x.topic == "monitors"]
    changed = [record for record in records if record["effective_from_ms"]]
    assert [record["model"] for record in records].count("credit") == 2
    (change,) = changed
    assert change["effective_from_ms"] == PLAN.half_ms
    assert PLAN.half_ms % change["window_ms"] == 0
    assert change["window_ms"] != change["history"][0]["window_ms"]
    assert {record["warmup_rows"] for record in records} == {8, 400}


def test_drift_and_a_fall_of_accuracy_come_and_go(by_topic: dict[str, list[Line]]) -> None:
    fraud = [line for line in by_topic["predictions"] if line.body["model"] == "fraud"]
    labels = {line.id: line.body["label"] for line in by_topic["labels"]}

    def mean(name: str, low: float, high: float) -> float:
        part = [x for x in fraud if PLAN.at(low) <= x.event_ms < PLAN.at(high)]
        if name == "accuracy":
            known = [x for x in part if labels.get(x.id) is not None]
            return float(np.mean([labels[x.id] == x.body["prediction"] for x in known]))
        return float(np.mean([x.body["features"][name] for x in part]))

    assert mean("amount", 0.16, 0.29) > 2 * mean("amount", 0, 0.14)
    assert mean("amount", 0.32, 0.5) < 1.3 * mean("amount", 0, 0.14)
    assert mean("accuracy", 0, 0.6) > 0.75
    assert mean("accuracy", 0.64, 0.76) < 0.4
    assert mean("accuracy", 0.8, 1) > 0.75


def test_a_few_rows_are_invalid_each_for_its_reason(made: Workload) -> None:
    found = [each for each in made.records if each.form == "broken"]
    kinds = list(chain.from_iterable(BROKEN.values()))
    assert len(found) == 4 * len(kinds)
    assert all(each.partition in PLAN.active for each in found)
    assert len(found) < 0.02 * len(made.records)
