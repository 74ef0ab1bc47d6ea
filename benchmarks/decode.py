"""Decode alone, µs a row, against `orjson.loads` of the same values, interleaved.

Last come labels, and what rows cost that carry ids, prediction and score for the join
(`served`), a feature and a tag besides (`plain`), or their JSON (`bodies`).

Run: python -m benchmarks.decode [rounds]
"""

from __future__ import annotations

import gc
import io
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from stream import schemas
from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.records import ModelKey, Slice, Source, Wants
from stream.core.specs import CategoricalVariable, NumericVariable, Profile

ROWS = 2_000
NUMERIC = tuple(f"feature_{j}" for j in range(16))
CATEGORICAL = tuple(f"category_{j}" for j in range(4))
WORDS = ("alpha", "beta", "gamma", "delta")
START_MS = 1_760_000_000_000
ARROW = b"application/vnd.apache.arrow.stream"


def profile_of(model: str) -> Profile:
    edges = tuple(float(x) for x in np.linspace(-4, 4, 65))
    score = tuple(float(x) for x in np.linspace(0, 1, 65))
    return Profile(
        model=ModelKey(model, "3"),
        hash=f"hash-{model}",
        rows=0,
        numeric=(
            *(NumericVariable(f"features.{n}", edges, (0,) * 68, 0, 1, -4, 4) for n in NUMERIC),
            NumericVariable("score", score, (0,) * 68, 0, 1, 0, 1),
        ),
        categorical=(
            *(CategoricalVariable(f"features.{n}", WORDS, (), (0,) * 8) for n in CATEGORICAL),
            CategoricalVariable("prediction", ("0", "1"), (), (0,) * 6),
        ),
    )


def json_value(rng: np.random.Generator, model: str, i: int) -> bytes:
    features: dict[str, object] = {n: round(float(rng.normal()), 4) for n in NUMERIC}
    features |= {n: WORDS[rng.integers(4)] for n in CATEGORICAL}
    return orjson.dumps(
        {
            "prediction_id": str(uuid.UUID(bytes=rng.bytes(16))),
            "model": model,
            "version": "3",
            "event_time_ms": START_MS + i,
            "features": features,
            "prediction": int(rng.integers(2)),
            "score": round(float(rng.random()), 4),
        }
    )


def slice_of(values: list[bytes], partitions: int = 4) -> Slice:
    count = len(values)
    sources = tuple(Source("predictions", p) for p in range(partitions))
    source: npt.NDArray[np.int32] = np.arange(count, dtype=np.int32) % np.int32(partitions)
    offsets = np.arange(count, dtype=np.int64)
    timestamps = np.full(count, START_MS + 10_000, dtype=np.int64)
    return Slice(sources, source, offsets, timestamps, values, None, lambda _i: None)


