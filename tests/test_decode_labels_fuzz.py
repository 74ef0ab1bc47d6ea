"""Any labels and any bytes: every format gives the same labels, each record ends in one place."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import schemas
from stream.core.records import Decoded, Header
from tests.decode_labels import expected, seen
from tests.decode_rows import ARROW, NOW_MS, arrow_bytes, decoder, profile, slice_of, text
from tests.decode_strategies import damage, mostly, scalars, values_of_any_kind

AVRO: tuple[Header, ...] = (("content-type", b"application/avro"),)
BATCH: tuple[Header, ...] = (("content-type", ARROW.encode()),)

labels = st.fixed_dictionaries(
    {
        "prediction_id": mostly("id", scalars, st.just("x" * 257)),
        "label": st.one_of(scalars, scalars, values_of_any_kind),
        "event_time_ms": mostly(NOW_MS, scalars, st.floats(0, 1e13)),
    },
    optional={"model": mostly("credit", scalars), "unheard_of": values_of_any_kind},
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    row = draw(labels)
    drop = draw(st.sampled_from([None, None, None, "prediction_id", "label", "event_time_ms"]))
    row.pop(str(drop), None)
    value = json.dumps(row, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(damage) + value[at + draw(st.integers(0, 2)) :]
    return value


def places(found: Decoded) -> tuple[set[int], set[int]]:
    return {record for record, _ in seen(found.labels)}, {r.record for r in found.rejected}


@settings(deadline=None)
@given(st.lists(texts(), max_size=12), st.data())
def test_a_label_depends_on_nothing_beside_it(values: list[bytes], data: st.DataObject) -> None:
    whole = decoder().decode(slice_of(values, "labels"))
    accepted, refused = places(whole)
    assert not accepted & refused
    assert accepted | refused == set(range(len(values)))
    decode = decoder(profile())
    cut = data.draw(st.integers(0, len(values)))
    found: dict[tuple[int, int], Any] = {}
    rejected = []
    for start, part in ((0, values[:cut]), (cut, values[cut:])):
        decoded = decode.decode(slice_of(part, "labels"))
        found |= {(r + start, row): each for (r, row), each in seen(decoded.labels).items()}
        rejected += [(r.record + start, r.reason, r.detail) for r in decoded.rejected]
    assert found == seen(whole.labels)
    assert rejected == [(r.record, r.reason, r.detail) for r in whole.rejected]


ids = st.one_of(st.uuids().map(str), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
usual = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=8),
    st.lists(st.none() | st.floats(), max_size=8),
    st.lists(st.none() | st.booleans(), max_size=8),
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=8),
    st.lists(st.none() | st.sampled_from(["1", "1.0", "-0", "yes", "2e3", "nan", ""]), max_size=8),
)


@settings(deadline=None)
@given(usual, st.booleans(), st.data())
def test_labels_of_every_format_are_the_same(
    values: list[Any], encoded: bool, data: st.DataObject
) -> None:
    count = len(values)
    keys = [each[:60] for each in data.draw(st.lists(ids, min_size=count, max_size=count))]
    models = data.draw(
        st.lists(st.sampled_from([None, "a", "b", ""]), min_size=count, max_size=count)
    )
    rows = [
        {"prediction_id": key, "label": value, "event_time_ms": NOW_MS - i, "model": model}
        for i, (key, value, model) in enumerate(zip(keys, values, models, strict=True))
    ]
    finite = {
        i: expected(row)
        for i, row in enumerate(rows)
        if not isinstance(row["label"], float) or math.isfinite(row["label"])
    }
    by_json = decoder().decode(slice_of([text(row) for row in rows], "labels"))
    headers = [(*AVRO, ("schema", b"label"))] * count
    bodies = [schemas.encode_avro("label", row) for row in rows]
    by_avro = decoder().decode(slice_of(bodies, "labels", headers=headers))
    for found in (by_json, by_avro):
        assert seen(found.labels) == {(i, 0): each for i, each in finite.items()}
        assert places(found)[1] == set(range(count)) - finite.keys()
    if not rows:
        return
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    if encoded and not pa.types.is_null(columns["label"].type):
        columns["label"] = columns["label"].dictionary_encode()
    batch = arrow_bytes(columns, None)
    by_arrow = decoder().decode(slice_of([batch], "labels", headers=[BATCH]))
    assert seen(by_arrow.labels) == {(0, i): each for i, each in finite.items()}


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_it_raise(values: list[bytes]) -> None:
    accepted, refused = places(decoder().decode(slice_of(values, "labels")))
    assert accepted | refused == set(range(len(values)))


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_a_batch_makes_it_raise(data: st.DataObject) -> None:
    whole = arrow_bytes(
        {
            "prediction_id": pa.array(["a", "b"]),
            "label": pa.array(["yes", None]).dictionary_encode(),
            "event_time_ms": pa.array([NOW_MS, NOW_MS]),
        },
        None,
    )
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(st.binary(min_size=1, max_size=4)) + whole[at + 1 :]
    accepted, refused = places(decoder().decode(slice_of([broken], "labels", headers=[BATCH])))
    assert accepted | refused == {0}
