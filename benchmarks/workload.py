"""The rows that the throughput benchmark reads: 20 features, about 480 bytes of JSON each.

Sixteen features are numeric and four categorical. Rows are stitched from a pool of seeded
bodies; ids and event times are new in each row. Event times advance a millisecond every 100 rows,
about as fast as a worker reads JSON: a live stream at capacity. They end before now, so no row is
in the future.
"""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import fastavro
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from stream import schemas
from stream.client.arrow_tables import compact
from stream.core.pane.content import content_hash, profile_to_record
from stream.core.pane.reference import LabelColumn, build_profile
from stream.core.records import ModelKey, RawColumns
from stream.core.specs import Profile

__all__ = [
    "ARROW_ROWS",
    "CATEGORICAL",
    "MODEL",
    "POOL_ROWS",
    "Pool",
    "arrow_ids",
    "arrow_moment_ms",
    "arrow_records",
    "arrow_rows",
    "arrow_stream",
    "arrow_value",
    "avro_rows",
    "ids",
    "json_rows",
    "model_keys",
    "moment_ms",
    "renamed",
    "start_ms",
]

MODEL = ModelKey("credit", "3")
ARROW_ROWS = 1_000  # rows in one Arrow record: the SDK's default

_NUMERIC = 16
CATEGORICAL = {
    "state": ["CA", "NY", "TX", "WA", "OR"],
    "channel": ["web", "app", "phone"],
    "plan": ["basic", "plus", "pro"],
    "segment": ["new", "known", "vip"],
}
POOL_ROWS = 20_000
_ROWS_A_MS = 100
_SPREAD_MS = 3 * 3_600_000  # event times begin this long before now


