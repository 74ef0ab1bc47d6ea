"""What the loggers have in common: an outbox, and the way rows get into it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from stream.client.buffer import Entry
from stream.client.encode import Encode, avro_encoder, encode_json
from stream.client.feeder import Counters, Packer
from stream.client.options import Options
from stream.client.outbox import Outbox
from stream.client.packers import FramedPacker, RowPacker
from stream.core.errors import SchemaError

__all__ = ["RowLogger", "row_encoder", "row_packer"]

_CLOSE_SECONDS = 10.0


class RowLogger:
    """Buffers rows and sends them from a thread of its own. Safe for threads and forks."""

    def __init__(self, options: Options, outbox: Outbox) -> None:
        self._options = options
        self._outbox = outbox

    @property
    def counters(self) -> Counters:
        """How many rows were delivered, failed, were dropped, and wait (this process's)."""
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

    def _put_rows(self, rows: Iterable[tuple[bytes, dict[str, Any]]], encode: Encode) -> None:
        """Encodes all rows, then buffers them: a row that does not fit leaves nothing behind."""
        entries = []
        for key, row in rows:
            body = encode(row)
            size = len(body) + len(key)
            if size > self._options.max_record_bytes:
                raise SchemaError(
                    f"prediction {row['prediction_id']!r}: {size} bytes are more than the "
                    f"{self._options.max_record_bytes} a record may have: log fewer features"
                )
            entries.append(Entry(key, body, 1, size))
        self._outbox.put(entries)


def row_encoder(options: Options, schema_name: str) -> Encode:
    """How rows of that schema are encoded in the format that the options name."""
    return encode_json if options.format == "json" else avro_encoder(schema_name)


def row_packer(options: Options, schema_name: str) -> Packer:
    """How encoded rows of that schema become records."""
    if options.format == "json":
        return RowPacker()
    if options.registry_url is not None:
        return FramedPacker(options.registry_url, schema_name)
    name = schema_name.encode()
    return RowPacker([("content-type", b"application/avro"), ("schema", name)])
