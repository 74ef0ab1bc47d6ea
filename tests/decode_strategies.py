"""Hypothesis strategies of rows that may be anything, as JSON texts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.decode_rows import NOW_MS

__all__ = [
    "damage",
    "feature_maps",
    "mostly",
    "names",
    "rows",
    "scalars",
    "texts",
    "topic_names",
    "values_of_any_kind",
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["CA", "TX", "1", "1.0", "2.5", "true", "nan", "", "é", "\x00", "\ud800"]),
)
values_of_any_kind = st.one_of(scalars, st.just([1]), st.just({"x": 1}))
names = st.sampled_from(["age", "income", "state", "code", "extra", "é", "", "n0"])
feature_maps = st.dictionaries(names, st.one_of(scalars, scalars, values_of_any_kind), max_size=7)


def mostly(usual: object, *odd: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), *odd)


rows = st.fixed_dictionaries(
    {
        "prediction_id": mostly("id", scalars, st.just("x" * 257)),
        "model": mostly("credit", scalars, st.just("other")),
        "version": mostly("3", scalars),
        "event_time_ms": mostly(NOW_MS, scalars, st.floats(0, 1e13)),
        "features": st.one_of(feature_maps, feature_maps, values_of_any_kind),
    },
    optional={
        "prediction": values_of_any_kind,
        "score": st.one_of(
            st.floats(), values_of_any_kind, st.dictionaries(st.sampled_from("ab"), scalars)
        ),
        "attributions": st.dictionaries(st.sampled_from("ab"), st.floats()),
        "tags": st.dictionaries(st.sampled_from("ab"), scalars),
        "latency_ms": scalars,
        "unheard_of": values_of_any_kind,
    },
)
damage = st.sampled_from([b"", b"}", b"\xff", b"\\", b'"', b"1e999", b"NaN", b"\x00", b" "])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    row_ = draw(rows)
    drop = draw(st.sampled_from([None, None, None, "prediction_id", "model", "event_time_ms"]))
    row_.pop(str(drop), None)
    value = json.dumps(row_, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(damage) + value[at + draw(st.integers(0, 2)) :]
    return value


topic_names = st.sampled_from(["predictions", "predictions", "features"])
