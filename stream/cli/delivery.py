"""What every command that sends a table does: pace, progress, and making sure that all arrived."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream.cli.reading import check_topic
from stream.client import LabelLogger, PredictionLogger
from stream.core.errors import BrokerError, InputError
from stream.core.records import Int64s
from stream.settings import Settings

__all__ = [
    "check_topics",
    "delivered",
    "event_times",
    "id_texts",
    "logger_options",
    "paced",
    "progress_bar",
]

_AT_ONCE = 1_000
_STEP_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0
_ASK_SECONDS = 10.0
_EARLIEST_MS = 100_000_000_000  # of the year 1973: smaller integers are seconds, or years


def logger_options(settings: Settings, row_format: str) -> dict[str, Any]:
    """What a logger is told; a registry is for Avro alone."""
    kafka = settings.client_config()
    return {
        "bootstrap_servers": kafka.pop("bootstrap.servers"),
        "topic_prefix": settings.topic_prefix,
        "format": row_format,
        "registry_url": _registry_url(settings) if row_format == "avro" else None,
        "kafka": kafka,
        "on_full": "block",
        "block_seconds": _PATIENCE_SECONDS,
    }


def _registry_url(settings: Settings) -> str | None:
    """The registry with its user and password, as a logger takes them."""
    url, user = settings.registry_url, settings.registry_user
    if not url or not user:
        return url or None
    scheme, _, place = url.partition("://")
    password = settings.registry_password.get_secret_value()
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{place}"


def event_times(table: pa.Table, column: str) -> Int64s:
    """A column's times in UTC milliseconds: timestamps, dates, or integers that are such.

    Raises InputError for other types and for missing times.
    """
    values = table.column(column)
    if values.null_count:
        raise InputError(f"column {column!r}: {values.null_count} rows have no time")
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_date(kind):
        try:
            values = values.cast(pa.timestamp("ms"))
        except pa.ArrowInvalid as error:
            raise InputError(f"column {column!r}: is no ISO time: {error}") from error
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    if not pa.types.is_integer(values.type):
        raise InputError(f"column {column!r} is of type {kind}; times are timestamps or integers")
    times: Int64s = values.to_numpy().astype(np.int64)
    if pa.types.is_integer(kind) and len(times) and int(times.max()) < _EARLIEST_MS:
        raise InputError(
            f"column {column!r} holds integers such as {times[-1]}: seconds, or no times at all; "
            "times are timestamps, ISO texts or integers of UTC milliseconds"
        )
    return times


def id_texts(table: pa.Table, column: str) -> list[str]:
    """A column's prediction ids as texts; InputError where one is missing."""
    values = table.column(column)
    if values.null_count:
        raise InputError(f"column {column!r}: {values.null_count} rows have no id")
    return [str(one) for one in values.to_pylist()]


def paced(rows: int, rate: float | None) -> Iterator[tuple[int, int]]:
    """Ranges of rows: 1,000 at once, or as many as are due by now ten times a second."""
    began = time.monotonic()
    sent = 0
    while sent < rows:
        end = sent + _AT_ONCE
        if rate is not None:
            end = min(end, 1 + int((time.monotonic() - began) * rate))
            if end <= sent:
                time.sleep(min(_STEP_SECONDS, 1 / rate))
                continue
        yield sent, min(end, rows)
        sent = min(end, rows)


def delivered(logger: PredictionLogger | LabelLogger, what: str) -> int:
    """How many rows arrived; BrokerError where some did not."""
    logger.flush(_PATIENCE_SECONDS)
    counters = logger.counters
    lost = counters.failed + counters.dropped + counters.buffered
    if lost:
        raise BrokerError(
            f"{lost:,} {what} were not delivered ({counters.delivered:,} were): is Kafka up, and "
            "may this user write to the topic? What librdkafka said is in the log above"
        )
    return counters.delivered


def check_topics(settings: Settings, *topics: str) -> None:
    """Raises TopicError where one of the topics isn't there: rows for it would only time out."""
    for topic in topics:
        check_topic(settings, topic, _ASK_SECONDS, "WRITE")


def progress_bar() -> Progress:
    """A bar on stderr, where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not Console(stderr=True).is_terminal,
    )
