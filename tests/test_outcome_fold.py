from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.fixed import SHARE, WIDE, Form, exact
from stream.core.labels import LabelSpec
from stream.core.ledger import LOSS_SUMS, REGRESSION_SUMS, Part, ledger_of
from stream.core.logbins import DELAYS
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.pane.outcomes import OutcomeFold
from stream.core.records import Group, Int64s, Kind, ModelKey, Scalar
from tests.outcome_rows import BINARY, MODEL, MULTICLASS, REGRESSION, counted, outcomes

PANE = 60_000
OTHER = ModelKey("fraud", "")
COHORTS = [
    Cohort(MODEL, BINARY, ("country=US", "age >= 65")),
    Cohort(MODEL, BINARY, ("country=US",)),
    Cohort(OTHER, REGRESSION, ()),
    Cohort(OTHER, MULTICLASS, ("a",)),
    Cohort(MODEL, BINARY, ()),
]
LABELS: dict[str, list[Scalar]] = {
    "binary": [0, 1, True, "1", 0.0],
    "regression": [1.5, -2, 0, 1e9, 1e-9],
    "multiclass": ["approve", "deny", "review", "new"],
}


def _rows(seed: int, n: int) -> Outcomes:
    rng = np.random.default_rng(seed)
    cohort = rng.integers(0, len(COHORTS), n).tolist()
    labels = [LABELS[str(COHORTS[c].spec.kind.value)][rng.integers(0, 4)] for c in cohort]
    value = np.where(rng.random(n) < 0.1, np.nan, rng.random(n))
    return outcomes(
        labels,
        code=rng.integers(-1, 2, n),
        value=value,
        cohort=cohort,
        time_ms=rng.integers(0, 4 * PANE, n).tolist(),
        delay_ms=rng.integers(0, 10**8, n).tolist(),
        change=[Change(c) for c in rng.choice(3, n, p=[0.6, 0.2, 0.2])],
        late=(rng.random(n) < 0.3).tolist(),
        probabilities=rng.dirichlet(np.ones(3), n),
    )


def _part(rows: Outcomes, at: npt.NDArray[np.int64]) -> Outcomes:
    names = ("task", "cohort", "code", "value", "form", "bits", "time_ms", "delay_ms")
    more = ("change", "late", "ids", "offset")
    columns = {name: getattr(rows, name)[at] for name in (*names, *more)}
    extras = None if rows.extras is None else [rows.extras[i] for i in at.tolist()]
    return Outcomes(**columns, extras=extras)


def _told(groups: list[Group]) -> list[tuple[object, ...]]:
    return [
        (g.model, g.pane_ms, g.kind, g.segment, g.profile, g.rows, g.late_rows, g.width)
        for g in groups
    ] + [tuple(g.count_vector().tolist()) for g in groups]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99), cuts=st.lists(st.integers(0, 80), max_size=6), shuffle=st.booleans()
)
def test_slices_and_order_decide_nothing(seed: int, cuts: list[int], *, shuffle: bool) -> None:
    rows = _rows(seed, 80)
    whole, sliced = OutcomeFold(PANE), OutcomeFold(PANE)
    assert not whole.add(rows, COHORTS)
    order = np.random.default_rng(seed).permutation(80) if shuffle else np.arange(80)
    for start, stop in pairwise(sorted({0, 80, *cuts})):
        sliced.add(_part(rows, order[start:stop]), COHORTS)
    assert _told(sliced.take()) == _told(whole.take())
    assert whole.take() == []


def test_each_outcome_counts_for_all_rows_and_in_each_of_its_segments() -> None:
    rows = _rows(7, 500)
    fold = OutcomeFold(PANE)
    fold.add(rows, COHORTS)
    expected: Counter[tuple[object, ...]] = Counter()
    late: Counter[tuple[object, ...]] = Counter()
    for i in range(len(rows)):
        cohort = COHORTS[int(rows.cohort[i])]
        change = Change(int(rows.change[i]))
        kind = Kind.OUTCOME if change is Change.FIRST else Kind.CORRECTION
        for segment in ("", *cohort.segments):
            pane = int(rows.time_ms[i]) // PANE * PANE
            key = (cohort.model, pane, kind, segment, cohort.spec.hash)
            expected[key] += -1 if change is Change.OUT else 1
            late[key] += bool(rows.late[i]) and change is Change.FIRST
    groups = fold.take()
    keys = [(g.model, g.pane_ms, g.kind, g.segment, g.profile) for g in groups]
    assert keys == sorted(expected, key=lambda key: (key[0], key[1], key[2], key[3], key[4]))
    assert [g.rows for g in groups] == [expected[key] for key in keys]
    assert [g.late_rows for g in groups] == [late[key] for key in keys]
    assert all(g.width == len(g.count_vector()) for g in groups)


