"""Labels that have matched: kept in little room, and found when a challenger comes after all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.core.errors import StateError
from stream.core.join import JoinEvent, JoinRules
from stream.core.join.runs import read_column, write_columns
from stream.core.labels import Form
from tests.join_oracle import Label, Prediction
from tests.join_run import Run

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_RULES = JoinRules(_MINUTE_MS, _HOUR_MS, 1 << 20, 1 << 20)
_ARCHIVED, _INDEXED = b"join/m/", b"join/w/"


def _prediction(id_: int, time_ms: int, model: str = "a") -> Prediction:
    return Prediction(0, id_, model, "1", 3 * _HOUR_MS, time_ms, id_ % 3)


def _label(id_: int, time_ms: int, value: int = 1, offset: int = 0) -> Label:
    return Label(0, id_, time_ms, time_ms - _MINUTE_MS, (Form.NUMBER, value), None, False, offset)


def _keys(run: Run, prefix: bytes) -> list[bytes]:
    return [key for key in run.changelog[0] if key.startswith(prefix)]


def _labelled(rows: int, rules: JoinRules = _RULES, record_bytes: int = 700_000) -> Run:
    run = Run(rules, 1, record_bytes)
    run.predictions([(i, _prediction(i, 0)) for i in range(rows)])
    run.labels([_label(i, 10, offset=i // 100) for i in range(rows)])
    return run


def test_a_label_that_has_matched_takes_its_id_and_little_more() -> None:
    run = _labelled(20_000)
    with_one_more = _labelled(20_001)
    run.commit()
    written = sum(len(run.changelog[0][key]) for key in _keys(run, _ARCHIVED))
    assert 16 * 20_000 < written < 17 * 20_000
    assert not _keys(run, _INDEXED)
    assert run.buffer.waiting(0) == 20_000
    assert with_one_more.buffer.nbytes - run.buffer.nbytes < 200


@pytest.mark.parametrize("when", ["", "commit", "restart"])
def test_a_challenger_finds_labels_in_the_order_they_came_wherever_they_are(when: str) -> None:
    run = Run(_RULES, 1)
    run.labels([_label(3, 1, value=1, offset=1)])  # waits by its id: nothing is there
    run.predictions([(0, _prediction(3, 2)), (1, _prediction(4, 2))])
    run.end_of_step(when)
    run.labels([_label(3, 5, value=2, offset=2), _label(4, 5, value=2, offset=2)])
    run.end_of_step(when)
    run.labels([_label(3, 6, value=1, offset=3), _label(3, 6, value=1, offset=3)])
    assert run.buffer.waiting(0) == 5
    run.end_of_step(when)
    run.predictions([(2, _prediction(3, 7, "b"))])
    run.end_of_step(when)
    run.labels([_label(4, 8, value=1, offset=4)])  # the task has challengers now
    run.predictions([(3, _prediction(4, 9, "b"))])
    found = sorted((o.id, o.value[1], o.offset) for o in run.outcomes if o.model == "b")
    changes = [(1, 1), (1, 2), (2, 2), (2, 3), (1, 3)]  # joined; out, in; out, in
    first, later = [(3, *one) for one in changes], [(4, 2, 2), (4, 2, 4), (4, 1, 4)]
    assert found == sorted(first + later)
    assert run.tally[0, JoinEvent.DUPLICATE_LABEL] == 2  # the last label of 3, for a and for b
    if when:
        run.commit()
        assert not _keys(run, _ARCHIVED) or when == "restart"
        assert _keys(run, _INDEXED)


def test_many_commits_within_a_minute_leave_few_records_that_say_the_same() -> None:
    run, most = Run(_RULES, 1, 60_000), 0
    for step in range(200):
        ids = range(step * 10, step * 10 + 10)
        run.predictions([(i, _prediction(i, step)) for i in ids])
        run.labels([_label(i, step, 1 + i % 2, step) for i in reversed(ids)])
        run.commit()
        most = max(most, len(_keys(run, _ARCHIVED)))
        if step % 70 == 69:
            run.restart()
    assert 60 < most < 70
    assert run.buffer.waiting(0) == 2_000
    run.predictions([(i, _prediction(i, 300, "b")) for i in range(2_000)])
    joined = {o.id: o.value[1] for o in run.outcomes if o.model == "b"}
    assert joined == {i: 1 + i % 2 for i in range(2_000)}


def test_records_stay_small_and_those_of_many_labels_are_not_written_again() -> None:
    run = _labelled(3_000, record_bytes=6_200)
    ahead = [key for key, _ in run.spilled[0] if key.startswith(_ARCHIVED)]
    assert len(ahead) == 30
    run.commit()
    assert sorted(_keys(run, _ARCHIVED)) == sorted(ahead)
    assert max(len(run.changelog[0][key]) for key in ahead) < 6_500


def test_what_waits_in_both_places_is_bounded_together() -> None:
    run = _labelled(50, replace(_RULES, max_waiting=60))
    run.labels([_label(i, 10) for i in range(100, 120)])
    assert run.buffer.waiting(0) == 60
    assert run.tally[0, JoinEvent.REFUSED] == 10
    run.commit()
    run.advance(0, 3 * _HOUR_MS, 0)
    assert run.buffer.waiting(0) == 0
    assert run.tally[0, JoinEvent.UNMATCHED] == 10
    run.commit()
    assert not _keys(run, _ARCHIVED) and not _keys(run, _INDEXED)


def test_labels_of_many_minutes_and_tasks_in_one_slice_are_each_with_their_own() -> None:
    rng = np.random.default_rng(9)
    run = Run(_RULES, 3)
    rows = [(i, _prediction(i, 0)._replace(task=i % 3)) for i in range(900)]
    run.predictions(rows)
    times = rng.integers(0, 2 * _HOUR_MS, 900).tolist()
    run.labels([_label(i, t)._replace(task=i % 3) for i, t in enumerate(times)])
    run.commit()
    for task in range(3):
        ends = {int(key.split(b"/")[2]) for key in run.changelog[task] if key.startswith(_ARCHIVED)}
        mine = times[task::3]
        assert ends == {-(-(t + _HOUR_MS) // _MINUTE_MS) * _MINUTE_MS for t in mine}
        run.advance(task, 2 * _HOUR_MS, 0)
        last = 2 * _HOUR_MS - _HOUR_MS - _MINUTE_MS
        assert run.buffer.waiting(task) >= sum(t >= _HOUR_MS for t in mine)
        assert run.buffer.waiting(task) < sum(t > last for t in mine) + 1


def test_records_of_another_format_are_refused() -> None:
    run = _labelled(10)
    run.commit()
    (key,) = _keys(run, _ARCHIVED)
    run.changelog[0][key] = b"\x07" + run.changelog[0][key][1:]
    with pytest.raises(StateError, match="format 07, this release reads 04"):
        run.restart()


@pytest.mark.parametrize(
    "column",
    [
        np.zeros(1_000),
        np.array([0.0] * 500 + [-0.0] * 500),
        np.array([np.nan] * 8),
        np.arange(100),
        np.repeat(np.arange(100, dtype=np.int32), 7),
        np.array([True]),
        np.arange(20, dtype=np.uint8)[::2],
        np.concatenate([np.zeros(100, dtype=np.int64), np.arange(500)]),
    ],
)
def test_columns_come_back_bit_for_bit(column: np.ndarray) -> None:
    counts, parts = write_columns([column, column])
    value = b"head" + b"".join(parts)
    first, at = read_column(value, 4, column.dtype, len(column), counts[0])
    second, end = read_column(value, at, column.dtype, len(column), counts[1])
    assert end == len(value)
    for found in (first, second):
        assert found.dtype == column.dtype
        assert found.tobytes() == column.tobytes()
    assert len(value) <= 4 + 2 * column.nbytes or len(column) < 10
