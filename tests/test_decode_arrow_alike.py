"""Arrow streams that are alike but for their values: known again, and read as any other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.errors import Reason
from stream.core.records import Slice
from tests.decode_arrow_rows import HEADERS
from tests.decode_rows import NOW_MS, Row, arrow_bytes, decoder, profile, rows_of, slice_of

STATES = pa.array(["CA", "XX", "TX"])


def full(seed: int, rows: int = 5, **given_columns: Any) -> dict[str, Any]:
    """Columns of fixed width without a null."""
    rng = np.random.default_rng(seed)
    own: dict[str, Any] = {
        "prediction_id": pa.array([rng.bytes(16) for _ in range(rows)], pa.binary(16)),
        "event_time_ms": pa.array(NOW_MS - rng.integers(0, 9_999, rows)),
        "features.age": pa.array(rng.normal(1, 1, rows).astype("f4")),
        "features.income": pa.array(rng.integers(0, 9, rows).astype("i2")),
        "features.state": pa.DictionaryArray.from_arrays(
            pa.array(rng.integers(0, 3, rows).astype("i1")), STATES
        ),
        "prediction": pa.array(rng.integers(0, 2, rows).astype("i1")),
        "score": pa.array(rng.random(rows)),
    }
    own.update({name.replace("__", "."): value for name, value in given_columns.items()})
    return own


def arrow_slice(values: list[bytes], topics: list[str] | str = "predictions") -> Slice:
    return slice_of(values, topics, [HEADERS] * len(values))


def learned() -> Any:
    """A decoder that has met such streams before."""
    known = decoder(profile())
    known.decode(arrow_slice([arrow_bytes(full(seed)) for seed in (1, 2)]))
    return known


def read(known: Any, slice_: Slice) -> tuple[dict[tuple[int, int], Row], set[tuple[Any, ...]]]:
    decoded = known.decode(slice_)
    refused = {(r.record, r.reason, r.detail, r.rows) for r in decoded.rejected}
    return rows_of(decoded, profile()), refused


def each_alone(values: list[bytes], topics: list[str]) -> Any:
    rows: dict[tuple[int, int], Row] = {}
    refused: set[tuple[Any, ...]] = set()
    for place, (value, topic) in enumerate(zip(values, topics, strict=True)):
        own, wrong = read(decoder(profile()), arrow_slice([value], topic))
        rows |= {(place, row): found for (_, row), found in own.items()}
        refused |= {(place, *rest) for _, *rest in wrong}
    return rows, refused


def test_streams_that_are_alike_make_one_batch_and_others_another() -> None:
    values = [arrow_bytes(full(seed, rows)) for seed, rows in enumerate((5, 4, 5, 5))]
    alike, other = learned().decode(arrow_slice(values)).batches
    assert alike.record.tolist() == [0] * 5 + [2] * 5 + [3] * 5
    assert alike.row.tolist() == [*range(5)] * 3
    assert other.record.tolist() == [1] * 4


VARIANTS = (
    full,
    full,
    lambda seed: full(seed, 3),
    lambda seed: full(seed, prediction=pa.array([seed % 2 == 0] * 5)),
    lambda seed: full(seed, score=pa.array([0.5, None, 1.0, None, 0.25])),
    lambda seed: full(seed, prediction_id=pa.array([f"{seed}-{i}" for i in range(5)])),
    lambda seed: full(seed, features__late=pa.array([seed] * 5)),
    lambda seed: full(seed, event_time_ms=pa.array([NOW_MS + seed * 200_000] * 5)),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_known_again_is_read_as_if_it_were_new(data: st.DataObject) -> None:
    values, topics = [], []
    for seed in range(data.draw(st.integers(1, 8))):
        value = bytearray(arrow_bytes(data.draw(st.sampled_from(VARIANTS))(seed)))
        for _ in range(data.draw(st.sampled_from([0, 0, 1]))):
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        values.append(bytes(value))
        topics.append(data.draw(st.sampled_from(["predictions", "predictions", "features"])))
    expected = each_alone(values, topics)
    known = learned()
    for _ in range(3):
        assert read(known, arrow_slice(values, topics)) == expected


def test_an_index_beyond_its_dictionary_is_its_own_records_fault() -> None:
    good = [arrow_bytes(full(seed)) for seed in range(3)]
    codes = full(1)["features.state"].indices.to_numpy().tobytes()
    place = good[1].rindex(codes + bytes(3))
    broken = good[1][:place] + b"\x07" + good[1][place + 1 :]
    rows, refused = read(learned(), arrow_slice([good[0], broken, good[2]]))
    assert {(record, reason) for record, reason, *_ in refused} == {(1, Reason.MALFORMED)}
    assert {record for record, _ in rows} == {0, 2}