@pytest.mark.parametrize("spec", [BINARY, MULTICLASS, REGRESSION])
def test_an_outcome_taken_out_leaves_nothing(spec: LabelSpec) -> None:
    rows = _rows(3, 300)
    keep = np.flatnonzero([COHORTS[c].spec is spec for c in rows.cohort.tolist()])
    rows = _part(rows, keep)
    first, out = OutcomeFold(PANE), OutcomeFold(PANE)
    rows.change[:] = Change.FIRST
    first.add(rows, COHORTS)
    rows.change[:] = Change.OUT
    out.add(rows, COHORTS)
    for counted_in, taken_out in zip(first.take(), out.take(), strict=True):
        assert taken_out.kind is Kind.CORRECTION
        assert taken_out.rows == -counted_in.rows
        assert not (counted_in.count_vector() + taken_out.count_vector()).any()


def test_labels_that_cannot_be_are_returned_with_a_reason() -> None:
    fold = OutcomeFold(PANE)
    rows = outcomes(["maybe", 1, "high", 2.5, 7, "1"], cohort=[0, 0, 2, 2, 0, 0])
    refused = {int(p): r.detail for r in fold.add(rows, COHORTS) for p in r.place}
    assert set(refused) == {0, 2, 4}
    assert "'0' nor '1'" in refused[0]
    assert "number" in refused[2]
    groups = fold.take()
    assert {(g.model, g.segment): g.rows for g in groups}[MODEL, ""] == 2
    assert {(g.model, g.segment): g.rows for g in groups}[OTHER, ""] == 1


def _sum(vector: Int64s, form: Form) -> Fraction:
    return Fraction(exact(vector), 1 << form.bits)


def test_the_binary_ledger_holds_what_a_loop_counts() -> None:
    labels = [0, 1, 1, 0, 1, 0]
    scores = [0.0, 1.0, 0.55, np.nan, 0.1, 1.5]
    codes = [0, 1, 1, -1, 0, 1]
    delays = [0, 1, 60_000, 5, 10**12, 7]
    vector = counted(BINARY, outcomes(labels, code=codes, value=scores, delay_ms=delays))
    ledger = ledger_of(BINARY)
    assert ledger.part(vector, Part.CONFUSION).tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    bins = ledger.part(vector, Part.SCORES)
    assert bins.sum() == 4
    assert (bins[0, 0], bins[63, 1], bins[35, 1], bins[6, 1]) == (1, 1, 1, 1)
    assert ledger.part(vector, Part.RELIABILITY)[[0, 1, 5, 9]].tolist() == [
        [1, 0], [1, 1], [1, 1], [1, 1],
    ]  # fmt: skip
    sums = ledger.part(vector, Part.RELIABILITY_SUMS)
    assert float(_sum(sums[5], SHARE)) == pytest.approx(0.55, abs=1e-12)
    losses = ledger.part(vector, Part.LOSSES)
    brier = float(_sum(losses[LOSS_SUMS.index("brier")], SHARE))
    assert brier == pytest.approx(0.45**2 + 0.9**2, abs=1e-11)
    told = ledger.part(vector, Part.DELAYS)
    assert told[0] == 1 and told[1] == 1 and told[DELAYS.size - 1] == 1 and told.sum() == 6


def test_the_regression_ledger_counts_apart_what_has_no_error() -> None:
    labels = [2.0, 0.0, 1.0, 1.0, 1e12, 3.0]
    predicted = [2.5, 1.0, np.nan, np.inf, 1.0, 1.0]
    vector = counted(REGRESSION, outcomes(labels, value=predicted))
    ledger = ledger_of(REGRESSION)
    assert ledger.part(vector, Part.USED).tolist() == [3, 2, 3]
    sums = ledger.part(vector, Part.MOMENTS)
    found = {name: _sum(sums[i], WIDE) for i, name in enumerate(REGRESSION_SUMS)}
    assert found["error"] == Fraction(-1, 2)
    assert found["error_absolute"] == Fraction(7, 2)
    assert found["error_fourth"] == Fraction(1, 16) + 1 + 16
    assert found["label_cubed"] == 35
    assert found["error_squared_label"] == Fraction(1, 2) + 12
    assert float(found["ratio"]) == pytest.approx(0.25 + 2 / 3)
