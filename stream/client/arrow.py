"""Rows as Arrow batches: one Kafka record holds many rows of one partition.

A record is an Arrow IPC stream whose columns are `prediction_id`, `event_time_ms`,
`features.<name>` and so on; what all rows share (model, version) is in the schema's metadata. A
record has no key: its rows were partitioned by the murmur2 of their ids before they were batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaException, Producer

from stream.client.arrow_tables import compact, is_same_type, rows_to_tables, table_of
from stream.client.buffer import Entry
from stream.client.columns import Column
from stream.client.encode import encode_json
from stream.client.options import Options
from stream.client.record import Record
from stream.core.partitioner import partitions_of

__all__ = ["ArrowPacker", "column_entries", "row_entries"]

_METADATA_SECONDS = 1.0


def row_entries(rows: Iterable[tuple[bytes, dict[str, Any]]]) -> list[Entry[Any]]:
    """An entry a row; `size` is the row's size as JSON.

    Raises SchemaError as the encoding as JSON does, so that a row can't spoil a batch later.
    """
    entries = []
    for key, row in rows:
        if "features" in row:
            row["features"] = dict(row["features"])  # the caller may change its own
        entries.append(Entry(key, row, 1, len(encode_json(row))))
    return entries


def column_entries(
    options: Options, ids: Sequence[str], times: Sequence[int], columns: Mapping[str, Column]
) -> list[Entry[Any]] | None:
    """Entries of consecutive rows given as columns; None where a column mixes types."""
    table = table_of(ids, times, columns)
    rows = len(ids)
    if table is None or rows == 0:
        return None
    row_bytes = table.nbytes // rows + 1
    most_rows = min(options.batch_rows, options.outstanding_rows // 2)
    step = max(1, min(most_rows, options.outstanding_bytes // (2 * row_bytes)))
    slices = [table.slice(start, step) for start in range(0, rows, step)]
    return [Entry(None, each, each.num_rows, row_bytes * each.num_rows) for each in slices]


class ArrowPacker:
    """Partitions rows and packs up to `batch_rows` of one partition into a record."""

    def __init__(
        self, shared: Mapping[str, str], batch_rows: int, most_rows: int, max_record_bytes: int
    ) -> None:
        self.headers: list[tuple[str, bytes]] | None = [
            ("content-type", b"application/vnd.apache.arrow.stream")
        ]
        self.fewest = batch_rows
        self._shared = dict(shared)
        self._batch_rows = batch_rows
        self._most_rows = most_rows
        self._max_record_bytes = max_record_bytes
        self._partitions = 1
        self._warm_up()

    def prepare(self, producer: Producer, topic: str) -> str | None:
        """Asks the broker how many partitions the topic has; returns why it isn't known."""
        try:
            known = producer.list_topics(topic, timeout=_METADATA_SECONDS).topics[topic]
        except KafkaException as fault:
            return f"the number of partitions isn't known: {fault.args[0].str()}"
        if known.error is not None or not known.partitions:
            why = known.error.str() if known.error is not None else "it has no partitions"
            return f"the topic cannot be used: {why}; `driftstream topics create` makes it"
        self._partitions = len(known.partitions)
        self.fewest = max(1, min(self._batch_rows * self._partitions, self._most_rows))
        return None

    def pack(self, entries: Sequence[Entry[Any]]) -> list[Record]:
        """Records of the entries' rows; rows of one id stay in order: the last label counts."""
        records: list[Record] = []
        for are_rows, run in groupby(entries, lambda entry: isinstance(entry.value, dict)):
            values = [entry.value for entry in run]
            for table in rows_to_tables(values) if are_rows else _joined(values):
                own = [name for name in table.column_names if name not in self._shared]
                records += self._partitioned(table.select(own))
        return records

    def _warm_up(self) -> None:
        """Packs a row for nothing: pyarrow imports at first use, too late at the process's end."""
        row = {"prediction_id": "", "event_time_ms": 0, "features": {"x": ""}}
        for table in rows_to_tables([row, row]):
            self._partitioned(pa.concat_tables([table]))

    def _partitioned(self, table: Any) -> list[Record]:
        ids = table.column("prediction_id").cast(pa.binary()).to_pylist()
        partitions = partitions_of(ids, self._partitions)
        counts = np.bincount(partitions, minlength=self._partitions)
        if counts.max() < len(ids):
            table = table.take(np.argsort(partitions, kind="stable"))
        records: list[Record] = []
        start = 0
        for partition, count in enumerate(counts.tolist()):
            for first in range(start, start + count, self._batch_rows):
                rows = min(self._batch_rows, start + count - first)
                records += self._records(table.slice(first, rows), partition)
            start += count
        return records

    def _records(self, table: Any, partition: int) -> list[Record]:
        """The rows as one record, or as several where one would be too large to send."""
        value = self._written(table)
        rows = table.num_rows
        if len(value) <= self._max_record_bytes:
            return [Record(None, value, rows, len(value), partition)]
        if rows == 1:
            return []
        half = rows // 2
        halves = (table.slice(0, half), table.slice(half))
        return [record for each in halves for record in self._records(each, partition)]

    def _written(self, table: Any) -> bytes:
        table = compact(table).replace_schema_metadata(self._shared)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        value: bytes = sink.getvalue().to_pybytes()
        return value


def _joined(tables: Sequence[Any]) -> list[Any]:
    """The tables, neighbours of the same columns put together."""
    alike: list[list[Any]] = []
    for table in tables:
        if alike and is_same_type(alike[-1][0], table):
            alike[-1].append(table)
        else:
            alike.append([table])
    return [pa.concat_tables(group) for group in alike]