def best_of(rounds: int, tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(tasks, float("inf"))
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def arrow_value(rng: np.random.Generator, rows: int) -> bytes:
    ids = pa.py_buffer(rng.bytes(16 * rows))
    columns = {
        "prediction_id": pa.Array.from_buffers(pa.binary(16), rows, [None, ids]),
        "event_time_ms": pa.array(np.arange(START_MS, START_MS + rows)),
    }
    for name in NUMERIC:
        columns[f"features.{name}"] = pa.array(rng.normal(size=rows).astype(np.float32))
    for name in CATEGORICAL:
        indices = pa.array(rng.integers(0, 4, rows).astype(np.int8))
        words = pa.array(WORDS)
        columns[f"features.{name}"] = pa.DictionaryArray.from_arrays(indices, words)
    columns["prediction"] = pa.array(rng.integers(0, 2, rows))
    columns["score"] = pa.array(rng.random(rows).astype(np.float32))
    metadata = {"model": "model-0", "version": "3"}
    batch = pa.record_batch(columns).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def label_value(rng: np.random.Generator, i: int) -> bytes:
    return orjson.dumps(
        {
            "prediction_id": str(uuid.UUID(bytes=rng.bytes(16))),
            "label": int(rng.integers(2)),
            "event_time_ms": START_MS + i,
        }
    )


def arrow_labels(rng: np.random.Generator, rows: int, *, text: bool) -> bytes:
    ids = [uuid.UUID(bytes=rng.bytes(16)) for _ in range(rows)]
    columns = {
        "prediction_id": pa.array(list(map(str, ids)))
        if text
        else pa.array([each.bytes for each in ids], pa.binary(16)),
        "label": pa.array(rng.integers(0, 2, rows)),
        "event_time_ms": pa.array(np.arange(START_MS, START_MS + rows)),
    }
    batch = pa.record_batch(columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def report_labels(rounds: int) -> None:
    rng = np.random.default_rng(9)
    decoder = Decoder(Profiles())
    kinds: dict[str, tuple[list[bytes], bytes, int]] = {
        "JSON": ([label_value(rng, i) for i in range(ROWS)], b"application/json", 1)
    }
    for title, text in (("Arrow, UUIDs as text", True), ("Arrow, UUIDs as bytes", False)):
        kinds[title] = ([arrow_labels(rng, 500, text=text) for _ in range(40)], ARROW, 500)
    for title, (values, header, rows) in kinds.items():
        plain = slice_of(values)
        sources = tuple(Source("labels", source.partition) for source in plain.sources)
        slice_ = replace(
            plain, sources=sources, headers=[(("content-type", header),) for _ in values]
        )
        count, labels = rows * len(values), decoder.decode(slice_).labels
        assert labels is not None
        assert len(labels) == count
        best = best_of(rounds, {"decode": partial(decoder.decode, slice_)})["decode"]
        print(f"{'labels, ' + title:34s}            decode {best / count * 1e6:.3f}")


def report_served(title: str, rounds: int, slice_: Slice, rows: int) -> None:
    profiles = Profiles()
    profiles.hear(profile_of("model-0"))
    asked: dict[str, Wants | None] = {
        "none": None,
        "served": Wants(),
        "plain": Wants((CATEGORICAL[0], "tags.country")),
        "bodies": Wants(bodies=True),
    }
    tasks: dict[str, Callable[[], object]] = {}
    for name, wants in asked.items():
        decoder = Decoder(profiles, wants=partial(_answer, wants))
        for _ in range(2):
            decoder.decode(slice_)
        tasks[name] = partial(decoder.decode, slice_)
    best = best_of(rounds, tasks)
    told = "   ".join(f"{name} {best[name] / rows * 1e6:.3f}" for name in asked)
    print(f"{title:24s} {told}")


def _answer(wants: Wants | None, _model: str) -> Wants | None:
    return wants


def report_bytes(title: str, rounds: int, values: list[bytes], rows: int, header: str) -> None:
    profiles = Profiles()
    profiles.hear(profile_of("model-0"))
    own = {name: schemas.schema(name) for name in ("prediction", "feature_row")}
    decoder = Decoder(profiles, None, own)
    slice_ = replace(
        slice_of(values), headers=[(("content-type", header.encode()),) for _ in values]
    )
    decoded = decoder.decode(slice_)
    assert sum(map(len, decoded.batches)) == rows, decoded.rejected[:3]
    best = best_of(rounds, {"decode": lambda: decoder.decode(slice_)})["decode"]
    size = sum(map(len, values)) / rows
    print(f"{title:24s} {size:5.0f} B                 decode {best / rows * 1e6:.3f}")


def report(title: str, rounds: int, models: int) -> None:
    rng = np.random.default_rng(7)
    profiles = Profiles()
    for m in range(models):
        profiles.hear(profile_of(f"model-{m}"))
    values = [json_value(rng, f"model-{i % models}", i) for i in range(ROWS)]
    slice_ = slice_of(values)
    decoder = Decoder(profiles)
    for _ in range(2):
        decoded = decoder.decode(slice_)
    assert sum(map(len, decoded.batches)) == ROWS, decoded.rejected[:3]
    best = best_of(
        rounds,
        {
            "orjson": lambda: [orjson.loads(value) for value in values],
            "decode": lambda: decoder.decode(slice_),
        },
    )
    base, own = (best[name] / ROWS * 1e6 for name in ("orjson", "decode"))
    size = sum(map(len, values)) / ROWS
    print(f"{title:24s} {size:5.0f} B   orjson {base:.2f}   decode {own:.2f}   {own / base:.2f} x")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print("µs a row, best of", rounds)
    report("JSON, one model", rounds, 1)
    report("JSON, 1,000 models", rounds, 1_000)
    rng = np.random.default_rng(8)
    for rows in (500, 1_000):
        values = [arrow_value(rng, rows) for _ in range(40)]
        title = f"Arrow, {rows} rows a record"
        report_bytes(title, rounds, values, 40 * rows, ARROW.decode())
    plain = [orjson.loads(json_value(rng, "model-0", i)) for i in range(500)]
    bodies = [schemas.encode_avro("prediction", row) for row in plain]
    report_bytes("Avro", rounds, bodies, len(bodies), "application/avro")
    report_labels(rounds)
    texts = slice_of([json_value(rng, "model-0", i) for i in range(ROWS)])
    report_served("JSON, one model", rounds, texts, ROWS)
    batches = slice_of([arrow_value(rng, 500) for _ in range(40)])
    headed = replace(batches, headers=[(("content-type", ARROW),)] * len(batches))
    report_served("Arrow, 500 rows a record", rounds, headed, 40 * 500)


if __name__ == "__main__":
    main()
