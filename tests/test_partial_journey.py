"""Everything that a commit of observe may say, of any kind and segment, to `partials` and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream import schemas
from stream.core.pane.partial import decode_partial, encode_partials
from stream.core.pane.sense import require_sense
from stream.core.records import Claim, Group, Kind, ModelKey, Partial, Progress, Source, Told

SCHEMA: dict[str, Any] = schemas.schema("pane_partial")

_COUNTS = st.lists(st.integers(-(2**40), 2**40), max_size=20)
_TEXTS = st.text(max_size=8)
_ROWS = st.integers(0, 2**40)


@st.composite
def _groups(draw: st.DrawFn) -> Group:
    kind = draw(st.sampled_from([Kind.DATA, Kind.OUTCOME, Kind.CORRECTION]))
    rows = draw(st.integers(-(2**40), 2**40) if kind is Kind.CORRECTION else _ROWS)
    counts = draw(_COUNTS)
    width = 0
    codes = None
    if kind is Kind.DATA:
        counts = [abs(count) for count in counts]
        if draw(st.booleans()):
            width = draw(st.integers(1, 70_000))
            codes = np.array(draw(st.lists(st.integers(0, width - 1), max_size=9)), dtype=np.uint32)
    return Group(
        ModelKey(draw(_TEXTS), draw(_TEXTS)),
        draw(_TEXTS),
        draw(st.integers(0, 2**42)),
        rows,
        feature_rows=draw(_ROWS),
        late_rows=draw(_ROWS),
        unknown_features=draw(_ROWS),
        counts=None if codes is not None else np.array(counts, dtype=np.int64),
        codes=codes,
        width=width,
        kind=kind,
        segment=draw(_TEXTS),
        duplicate_rows=draw(_ROWS),
        unkept_rows=draw(_ROWS),
    )


def _said(group: Group) -> tuple[object, ...]:
    return (
        (group.model, group.profile, group.segment, group.kind, group.pane_ms),
        (group.rows, group.feature_rows, group.late_rows, group.unknown_features),
        (group.duplicate_rows, group.unkept_rows),
        group.count_vector().tolist(),
    )


_SOURCES = st.builds(Source, _TEXTS, st.integers(0, 2**31 - 1))
_TIMES = st.integers(0, 2**47)


def _progress(source: Source, one: int, other: int) -> Progress:
    return Progress(source, min(one, other), max(one, other))


@given(
    st.lists(_groups(), max_size=8),
    st.lists(
        st.builds(lambda s, a, b: Progress(s, min(a, b), max(a, b)), _SOURCES, _TIMES, _TIMES)
    ),
    st.lists(st.builds(Told, _SOURCES, _TIMES, _TIMES), max_size=3),
    st.lists(st.builds(Claim, _SOURCES, _TIMES, _TIMES), max_size=3),
    st.sampled_from([1, 150, 900_000]),
)
def test_all_that_observe_may_say_survives_the_journey(
    groups: list[Group],
    progress: list[Progress],
    told: list[Told],
    claims: list[Claim],
    limit: int,
) -> None:
    said = Partial(60_000, tuple(groups), tuple(progress), tuple(told), tuple(claims))
    require_sense(said)
    back = [decode_partial(value, SCHEMA) for value in encode_partials(said, SCHEMA, limit)]
    assert [_said(g) for found in back for g in found.groups] == [_said(g) for g in groups]
    assert {found.progress for found in back} == {said.progress}
    assert [found.told for found in back if found.told] == [said.told] * bool(told)
    assert [found.claims for found in back if found.claims] == [said.claims] * bool(claims)
