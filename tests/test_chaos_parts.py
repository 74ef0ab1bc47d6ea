"""The chaos matrix itself: it leaves out no pair, and sees every way in which runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import cloudevents
from stream.cli.digest.canonical import Place, Read, digest_of
from tests.chaos.cases import SLICES, WORKERS, long_form, short_form
from tests.chaos.comparing import Outcome, differences
from tests.chaos.disturbances import DISTURBANCES

MINUTE_MS = 60_000
MOVE = {"topic": "labels", "partition": 0, "before": 1, "after": 2, "pane_ms": 0}


@given(st.integers(0, 2**32))
def test_every_pair_occurs_in_the_long_form(seed: int) -> None:
    cases = long_form(seed)
    assert len({case.name for case in cases}) == len(cases) <= 3 * len(DISTURBANCES) + 3
    found = {(c.slice_records, c.workers) for c in cases}
    assert found == set(product(SLICES, WORKERS))
    for name in DISTURBANCES:
        of_it = [c for c in cases if c.disturbance == name]
        assert {c.slice_records for c in of_it} == set(SLICES)
        assert {c.workers for c in of_it} == set(WORKERS)
    assert cases == long_form(seed)


def test_the_short_form_is_of_known_disturbances_on_one_workload() -> None:
    cases = short_form(3)
    assert {case.disturbance for case in cases} <= set(DISTURBANCES)
    assert {case.plan for case in cases} == {cases[0].plan}
    assert cases[0].plan.seed == 3


def window(place: int = 0, **fields: Any) -> Read:
    """A window's record of the minute `place`."""
    record = {
        "model": "credit",
        "version": "1",
        "segment": "",
        "kind": "data",
        "start_ms": place * MINUTE_MS,
        "end_ms": (place + 1) * MINUTE_MS,
        "moves": [],
        "scored_from_ms": None,
        "rows": 7,
        **fields,
    }
    return Read(Place("windows", 0, place), b"credit@1", orjson.dumps(record))


def alert(state: str) -> Read:
    """An incident's record in this state."""
    record = {
        "incident_id": "i-1",
        "model": "credit",
        "version": "1",
        "segment": "",
        "kind": "drift",
        "state": state,
        "opened_ms": MINUTE_MS,
        "at_ms": MINUTE_MS,
    }
    event = cloudevents.CloudEvent(
        id=f"i-1-{state}", source="x", type=f"incident.{state}", data=orjson.dumps(record)
    )
    headers, value = cloudevents.encode(event)
    return Read(Place("alerts", 0, 0), b"i-1", value, headers)


def written(windows: Sequence[Read], alerts: Sequence[Read] = ()) -> Outcome:
    """A run that wrote these."""
    texts = {read.place: (read.value or b"").decode() for read in (*windows, *alerts)}
    return Outcome(digest_of(windows, alerts), lambda places: {x: texts[x] for x in places})


WINDOWS = [window(0), window(1), window(1, kind="performance")]


def test_equal_runs_have_no_differences_in_whatever_order() -> None:
    both = written(WINDOWS, [alert("opened")]), written(WINDOWS[::-1], [alert("opened")])
    assert differences(*both) == []


@pytest.mark.parametrize(
    ("windows", "alerts", "says"),
    [
        ([window(0, rows=8), *WINDOWS[1:]], [alert("opened")], "rows: 7 / 8"),
        (WINDOWS[1:], [alert("opened")], "the record itself"),
        ([*WINDOWS, window(2)], [alert("opened")], "the record itself"),
        ([*WINDOWS, window(0)], [alert("opened")], "found twice: window credit@1 data"),
        (WINDOWS, [alert("resolved")], "state: 'opened' / 'resolved'"),
        (WINDOWS, [], "the record itself"),
        ([*WINDOWS, window(2, model=3)], [alert("opened")], "its 'model' is no text"),
        ([window(0, moves=[MOVE]), *WINDOWS[1:]], [alert("opened")], "has moved rows"),
    ],
)
def test_each_way_to_differ_is_seen(windows: list[Read], alerts: list[Read], says: str) -> None:
    told = differences(written(WINDOWS, [alert("opened")]), written(windows, alerts))
    assert says in "\n".join(told)


def test_a_kind_that_must_move_is_left_out_and_must_have_moved() -> None:
    moved = [*WINDOWS[:2], window(1, kind="performance", rows=9, moves=[MOVE])]
    assert differences(written(WINDOWS), written(moved), moving="performance") == []
    told = differences(written(WINDOWS), written(WINDOWS), moving="performance")
    assert told == ["no window of performance records moved rows"]
    other = [window(0, rows=1), *moved[1:]]
    assert differences(written(WINDOWS), written(other), moving="performance")


def test_both_bodies_of_a_window_that_differs_are_shown() -> None:
    other = window(0, rows=8)
    told = differences(written(WINDOWS), written([other, *WINDOWS[1:]]))
    assert f"  undisturbed: {(WINDOWS[0].value or b'').decode()}" in told
    assert f"  disturbed:   {(other.value or b'').decode()}" in told
