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
from collections.abc import Iterator

import fastavro
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from stream import schemas
from stream.core.pane.reference import build_profile
from stream.core.records import ModelKey, RawColumns
from stream.core.specs import Profile

__all__ = ["ARROW_ROWS", "MODEL", "Pool", "arrow_records", "avro_rows", "json_rows", "model_keys"]

MODEL = ModelKey("credit", "3")
ARROW_ROWS = 1_000  # rows in one Arrow record: the SDK's default

_NUMERIC = [f"amount_{i:02}" for i in range(16)]
_CATEGORICAL = {
    "state": ["CA", "NY", "TX", "WA", "OR"],
    "channel": ["web", "app", "phone"],
    "plan": ["basic", "plus", "pro"],
    "segment": ["new", "known", "vip"],
}
_POOL = 20_000
_ROWS_A_MS = 100
_SPREAD_MS = 3 * 3_600_000  # event times begin this long before now


class Pool:
    """Seeded rows to stitch from: values by column, and their profile's columns."""

    def __init__(self, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.numeric: npt.NDArray[np.float32] = rng.normal(0, 1, (16, _POOL)).round(2).astype("f4")
        self.categories = {
            name: rng.integers(0, len(values), _POOL).astype(np.int8)
            for name, values in _CATEGORICAL.items()
        }
        self.score: npt.NDArray[np.float32] = rng.random(_POOL).round(3).astype("f4")
        self.prediction = (self.score > 0.5).astype(np.int8)

    def features(self, place: int) -> dict[str, float | str]:
        """The features of one pooled row."""
        row: dict[str, float | str] = {
            name: round(float(self.numeric[i, place]), 2) for i, name in enumerate(_NUMERIC)
        }
        for name, values in _CATEGORICAL.items():
            row[name] = values[int(self.categories[name][place])]
        return row

    def profile(self, model: ModelKey) -> Profile:
        """The reference profile of the pool."""
        columns: RawColumns = {
            f"features.{name}": self.numeric[i].round(2).astype(float).tolist()
            for i, name in enumerate(_NUMERIC)
        }
        for name, values in _CATEGORICAL.items():
            columns[f"features.{name}"] = [values[code] for code in self.categories[name]]
        columns["score"] = self.score.astype(float).tolist()
        columns["prediction"] = self.prediction.tolist()
        return build_profile(model, columns)

    def tails(self) -> list[bytes]:
        """What follows the event time in each pooled JSON row."""
        return [
            b',"features":'
            + orjson.dumps(self.features(place))
            + b',"prediction":%d,"score":%.3f}' % (self.prediction[place], self.score[place])
            for place in range(_POOL)
        ]


def model_keys(count: int) -> list[ModelKey]:
    """The models of the many-models workload."""
    return [ModelKey(f"model-{i:04}", "1") for i in range(count)]


def start_ms() -> int:
    """The event time of the first row."""
    return int(time.time() * 1000) - _SPREAD_MS


def _ids(count: int, rng: np.random.Generator) -> Iterator[bytes]:
    while True:
        block = rng.bytes(16 * count)
        for i in range(count):
            yield str(uuid.UUID(bytes=block[16 * i : 16 * i + 16])).encode()


def json_rows(
    pool: Pool, count: int, models: list[ModelKey], begin_ms: int
) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of JSON predictions, the models round robin."""
    tails = pool.tails()
    ids = _ids(1000, np.random.default_rng(1))
    middles = [
        b'","model":"%s","version":"%s","event_time_ms":' % (m.model.encode(), m.version.encode())
        for m in models
    ]
    for i in range(count):
        key = next(ids)
        moment = b"%d" % (begin_ms + i // _ROWS_A_MS)
        middle = middles[i % len(middles)]
        yield key, b'{"prediction_id":"' + key + middle + moment + tails[i % _POOL]


def avro_rows(pool: Pool, count: int, begin_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of Avro predictions by our own schema, without a frame."""
    ids = _ids(1000, np.random.default_rng(2))
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
        key = next(ids)
        row = rows[i % len(rows)]
        row["prediction_id"], row["event_time_ms"] = key.decode(), begin_ms + i // _ROWS_A_MS
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, row)
        yield key, body.getvalue()


def arrow_records(
    pool: Pool, records: int, partitions: int, begin_ms: int
) -> Iterator[tuple[int, bytes]]:
    """(partition, value) of Arrow batches of ARROW_ROWS rows; the partitions take turns.

    Numbers are float32, categories dictionaries, ids 16 bytes, as the SDK sends them.
    """
    rng = np.random.default_rng(3)
    metadata = {"model": MODEL.model, "version": MODEL.version}
    dictionaries = {name: pa.array(values) for name, values in _CATEGORICAL.items()}
    for record in range(records):
        at = (record * ARROW_ROWS) % (_POOL - ARROW_ROWS)
        pick = slice(at, at + ARROW_ROWS)
        first = record // partitions * ARROW_ROWS
        times = begin_ms + np.arange(first, first + ARROW_ROWS, dtype=np.int64) // _ROWS_A_MS
        ids = pa.py_buffer(rng.bytes(16 * ARROW_ROWS))
        columns: dict[str, pa.Array] = {
            "prediction_id": pa.Array.from_buffers(pa.binary(16), ARROW_ROWS, [None, ids]),
            "event_time_ms": pa.array(times),
        }
        for i, name in enumerate(_NUMERIC):
            columns[f"features.{name}"] = pa.array(pool.numeric[i, pick])
        for name, codes in pool.categories.items():
            indices = pa.array(codes[pick])
            column = pa.DictionaryArray.from_arrays(indices, dictionaries[name])
            columns[f"features.{name}"] = column
        columns["prediction"] = pa.array(pool.prediction[pick])
        columns["score"] = pa.array(pool.score[pick])
        batch = pa.record_batch(columns).replace_schema_metadata(metadata)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield record % partitions, sink.getvalue()
