"""Sending a table: its rows as predictions, its labels later, at a rate or as fast as it goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream.adapters.kafka.offsets import partition_counts
from stream.adapters.tables import RoleOptions, Roles, assign_roles, read_table, scalars, variables
from stream.cli.output import print_json, say
from stream.cli.reading import connection
from stream.cli.rows import chunk_of, log_chunk
from stream.client import LabelLogger, PredictionLogger
from stream.core.errors import BrokerError, ConfigError, InputError, TopicError
from stream.core.records import Int64s, Scalar
from stream.settings import Settings, parse_duration
from stream.topics import real_name

__all__ = ["Sending", "event_times", "send_table"]

_AT_ONCE = 1_000
_STEP_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0
_EARLIEST_MS = 100_000_000_000  # of the year 1973: smaller integers are seconds, or years


@dataclass(frozen=True, slots=True)
class Sending:
    """How a table is to be sent. `label_delay` is a duration such as `10m`."""

    model: str
    version: str
    row_format: Literal["json", "avro", "arrow"]
    rate: float | None
    label_delay: str
    labels: bool
    limit: int | None


class _LateLabels:
    """Labels that wait until they are due, in the order of their predictions."""

    def __init__(self, logger: LabelLogger) -> None:
        self._logger = logger
        self._waiting: deque[tuple[Int64s, list[str], list[Scalar]]] = deque()
        self.rows = 0

    def later(self, due_ms: Int64s, ids: list[str], labels: list[Scalar]) -> None:
        """Keeps labels for later; rows without a label are left out."""
        keep = [i for i, label in enumerate(labels) if label is not None and label == label]
        chosen = [ids[i] for i in keep], [labels[i] for i in keep]
        if keep:
            self._waiting.append((due_ms[keep], *chosen))

    def send(self, now_ms: int | None) -> None:
        """Sends the chunks that are wholly due at `now_ms`; all of them where it is None."""
        while self._waiting and (now_ms is None or int(self._waiting[0][0].max()) <= now_ms):
            due_ms, ids, labels = self._waiting.popleft()
            self._logger.log_columns(ids, labels, event_time_ms=due_ms)
            self.rows += len(ids)

    @property
    def due_ms(self) -> int | None:
        """When the next chunk is wholly due; None where none waits."""
        return int(self._waiting[0][0].max()) if self._waiting else None


def send_table(
    settings: Settings, file: Path, options: RoleOptions, how: Sending, *, as_json: bool
) -> None:
    """Sends the file's rows and says what was sent; raises where some could not be delivered."""
    if how.rate is not None and options.time is not None:
        raise ConfigError("--rate and --time-column exclude each other: times are now, or a column")
    try:
        delay_ms = parse_duration(how.label_delay)
    except ValueError as error:
        raise ConfigError(f"--label-delay: {error}") from error
    table = read_table(file)
    roles = assign_roles(table, options)
    if how.limit is not None:
        table = table.slice(0, how.limit)
    _check_topic(settings, "predictions", *(["labels"] if how.labels else []))
    common = _shared(settings)
    say(_described(roles, how))
    started = time.monotonic()
    with (
        PredictionLogger(
            model=how.model,
            version=how.version,
            format=how.row_format,
            registry_url=(settings.registry_url or None) if how.row_format == "avro" else None,
            **common,
        ) as logger,
        # Labels have no Arrow form of their own worth having: they are three small fields.
        LabelLogger(format="json", **common) as label_logger,
    ):
        labels = _LateLabels(label_logger)
        _send_rows(table, roles, how, delay_ms, logger, labels)
        sent = _delivered(logger, "predictions")
        if how.labels:
            _wait_for_labels(labels, at_once=how.rate is None)
            _delivered(label_logger, "labels")
    told = {"rows": sent, "labels": labels.rows, "seconds": round(time.monotonic() - started, 3)}
    if as_json:
        print_json(told)
        return
    more = f" and {labels.rows:,} labels" if how.labels else ""
    print(f"sent {sent:,} rows{more} in {told['seconds']:.1f} s")


def _shared(settings: Settings) -> dict[str, Any]:
    """What both loggers are told."""
    kafka = settings.client_config()
    return {
        "bootstrap_servers": kafka.pop("bootstrap.servers"),
        "topic_prefix": settings.topic_prefix,
        "kafka": kafka,
        "on_full": "block",
        "block_seconds": _PATIENCE_SECONDS,
    }


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


def _send_rows(
    table: pa.Table,
    roles: Roles,
    how: Sending,
    delay_ms: int,
    logger: PredictionLogger,
    labels: _LateLabels,
) -> None:
    rows = chunk_of(variables(table, roles))
    ids = [str(one) for one in table.column(roles.id).to_pylist()] if roles.id else None
    times = event_times(table, roles.time) if roles.time and how.rate is None else None
    truths = scalars(table.column(roles.label), roles.label) if how.labels and roles.label else None
    with _progress() as progress:
        bar = progress.add_task("sending", total=table.num_rows)
        for start, end in _paced(table.num_rows, how.rate):
            now_ms = time.time_ns() // 1_000_000
            at = times[start:end] if times is not None else np.full(end - start, now_ms)
            own = None if ids is None else ids[start:end]
            given = log_chunk(logger, rows.part(start, end), own, at)
            if truths is not None:
                labels.later(at + delay_ms, given, truths[start:end])
                labels.send(int(at[-1]))
            progress.advance(bar, end - start)


def _paced(rows: int, rate: float | None) -> Iterator[tuple[int, int]]:
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


def _wait_for_labels(labels: _LateLabels, *, at_once: bool) -> None:
    """Sends the labels that are left, each when it is due by the clock, or all at once."""
    if at_once:
        labels.send(None)
    while labels.due_ms is not None:
        now_ms = time.time_ns() // 1_000_000
        time.sleep(max(0.0, (labels.due_ms - now_ms) / 1000))
        labels.send(time.time_ns() // 1_000_000)


def _delivered(logger: PredictionLogger | LabelLogger, what: str) -> int:
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


def _check_topic(settings: Settings, *topics: str) -> None:
    """Raises TopicError where one of the topics isn't there: rows for it would only time out."""
    names = [real_name(settings.topic_prefix, topic) for topic in topics]
    counts = partition_counts(connection(settings, "produce").admin(), names)
    missing = [name for name in names if not counts[name]]
    if missing:
        raise TopicError(
            f"there is no topic {', '.join(missing)}: `driftstream topics create` makes it"
        )


def _described(roles: Roles, how: Sending) -> str:
    times = f"from {roles.time}" if roles.time and how.rate is None else "now"
    parts = [
        f"features: {', '.join(roles.features) or 'none'}",
        f"prediction: {roles.prediction or 'none'}",
        f"score: {roles.score or ', '.join(roles.scores.values()) or 'none'}",
        f"ids: {roles.id or 'new'}",
        f"times: {times}",
    ]
    if how.labels:
        parts.append(f"labels: {roles.label}, {how.label_delay} later")
    elif roles.label:
        parts.append(f"not sent: {roles.label} (a label: see --labels-column)")
    return "\n".join(parts)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not Console(stderr=True).is_terminal,
    )
