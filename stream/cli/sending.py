"""Sending a table: its rows as predictions, its labels later, at a rate or as fast as it goes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from stream.adapters.tables import RoleOptions, Roles, assign_roles, read_table, scalars, variables
from stream.cli.delivery import (
    check_topics,
    delivered,
    event_times,
    id_texts,
    logger_options,
    paced,
    progress_bar,
)
from stream.cli.output import print_json, say
from stream.cli.rows import chunk_of, log_chunk
from stream.client import LabelLogger, PredictionLogger
from stream.core.errors import ConfigError
from stream.core.records import Int64s, Scalar
from stream.settings import Settings, parse_duration

__all__ = ["Sending", "send_table"]


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
    check_topics(settings, "predictions", *(["labels"] if how.labels else []))
    say(_described(roles, how))
    started = time.monotonic()
    with (
        PredictionLogger(
            model=how.model,
            version=how.version,
            on_error="raise",
            **logger_options(settings, how.row_format),
        ) as logger,
        # Few and small, and spread over time: a format of their own would save nothing.
        LabelLogger(**logger_options(settings, "json")) as label_logger,
    ):
        labels = _LateLabels(label_logger)
        _send_rows(table, roles, how, delay_ms, logger, labels)
        sent = delivered(logger, "predictions")
        if how.labels:
            _wait_for_labels(labels, at_once=how.rate is None)
            delivered(label_logger, "labels")
    told = {"rows": sent, "labels": labels.rows, "seconds": round(time.monotonic() - started, 3)}
    if as_json:
        print_json(told)
        return
    more = f" and {labels.rows:,} labels" if how.labels else ""
    print(f"sent {sent:,} rows{more} in {told['seconds']:.1f} s")


def _send_rows(
    table: pa.Table,
    roles: Roles,
    how: Sending,
    delay_ms: int,
    logger: PredictionLogger,
    labels: _LateLabels,
) -> None:
    rows = chunk_of(variables(table, roles))
    ids = id_texts(table, roles.id) if roles.id else None
    times = event_times(table, roles.time) if roles.time and how.rate is None else None
    truths = scalars(table.column(roles.label), roles.label) if how.labels and roles.label else None
    with progress_bar() as progress:
        bar = progress.add_task("sending", total=table.num_rows)
        for start, end in paced(table.num_rows, how.rate):
            now_ms = time.time_ns() // 1_000_000
            at = times[start:end] if times is not None else np.full(end - start, now_ms)
            own = None if ids is None else ids[start:end]
            given = log_chunk(logger, rows.part(start, end), own, at)
            if truths is not None:
                labels.later(at + delay_ms, given, truths[start:end])
                labels.send(int(at[-1]))
            progress.advance(bar, end - start)


def _wait_for_labels(labels: _LateLabels, *, at_once: bool) -> None:
    """Sends the labels that are left, each when it is due by the clock, or all at once."""
    if at_once:
        labels.send(None)
    while labels.due_ms is not None:
        now_ms = time.time_ns() // 1_000_000
        time.sleep(max(0.0, (labels.due_ms - now_ms) / 1000))
        labels.send(time.time_ns() // 1_000_000)


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
        parts.append(f"not sent: {roles.label} (a label: see --label-column)")
    return "\n".join(parts)
