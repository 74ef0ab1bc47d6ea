"""Labels: their typed row, the slow road that gives reasons, and rows to columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from stream.core.decode.checks import Bad, checked
from stream.core.decode.fields import (
    REFUSED,
    FieldValue,
    Id,
    Name,
    RefusedError,
    Time,
    checked_name,
    checked_time,
    clean_scalar,
    id_refusal,
    required,
    shown,
)
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.stack import columns_of
from stream.core.decode.text import drain, parse
from stream.core.decode.values import Values, not_finite, texts_of
from stream.core.errors import Reason, Rejected
from stream.core.ids import ids_of
from stream.core.labels import Labels
from stream.core.records import Int64s

__all__ = [
    "NOT_FINITE",
    "LabelRow",
    "convert_label",
    "labels_of",
    "merged",
    "numbered",
    "read_labels",
]

NOT_FINITE: Final = "label: NaN or infinite; a number is finite, and null retracts"


class LabelRow(msgspec.Struct, gc=False):
    """A label as it came; a model of "" is none."""

    prediction_id: Id
    label: FieldValue
    event_time_ms: Time
    model: Name | None = None


_read: Final = msgspec.json.Decoder(LabelRow).decode


def read_labels(
    values: Sequence[bytes], record: npt.NDArray[np.int32], rejected: list[Rejected]
) -> tuple[npt.NDArray[np.int32], list[LabelRow]]:
    """The rows of JSON records, and which records they are; the others are rejected."""
    rows, places = drain(map(_read, values))
    kept = np.ones(len(values), dtype=np.bool_)
    for i in places:
        try:
            rows[i] = _check(parse(values[i]))
        except RefusedError as error:
            rejected.append(Rejected(int(record[i]), *error.refusal))
            kept[i] = False
    return (record, rows) if kept.all() else (record[kept], list(compress(rows, kept.tolist())))


def convert_label(record: dict[str, Any]) -> LabelRow:
    """The label of a row of another format. Raises RefusedError with a reason."""
    try:
        return msgspec.convert(record, LabelRow)
    except REFUSED:
        return _check(record)


def labels_of(
    rows: Sequence[LabelRow],
    record: npt.NDArray[np.int32],
    timestamp_ms: Int64s,
    values: Values,
    limits: DecodeLimits,
) -> tuple[Labels | None, list[Rejected]]:
    """The labels of rows ascending by record, and what is wrong with the others."""
    if not rows:
        return None, []
    ids, labels, times, models = columns_of(rows, 4)
    event_time_ms, bad = checked(ids, times, timestamp_ms, limits)
    bits = values.bits_of(labels)
    for i in np.flatnonzero(not_finite(bits)).tolist():
        bad.setdefault(i, (Reason.WRONG_TYPE, NOT_FINITE))
    if bad:
        kept = np.ones(len(rows), dtype=np.bool_)
        kept[list(bad)] = False
        good = list(compress(rows, kept.tolist()))
        found, _ = labels_of(good, record[kept], timestamp_ms[kept], values, limits)
        return found, _rejected(bad, record)
    model, names = numbered(models)
    found = Labels(
        record=record,
        row=np.zeros(len(rows), dtype=np.int32),
        event_time_ms=event_time_ms,
        ids=ids_of(ids),
        form=bits[0],
        bits=bits[1],
        model=model,
        models=names,
        texts=texts_of(labels, bits),
    )
    return found, []


def numbered(models: Sequence[str | None]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """The number of each name, -1 where there is none, and the names in order of appearance."""
    count = len(models)
    if models.count(None) == count:
        return np.full(count, -1, dtype=np.int32), []
    names = [name for name in dict.fromkeys(models) if name]
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    numbers |= {None: -1, "": -1}
    return np.fromiter(map(numbers.__getitem__, models), np.int32, count), names


def merged(parts: Sequence[Labels]) -> Labels | None:
    """All labels of a slice in the records' order; None where there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    record = np.concatenate([part.record for part in parts])
    order = np.argsort(record, kind="stable")  # a record's rows are of one part, and in order
    names = {name: i for i, name in enumerate(dict.fromkeys(n for p in parts for n in p.models))}
    models = []
    for part in parts:
        table = np.array([*map(names.__getitem__, part.models), -1], dtype=np.int32)
        models.append(table[part.model])
    return Labels(
        record=record[order],
        row=np.concatenate([part.row for part in parts])[order],
        event_time_ms=np.concatenate([part.event_time_ms for part in parts])[order],
        ids=np.concatenate([part.ids for part in parts])[order],
        form=np.concatenate([part.form for part in parts])[order],
        bits=np.concatenate([part.bits for part in parts])[order],
        model=np.concatenate(models)[order],
        models=list(names),
        texts={bits: text for part in parts for bits, text in part.texts.items()},
    )


def _check(row: object) -> LabelRow:
    """The row field by field. Raises RefusedError with a reason."""
    if not isinstance(row, dict):
        raise RefusedError(Reason.MALFORMED, f"a row is an object; got {shown(row)}")
    prediction_id = required(row, "prediction_id")
    refusal = id_refusal(prediction_id)
    if refusal is not None:
        raise RefusedError(*refusal)
    model = row.get("model")
    if "label" not in row:
        raise RefusedError(Reason.MISSING_FIELD, "label: is missing; null retracts")
    label = row["label"]
    if isinstance(label, float) and not math.isfinite(label):
        raise RefusedError(Reason.WRONG_TYPE, NOT_FINITE)
    return LabelRow(
        prediction_id=prediction_id,
        label=clean_scalar(label, "label"),
        event_time_ms=checked_time(required(row, "event_time_ms")),
        model=None if model is None else checked_name(model, "model"),
    )


def _rejected(bad: Bad, record: npt.NDArray[np.int32]) -> list[Rejected]:
    return [Rejected(int(record[i]), *why) for i, why in sorted(bad.items())]
