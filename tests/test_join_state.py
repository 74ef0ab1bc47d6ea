"""The join's state: small records of what changed, a bounded number of them, all of it back."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from stream.core.errors import StateError
from stream.core.join import JoinBuffer, JoinEvent, JoinRules
from stream.core.labels import Form
from stream.core.outcomes import Cohort, LabelRows, PredictionRows
from stream.core.records import ModelKey
from tests.join_oracle import NULL, Label, Prediction
from tests.join_run import SPEC, Run

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_RULES = JoinRules(_MINUTE_MS, _HOUR_MS, 1 << 20, 1 << 20)
_HORIZON_MS = 3 * _HOUR_MS


def _prediction(id_: int, time_ms: int) -> Prediction:
    return Prediction(0, id_, "a", "1", _HORIZON_MS, time_ms, id_ % 3)


def _label(id_: int, time_ms: int, value: int, offset: int) -> Label:
    number = (Form.NUMBER, value) if value else NULL
    return Label(0, id_, time_ms, time_ms - _MINUTE_MS, number, None, False, offset)


def test_hundreds_of_commits_leave_few_records_and_a_restart_goes_on_as_if_never_stopped() -> None:
    rng = np.random.default_rng(4)
    rules = JoinRules(_HOUR_MS, _HOUR_MS, 1 << 20, 1 << 20)
    steady, restarted = Run(rules, 1), Run(rules, 1)
    most: Counter[bytes] = Counter()
    for step in range(900):
        now_ms = step * _MINUTE_MS // 2
        made = [(step * 10 + i, _prediction(step * 10 + i, now_ms)) for i in range(10)]
        chosen = rng.integers(max(0, step * 10 - 1000), step * 10 + 15, 12)
        values = rng.integers(0, 3, 12)
        labels = [
            _label(int(id_), now_ms, int(value), step)
            for id_, value in zip(chosen, values, strict=True)
        ]
        for run in (steady, restarted):
            run.predictions(made)
            run.labels(labels)
            run.advance(0, now_ms, now_ms)
        restarted.commit()
        most |= Counter(key.rpartition(b"/")[0] for key in restarted.changelog[0])
        if step % 130 == 129:
            restarted.restart()
    assert restarted.outcomes == steady.outcomes
    assert steady.tally[0, JoinEvent.CORRECTION] > 1000
    assert most[b"join/p/states"] == 64
    assert 64 < max(most.values()) < 90
    assert len(restarted.changelog[0]) < 600  # of 900 commits, each with several
    for run in (steady, restarted):
        run.finish()
    assert restarted.tally == steady.tally
    restarted.commit()
    assert not restarted.changelog[0]


def test_much_state_is_written_ahead_of_the_commit_and_once() -> None:
    rng = np.random.default_rng(5)
    steady, ahead = Run(_RULES, 1), Run(_RULES, 1, 6_000)
    for step in range(40):
        made = [(step * 100 + i, _prediction(step * 100 + i, step)) for i in range(100)]
        chosen = rng.integers(0, step * 100 + 100, 50)
        labels = [_label(int(id_), step, 1 + int(id_) % 2, step) for id_ in chosen]
        for run in (steady, ahead):
            run.predictions(made)
            run.labels(labels)
            run.advance(0, step, step)
        if step % 10 == 9:
            early = [len(value or b"") for _, value in ahead.spilled[0]]
            assert len(early) >= 6 and max(early) < 7_000
            whole = ahead.commit()
            assert sum(early) > whole / 3
            assert whole < 1.2 * steady.commit()  # each row once, what became of it apart
            ahead.restart()
    assert ahead.outcomes == steady.outcomes and ahead.tally == steady.tally
    once = Run(_RULES, 1)
    once.buffer.restore(0, {b"watermarks": b"{}", **ahead.changelog[0]}, once.cohort)
    assert once.buffer.pending(0) == 4_000
    assert once.buffer.waiting(0) == ahead.buffer.waiting(0)


def test_a_commit_writes_what_changed_and_not_the_state() -> None:
    run = Run(_RULES, 1)
    run.predictions([(i, _prediction(i, i)) for i in range(20_000)])
    whole = run.commit()
    assert 28 * 20_000 < whole < 32 * 20_000  # what is the same of all is written once
    assert run.commit() == 0
    run.labels([_label(7, 1, 1, 1)])
    run.predictions([(20_000, _prediction(20_001, 5))])
    assert 100 < run.commit() < 800
    run.restart()
    assert run.commit() == 0
    assert run.buffer.pending(0) == 20_001


def _many(n: int, extra: bytes | None) -> PredictionRows:
    numbers = np.arange(n)
    return PredictionRows(
        task=np.zeros(n, dtype=np.int32),
        ids=np.stack([numbers, numbers], axis=1).astype(np.uint64),
        cohort=np.zeros(n, dtype=np.int32),
        time_ms=numbers.astype(np.int64),
        code=np.zeros(n, dtype=np.int32),
        value=np.linspace(0, 1, n),
        extras=None if extra is None else [extra if i % 2 else None for i in range(n)],
    )


def _all_labels(n: int) -> LabelRows:
    numbers = np.arange(n)
    return LabelRows(
        task=np.zeros(n, dtype=np.int32),
        ids=np.stack([numbers, numbers], axis=1).astype(np.uint64),
        time_ms=np.full(n, n),
        watermark_ms=np.zeros(n, dtype=np.int64),
        form=np.ones(n, dtype=np.uint8),
        bits=np.ones(n, dtype=np.uint64),
        model=np.full(n, -1, dtype=np.int32),
        late=np.zeros(n, dtype=np.bool_),
        offset=numbers.astype(np.int64),
    )


@pytest.mark.parametrize("extra", [None, b"x" * 300])
def test_records_stay_small_and_carry_the_extras(extra: bytes | None) -> None:
    n = 30_000
    cohorts = [Cohort(ModelKey("a", "1"), SPEC, ("country=US",), _HORIZON_MS, joined=True)]
    join = JoinBuffer(_RULES, cohorts)
    join.predictions(_many(n, extra))
    records = {key: value for key, value in join.changes(0) if value is not None}
    assert max(len(value) for value in records.values()) < 800_000
    known: list[Cohort] = []

    def intern(cohort: Cohort) -> int:
        known.append(cohort)
        return len(known) - 1

    other = JoinBuffer(_RULES, known)
    other.restore(0, records, intern)
    assert known == cohorts
    mine, theirs = (buffer.labels(_all_labels(n)).outcomes for buffer in (join, other))
    assert np.array_equal(mine.ids, theirs.ids)
    assert np.array_equal(mine.value, theirs.value)
    assert mine.extras == theirs.extras
    assert (mine.extras is None) == (extra is None)
    updates = [value for _, value in other.changes(0) if value is not None]
    assert max(len(value) for value in updates) < 800_000


def test_what_is_labelled_and_forgotten_between_two_commits_takes_no_memory() -> None:
    n = 2_000
    join = JoinBuffer(_RULES, [Cohort(ModelKey("a", "1"), SPEC, (), 1)])
    held = []
    for step in range(60):
        made, labels = _many(n, None), _all_labels(n)
        for times_ms in (made.time_ms, labels.time_ms, labels.watermark_ms):
            times_ms += 10 * step * _HOUR_MS
        labels.watermark_ms[:] = made.time_ms
        labels.time_ms[:] = made.time_ms
        join.predictions(made)
        assert len(join.labels(labels).outcomes) == n
        join.advance(0, (10 * step + 5) * _HOUR_MS, (10 * step + 5) * _HOUR_MS)
        join.changes(0)
        if step == 10:
            tracemalloc.start()
        elif step > 10:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert join.pending(0) == join.waiting(0) == 0
    assert held[-1] - held[0] < 100_000  # a number of 8 bytes a label would be 768,000


def test_signs_of_zero_survive_a_restart() -> None:
    cohorts = [Cohort(ModelKey("a", "1"), SPEC, (), _HORIZON_MS)]
    join, other = JoinBuffer(_RULES, cohorts), JoinBuffer(_RULES, cohorts)
    zeros = np.array([0.0, -0.0])
    join.predictions(replace(_many(2, None), value=zeros, time_ms=np.zeros(2, dtype=np.int64)))
    other.restore(0, {k: v for k, v in join.changes(0) if v is not None}, cohorts.index)
    found = other.labels(_all_labels(2)).outcomes.value
    assert np.signbit(found).tolist() == [False, True]


def test_a_cohort_is_written_once_and_removed_when_no_bucket_has_it() -> None:
    run = Run(_RULES, 1)
    run.predictions([(0, _prediction(1, 0))])
    run.commit()
    run.predictions([(1, _prediction(2, 0))])
    run.commit()
    named = [key for key in run.changelog[0] if key.startswith(b"join/cohort/")]
    assert len(named) == 1
    run.restart()
    run.predictions([(2, Prediction(0, 3, "b", "2", _HORIZON_MS, 10 * _HOUR_MS, 0))])
    run.advance(0, 9 * _HOUR_MS, 9 * _HOUR_MS)
    run.commit()
    left = [key for key in run.changelog[0] if key.startswith(b"join/cohort/")]
    assert len(left) == 1
    assert left != named


def test_records_of_another_format_are_refused() -> None:
    run = Run(_RULES, 1)
    run.predictions([(0, _prediction(1, 0))])
    run.commit()
    log = run.changelog[0]
    key = next(key for key in log if key.startswith(b"join/p/"))
    log[key] = b"\x07" + log[key][1:]
    with pytest.raises(StateError, match="format 07, this release reads 04"):
        run.restart()


def test_a_lost_cohort_is_an_error_that_says_what_to_do() -> None:
    run = Run(_RULES, 1)
    run.predictions([(0, _prediction(1, 0))])
    run.commit()
    log = run.changelog[0]
    del log[next(key for key in log if key.startswith(b"join/cohort/"))]
    with pytest.raises(StateError, match="state reset"):
        run.restart()
