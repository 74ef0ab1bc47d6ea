"""Labelled rows for detect's tests: groups of rows and of outcomes as observe sends them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.core.baseline import with_metrics
from stream.core.labels import LabelSpec, label_bits, label_spec
from stream.core.outcomes import Change, Cohort, Outcomes
from stream.core.pane.outcomes import OutcomeFold
from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import LabelColumn, build_profile
from stream.core.records import CARRIES_COLUMN, Group, Kind, RawColumns, Source
from stream.core.rules import LabelRule
from stream.core.specs import Profile
from tests.detect_world import BOTH, CREDIT, PANE

P0, P1 = Source("predictions", 0), Source("predictions", 1)
L0, L1 = Source("labels", 0), Source("labels", 1)


@dataclass(frozen=True)
class Row:
    """A prediction whose label is known, in the panes of its two rows."""

    pane_ms: int
    label_ms: int
    score: float
    label: int
    segment: str = ""

    @property
    def outcome_ms(self) -> int:
        return max(self.pane_ms, self.label_ms)

    @property
    def prediction(self) -> int:
        return int(self.score >= 0.5)


def rows_of(
    seed: int, count: int, pane_ms: int, delay_ms: int = 0, accuracy: float = 0.9
) -> list[Row]:
    """Rows of one pane: scores uniform, labels what the prediction says with a chance."""
    random_ = random.Random(seed)
    found = []
    for _ in range(count):
        score = random_.random()
        right = random_.random() < accuracy
        label = int(score >= 0.5) if right else int(score < 0.5)
        found.append(Row(pane_ms, pane_ms + delay_ms, score, label, random_.choice(["a", "b"])))
    return found


def _profile() -> Profile:
    rows = rows_of(99, 4_000, 0)
    columns: RawColumns = {
        "features.x": [row.score for row in rows],
        "prediction": [row.prediction for row in rows],
        "score": [row.score for row in rows],
    }
    labels = [row.label for row in rows]
    built = build_profile(CREDIT, columns, label=LabelColumn(labels, positive="1"))
    return with_metrics(built, columns, labels)


PROFILE = _profile()
_SPEC = label_spec(PROFILE, LabelRule())
assert _SPEC is not None
SPEC: LabelSpec = _SPEC


def predicted(rows: Sequence[Row], *, segments: bool = False) -> list[Group]:
    """The rows' groups of kind DATA, one a pane and segment."""
    found = []
    for pane_ms in sorted({row.pane_ms for row in rows}):
        for segment in ["", *(sorted({row.segment for row in rows}) if segments else [])]:
            mine = [r for r in rows if r.pane_ms == pane_ms and segment in {"", r.segment}]
            columns: RawColumns = {
                "features.x": [row.score for row in mine],
                "prediction": [row.prediction for row in mine],
                "score": [row.score for row in mine],
                CARRIES_COLUMN: [BOTH] * len(mine),
            }
            counts = bin_raw(columns, PROFILE).counts
            n = len(mine)
            name = f"group={segment}" if segment else ""
            if n:
                found.append(Group(CREDIT, PROFILE.hash, pane_ms, n, n, 0, 0, counts, segment=name))
    return found


def labelled(
    rows: Sequence[Row], change: Change = Change.FIRST, *, segments: bool = False
) -> list[Group]:
    """The rows' groups of kind OUTCOME, or of CORRECTION, as the fold of observe makes them."""
    fold = OutcomeFold(PANE)
    if not rows:
        return []
    names = sorted({row.segment for row in rows}) if segments else [""]
    cohorts = [Cohort(CREDIT, SPEC, (f"group={name}",) if name else ()) for name in names]
    n = len(rows)
    bits = [label_bits(row.label) for row in rows]
    cohort = [names.index(row.segment) if segments else 0 for row in rows]
    outcomes = Outcomes(
        task=np.zeros(n, dtype=np.int32),
        cohort=np.array(cohort, dtype=np.int32),
        code=np.array([row.prediction for row in rows], dtype=np.int32),
        value=np.array([row.score for row in rows]),
        form=np.array([form for form, _ in bits], dtype=np.uint8),
        bits=np.array([value for _, value in bits], dtype=np.uint64),
        time_ms=np.array([row.outcome_ms for row in rows], dtype=np.int64),
        delay_ms=np.array([max(row.label_ms - row.pane_ms, 0) for row in rows], dtype=np.int64),
        change=np.full(n, change, dtype=np.uint8),
        late=np.zeros(n, dtype=np.bool_),
        ids=np.zeros((n, 2), dtype=np.uint64),
        offset=np.zeros(n, dtype=np.int64),
    )
    assert fold.add(outcomes, cohorts) == []
    found = fold.take()
    assert {group.kind for group in found} <= {Kind.OUTCOME, Kind.CORRECTION}
    return found
