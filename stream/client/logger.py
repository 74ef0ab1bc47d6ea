"""What the loggers have in common: an outbox, and the way rows get into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Self

from stream.client.buffer import Entry
from stream.client.columns import Column, rows_of
from stream.client.counters import Counters
from stream.client.encode import Encode, avro_encoder, encode_json
from stream.client.options import Options
from stream.client.outbox import Outbox
from stream.client.packers import FramedPacker, RowPacker
from stream.client.record import Packer
from stream.core.errors import BufferFullError, ConfigError, SchemaError

__all__ = ["RowLogger"]

_CLOSE_SECONDS = 10.0


class RowLogger:
    """Buffers rows and sends them from a thread of its own. Safe for threads and forks."""

    def __init__(self, options: Options, schema_name: str, shared: Mapping[str, str]) -> None:
        self._options = options
        self._shared = shared
        self._encode = _encoder(options, schema_name)
        self._outbox = Outbox(options, partial(_packer, options, schema_name, shared))

    @property
    def counters(self) -> Counters:
        """How many rows were delivered, failed, were dropped, wait, and were rejected.

        This process's: a forked child begins with zeros.
        """
        return self._outbox.counters

    def flush(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """True as soon as no row waits any more, False after `timeout` seconds.

        Rows that others log meanwhile are waited for as well. True doesn't say that all were
        delivered: see `counters`.
        """
        return self._outbox.flush(timeout)

    def close(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """Sends what waits, for at most `timeout` seconds, and ends; more calls do nothing.

        False where rows were given up: they are counted as failed or dropped.
        """
        return self._outbox.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: make one in each process (a forked child "
            "may use its parent's)"
        )

    def _tolerates(self, fault: Exception, rows: int) -> bool:
        """Counts rows that could not be logged; False where the caller is to hear of it."""
        if self._options.on_error == "raise" or isinstance(fault, BufferFullError):
            return False
        self._outbox.reject(rows, fault)
        return True

    def _put_rows(self, rows: Iterable[tuple[bytes, dict[str, Any]]]) -> None:
        """Buffers all rows, each with its key; one that cannot be sent leaves nothing behind."""
        if self._options.format == "arrow":
            entries = _arrow().row_entries(rows)
            for entry in entries:
                self._check_size(entry.size, entry.value)
            self._outbox.put(entries)
        else:
            self._outbox.put([self._encoded(key, row) for key, row in rows])

    def _put_columns(
        self, keys: list[bytes], times: list[int], columns: Mapping[str, Column]
    ) -> None:
        """Buffers rows given as columns by path, as one table where the format is Arrow."""
        ids = [key.decode() for key in keys]
        if self._options.format == "arrow":
            entries = _arrow().column_entries(self._options, ids, times, columns)
            if entries is not None:
                self._outbox.put(entries)
                return
        identity = zip(keys, ids, times, rows_of(columns, len(keys)), strict=True)
        self._put_rows(
            (key, {"prediction_id": text, **self._shared, "event_time_ms": time_ms, **values})
            for key, text, time_ms, values in identity
        )

    def _encoded(self, key: bytes, row: dict[str, Any]) -> Entry[bytes]:
        body = self._encode(row)
        size = len(body) + len(key)
        self._check_size(size, row)
        return Entry(key, body, 1, size)

    def _check_size(self, size: int, row: Mapping[str, Any]) -> None:
        if size > self._options.max_record_bytes:
            raise SchemaError(
                f"prediction {row['prediction_id']!r}: {size} bytes are more than the "
                f"{self._options.max_record_bytes} a record may have: log fewer features"
            )


def _encoder(options: Options, schema_name: str) -> Encode:
    return avro_encoder(schema_name) if options.format == "avro" else encode_json


def _packer(options: Options, schema_name: str, shared: Mapping[str, str]) -> Packer:
    """How buffered rows of that schema become records."""
    if options.format == "arrow":
        most_rows = max(1, options.outstanding_rows // 2)
        packer: Packer = _arrow().ArrowPacker(
            shared, options.batch_rows, most_rows, options.max_record_bytes
        )
        return packer
    if options.registry_url is not None:
        return FramedPacker(options.registry_url, schema_name)
    if options.format == "avro":
        name = schema_name.encode()
        return RowPacker([("content-type", b"application/avro"), ("schema", name)])
    return RowPacker()


def _arrow() -> ModuleType:
    """The module that needs pyarrow."""
    try:
        from stream.client import arrow
    except ImportError as missing:
        raise ConfigError(
            "format: arrow needs pyarrow: pip install 'driftstream[arrow]'"
        ) from missing
    return arrow
