"""Sending a table of labels: what turned out to be true of predictions that were sent before."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from stream.adapters.tables import RoleOptions, assign_roles, read_table, scalars
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
from stream.client import LabelLogger
from stream.core.errors import ConfigError, InputError
from stream.core.records import Int64s, Scalar
from stream.settings import Settings

__all__ = ["LabelColumns", "SendingLabels", "send_labels"]


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """Which columns of the table mean what; None leaves it to the guesses.

    Without `model`, labels are every prediction's with their id.
    """

    id: str | None
    label: str | None
    time: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class SendingLabels:
    """How labels are to be sent. `model` is one for all of them; `retract` sends missing ones."""

    model: str | None
    row_format: Literal["json", "avro", "arrow"]
    rate: float | None
    limit: int | None
    retract: bool


@dataclass(frozen=True, slots=True)
class _Labels:
    """n labels in the order of the file; `times` None is now, `models` None is any."""

    ids: list[str]
    values: list[Scalar]
    times: Int64s | None
    models: list[Scalar] | None
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)


def send_labels(
    settings: Settings, file: Path, columns: LabelColumns, how: SendingLabels, *, as_json: bool
) -> None:
    """Sends the file's labels and says what was sent; raises where some could not be delivered."""
    if how.rate is not None and columns.time is not None:
        raise ConfigError("--rate and --time-column exclude each other: times are now, or a column")
    if how.model is not None and columns.model is not None:
        raise ConfigError("--model and --model-column exclude each other")
    labels = _read(file, columns, how)
    check_topics(settings, "labels")
    started = time.monotonic()
    with LabelLogger(**logger_options(settings, how.row_format)) as logger:
        _send(labels, logger, how)
        sent = delivered(logger, "labels")
    told = {
        "labels": sent,
        "left_out": labels.left_out,
        "seconds": round(time.monotonic() - started, 3),
    }
    if as_json:
        print_json(told)
        return
    missing = f" ({labels.left_out:,} rows without a label left out)" if labels.left_out else ""
    print(f"sent {sent:,} labels{missing} in {told['seconds']:.1f} s")


def _read(file: Path, columns: LabelColumns, how: SendingLabels) -> _Labels:
    table = read_table(file)
    options = RoleOptions(
        id=columns.id,
        time=columns.time,
        label=columns.label,
        ignore=() if columns.model is None else (columns.model,),
    )
    roles = assign_roles(table, options)
    if roles.id is None or roles.label is None:
        what = "--id-column" if roles.id is None else "--label-column"
        names = ", ".join(table.column_names)
        raise InputError(f"{file}: say which column it is with {what}; there are {names}")
    if how.limit is not None:
        table = table.slice(0, how.limit)
    rows = table.num_rows
    table = table if how.retract else _labelled(table, roles.label)
    timed = roles.time if how.rate is None else None
    whose = columns.model or how.model or "every model that has the id"
    say(f"id: {roles.id}\nlabel: {roles.label}\ntimes: {timed or 'now'}\nmodel: {whose}")
    values = scalars(table.column(roles.label), roles.label)
    models = None
    if columns.model is not None:
        models = scalars(table.column(columns.model), columns.model)
    elif how.model is not None:
        models = [how.model] * table.num_rows
    return _Labels(
        id_texts(table, roles.id),
        [None if value != value else value for value in values],
        None if timed is None else event_times(table, timed),
        models,
        rows - table.num_rows,
    )


def _labelled(table: pa.Table, column: str) -> pa.Table:
    """The rows that have a label: neither null nor NaN."""
    present = [value is not None and value == value for value in table.column(column).to_pylist()]
    return table.filter(pa.array(present, pa.bool_()))


def _send(labels: _Labels, logger: LabelLogger, how: SendingLabels) -> None:
    with progress_bar() as progress:
        bar = progress.add_task("sending", total=len(labels))
        for start, end in paced(len(labels), how.rate):
            part = slice(start, end)
            now_ms = time.time_ns() // 1_000_000
            at = np.full(end - start, now_ms) if labels.times is None else labels.times[part]
            models = None if labels.models is None else labels.models[part]
            logger.log_columns(
                labels.ids[part], labels.values[part], event_time_ms=at, model=models
            )
            progress.advance(bar, end - start)
