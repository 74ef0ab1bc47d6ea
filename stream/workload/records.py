"""The workload as records in the order in which they are produced, and what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from stream import schemas
from stream.adapters.monitors import encode_monitors
from stream.core.pane.reference import profile_key, profile_to_record
from stream.core.records import Header
from stream.workload.broken import broken
from stream.workload.closing import Last, closing_rows, last_windows
from stream.workload.ids import partition_of
from stream.workload.models import monitors, profiles
from stream.workload.outcomes import labels_of, unmatched
from stream.workload.plan import MINUTE_MS, Plan
from stream.workload.requests import Row, requests, rows_of
from stream.workload.wire import arrow_record, avro_record, json_record

__all__ = ["SOURCES", "Produced", "Workload", "workload"]

SOURCES = ("features", "predictions", "labels")

_FLUSH_MS = MINUTE_MS  # how long a producer of Arrow batches collects rows
_EMPTY = 0.04  # empty batches behind so many


@dataclass(frozen=True, slots=True)
class Produced:
    """One record to produce: all of it is decided, the partition and the timestamp too.

    `topic` is the logical name. `form` and `rows` say what is in it.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    timestamp_ms: int
    form: str
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """All records: `setup` (profiles, monitors) before the rows of `records`, both in order.

    `last` are windows that are written when everything has been (each the last one of its model
    and kind): where all of them stand on `windows`, the workload has been worked off.
    """

    plan: Plan
    setup: tuple[Produced, ...]
    records: tuple[Produced, ...]
    last: tuple[Last, ...]

    @property
    def hex(self) -> str:
        """sha256 of everything that is produced, in order: equal where the workloads are."""
        whole = hashlib.sha256()
        for each in chain(self.setup, self.records):
            told = (each.topic, each.partition, each.key, each.value, each.headers)
            whole.update(repr((*told, each.timestamp_ms)).encode())
        return whole.hexdigest()

    def counts(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """Records and rows by topic and format, sorted."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for each in chain(self.setup, self.records):
            records, rows = found.get((each.topic, each.form), (0, 0))
            found[each.topic, each.form] = (records + 1, rows + each.rows)
        return dict(sorted(found.items()))


@dataclass(slots=True)
class _Batch:
    at_ms: int
    partition: int
    rows: list[dict[str, Any]] = field(default_factory=list)


def workload(plan: Plan) -> Workload:
    """The workload of a plan; the same plan gives the same bytes."""
    rng = np.random.default_rng([plan.seed, 1_000])
    rows: list[Row] = []
    for request in requests(plan):
        rows += rows_of(rng, request)
        rows += labels_of(plan, rng, request)
    rows += unmatched(plan, rng)
    rows += closing_rows(plan)
    records = [*_records(plan, rng, rows)]
    for topic, key, at_ms, value, headers in broken(plan, rng):
        (partition,) = partition_of(plan, [key])
        records.append(Produced(topic, partition, key.encode(), value, headers, at_ms, "broken"))
    records.sort(key=lambda each: each.timestamp_ms)  # stable: rows of one time stay in order
    return Workload(plan, tuple(_setup(plan)), tuple(records), last_windows(plan))


def _setup(plan: Plan) -> Iterator[Produced]:
    """Profiles and monitors; a monitor that changes comes a second time, with its history."""
    for profile in profiles(plan):
        value = schemas.encode_json("reference_profile", profile_to_record(profile))
        yield _json("profiles", profile_key(profile), value, plan.start_ms)
    for changes in monitors(plan):
        for count in range(1, len(changes) + 1):
            value = encode_monitors(changes[:count])
            yield _json("monitors", changes[0].model.encode(), value, plan.start_ms)


def _json(topic: str, key: bytes, value: bytes, at_ms: int) -> Produced:
    headers = (("content-type", b"application/json"),)
    return Produced(topic, 0, key, value, headers, at_ms, "json")


def _records(plan: Plan, rng: np.random.Generator, rows: Sequence[Row]) -> Iterator[Produced]:
    """Rows as records, those of Arrow collected by model, partition and time."""
    partitions = partition_of(plan, [row.body["prediction_id"] for row in rows])
    batches: dict[tuple[object, ...], _Batch] = {}
    order = sorted(range(len(rows)), key=lambda place: rows[place].arrive_ms)
    for turn, place in enumerate(order):
        row, partition = rows[place], partitions[place]
        if row.form != "arrow":
            yield _single(row, partition, turn)
            continue
        flush = row.arrive_ms // _FLUSH_MS
        of_model = (row.body.get("model"), row.body.get("version")) if _is_shared(row) else ()
        key = (row.topic, of_model, partition, row.batch, 0 if row.batch else flush)
        batch = batches.setdefault(key, _Batch(0, partition))
        batch.at_ms = row.arrive_ms if row.batch else (flush + 1) * _FLUSH_MS
        batch.rows.append(row.body)
    yield from _batched(rng, batches)


def _is_shared(row: Row) -> bool:
    """Whether the rows of a record are of one model and version; labels may be of any."""
    return row.topic != "labels"


def _batched(
    rng: np.random.Generator, batches: Mapping[tuple[object, ...], _Batch]
) -> Iterator[Produced]:
    for turn, (key, batch) in enumerate(batches.items()):
        like = batch.rows[0]
        contents: Iterable[list[dict[str, Any]]] = (batch.rows,)
        if rng.random() < _EMPTY:
            contents = (batch.rows, [])
        for rows in contents:
            value, headers = arrow_record(rows, like, turn)
            topic = str(key[0])
            yield Produced(
                topic, batch.partition, None, value, headers, batch.at_ms, "arrow", len(rows)
            )


def _single(row: Row, partition: int, turn: int) -> Produced:
    if row.form == "json":
        value, headers = json_record(row.body, turn)
    else:
        value, headers = avro_record(row.topic, row.body, turn)
    key = row.body["prediction_id"].encode()
    return Produced(row.topic, partition, key, value, headers, row.arrive_ms, row.form)