class Pool:
    """Seeded rows to stitch from: values by column, and their profile's columns."""

    def __init__(
        self,
        seed: int = 7,
        numeric: int = _NUMERIC,
        categorical: Mapping[str, Sequence[str]] = CATEGORICAL,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.names = [f"amount_{i:02}" for i in range(numeric)]
        self.texts = categorical
        self.numeric: npt.NDArray[np.float32] = (
            rng.normal(0, 1, (numeric, POOL_ROWS)).round(2).astype("f4")
        )
        self.categories: dict[str, npt.NDArray[np.int8 | np.int16]] = {
            name: rng.integers(0, len(values), POOL_ROWS).astype(np.int8)
            for name, values in categorical.items()
        }
        self.score: npt.NDArray[np.float32] = rng.random(POOL_ROWS).round(3).astype("f4")
        self.prediction = (self.score > 0.5).astype(np.int8)
        self.label = (rng.random(POOL_ROWS) < self.score).astype(np.int8)

    def features(self, place: int) -> dict[str, float | str]:
        """The features of one pooled row."""
        row: dict[str, float | str] = {
            name: round(float(self.numeric[i, place]), 2) for i, name in enumerate(self.names)
        }
        for name, values in self.texts.items():
            row[name] = values[int(self.categories[name][place])]
        return row

    def profile(self, model: ModelKey, *, labelled: bool = False) -> Profile:
        """The reference profile of the pool; with what its labels say where it is `labelled`."""
        columns: RawColumns = {
            f"features.{name}": self.numeric[i].round(2).astype(float).tolist()
            for i, name in enumerate(self.names)
        }
        for name, values in self.texts.items():
            columns[f"features.{name}"] = [values[code] for code in self.categories[name]]
        columns["score"] = self.score.astype(float).tolist()
        columns["prediction"] = self.prediction.tolist()
        label = LabelColumn(self.label.tolist()) if labelled else None
        return build_profile(model, columns, label=label)

    def profiles(self, models: list[ModelKey], *, labelled: bool = False) -> list[Profile]:
        """The same profile for each of the models."""
        first = self.profile(models[0], labelled=labelled)
        return [first, *(renamed(first, model) for model in models[1:])]

    def tails(self) -> list[bytes]:
        """What follows the event time in each pooled JSON row."""
        return [
            b',"features":'
            + orjson.dumps(self.features(place))
            + b',"prediction":%d,"score":%.3f}' % (self.prediction[place], self.score[place])
            for place in range(POOL_ROWS)
        ]


def renamed(profile: Profile, model: ModelKey) -> Profile:
    """The profile as another model's: its bins, its own hash."""
    copy = replace(profile, model=model)
    return replace(copy, hash=content_hash(profile_to_record(copy)))


def model_keys(count: int) -> list[ModelKey]:
    """The models of the many-models workload."""
    return [ModelKey(f"model-{i:04}", "1") for i in range(count)]


def start_ms() -> int:
    """The event time of the first row."""
    return int(time.time() * 1000) - _SPREAD_MS


def ids(count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Random UUIDs as text, made `count` at a time, without end."""
    while True:
        block = rng.bytes(16 * count)
        for i in range(count):
            yield str(uuid.UUID(bytes=block[16 * i : 16 * i + 16])).encode()


def json_rows(
    pool: Pool,
    count: int,
    models: list[ModelKey],
    begin_ms: int,
    rows_a_ms: float = _ROWS_A_MS,
) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of JSON predictions, the models round robin."""
    tails = pool.tails()
    keys = ids(1000, np.random.default_rng(1))
    middles = [
        b'","model":"%s","version":"%s","event_time_ms":' % (m.model.encode(), m.version.encode())
        for m in models
    ]
    for i in range(count):
        key = next(keys)
        moment = b"%d" % moment_ms(i, begin_ms, rows_a_ms)
        middle = middles[i % len(middles)]
        yield key, b'{"prediction_id":"' + key + middle + moment + tails[i % POOL_ROWS]


def moment_ms(row: int, begin_ms: int, rows_a_ms: float = _ROWS_A_MS) -> int:
    """The event time of the row of this number."""
    return begin_ms + int(row / rows_a_ms)


def avro_rows(pool: Pool, count: int, begin_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of Avro predictions by our own schema, without a frame."""
    keys = ids(1000, np.random.default_rng(2))
    schema = schemas.schema("prediction")
    rows: list[dict[str, object]] = [
        {
            "prediction_id": "",
            "model": MODEL.model,
            "version": MODEL.version,
            "event_time_ms": 0,
            "features": pool.features(place),
            "prediction": int(pool.prediction[place]),
            "score": float(pool.score[place]),
        }
        for place in range(2_000)
    ]
    for i in range(count):
        key = next(keys)
        row = rows[i % len(rows)]
        row["prediction_id"], row["event_time_ms"] = key.decode(), moment_ms(i, begin_ms)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, row)
        yield key, body.getvalue()


def arrow_records(
    pool: Pool, records: int, partitions: int, begin_ms: int, rows_a_ms: float = _ROWS_A_MS
) -> Iterator[tuple[int, bytes]]:
    """(partition, value) of Arrow batches of ARROW_ROWS rows; the partitions take turns."""
    rng = np.random.default_rng(3)
    for record in range(records):
        moment_ms = arrow_moment_ms(record // partitions, begin_ms, rows_a_ms)
        row_ids = rng.bytes(16 * ARROW_ROWS)
        yield record % partitions, arrow_value(pool, record, moment_ms, row_ids, rows_a_ms)


def arrow_moment_ms(turn: int, begin_ms: int, rows_a_ms: float = _ROWS_A_MS) -> int:
    """The event time of the first row of a partition's batch of this number."""
    return moment_ms(turn * ARROW_ROWS, begin_ms, rows_a_ms)


def arrow_value(
    pool: Pool, record: int, moment_ms: int, row_ids: bytes, rows_a_ms: float = _ROWS_A_MS
) -> bytes:
    """One Arrow batch of predictions, their ids 16 bytes each.

    Numbers are float32, categories dictionaries, as the SDK sends them.
    """
    pick = arrow_rows(record)
    columns: dict[str, pa.Array] = {
        "prediction_id": arrow_ids(row_ids),
        "event_time_ms": pa.array(moment_ms + (np.arange(ARROW_ROWS) / rows_a_ms).astype(np.int64)),
    }
    for i, name in enumerate(pool.names):
        columns[f"features.{name}"] = pa.array(pool.numeric[i, pick])
    for name, codes in pool.categories.items():
        values = pa.array(pool.texts[name])
        texts = pa.DictionaryArray.from_arrays(pa.array(codes[pick]), values)
        columns[f"features.{name}"] = texts if codes.dtype == np.int8 else _few(texts)
    columns["prediction"] = pa.array(pool.prediction[pick])
    columns["score"] = pa.array(pool.score[pick])
    return arrow_stream(columns, {"model": MODEL.model, "version": MODEL.version})


def _few(texts: pa.Array) -> pa.Array:
    """The texts as the SDK sends them: numbered where many are alike."""
    table = compact(pa.table({"texts": texts.cast(pa.string())}))
    return table.column("texts").combine_chunks()


def arrow_rows(record: int) -> slice:
    """The rows of the pool that the batch of this number holds."""
    at = (record * ARROW_ROWS) % (POOL_ROWS - ARROW_ROWS)
    return slice(at, at + ARROW_ROWS)


def arrow_ids(row_ids: bytes) -> pa.Array:
    """A column of ids of 16 bytes."""
    return pa.Array.from_buffers(pa.binary(16), len(row_ids) // 16, [None, pa.py_buffer(row_ids)])


def arrow_stream(columns: dict[str, pa.Array], metadata: dict[str, str]) -> bytes:
    """One record batch as an Arrow IPC stream."""
    batch = pa.record_batch(columns).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
