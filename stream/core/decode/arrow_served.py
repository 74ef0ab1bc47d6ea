"""What rows of Arrow batches carry for the join, for segments and for serving metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream.core.decode.arrow_columns import bits_in, filled, ids_in, plain, texts_of_ids
from stream.core.decode.arrow_streams import Group
from stream.core.decode.plans import TAG_PREFIX
from stream.core.decode.serve import as_sent, body
from stream.core.decode.values import Values, nan_as_null
from stream.core.labels import Form
from stream.core.records import CARRIES_PREDICTION, Scalar, Served, Wants
from stream.core.specs import FEATURE_PREFIX, SCORE_PREFIX

__all__ = ["served_of"]

_Probabilities = list[Mapping[str, float | None] | None]


def served_of(rows: Group, wants: Wants | None, values: Values) -> Served | None:
    """What rows of one model and topic carry, None where the model wants nothing."""
    if wants is None:
        return None
    count = len(rows.record)
    if not rows.carries[0] & CARRIES_PREDICTION:
        return Served(
            ids=ids_in(rows.column(rows.layout.prediction_id)),
            form=np.full(count, Form.NULL, dtype=np.uint8),
            bits=np.zeros(count, dtype=np.uint64),
            score=np.full(count, np.nan),
            plain=_plain(rows, wants, tags=False),
        )
    form, bits = _prediction(rows, values)
    score = _numbers(rows, rows.layout.variables.get("score"))
    probabilities = _probabilities(rows)
    return Served(
        ids=ids_in(rows.column(rows.layout.prediction_id)),
        form=form,
        bits=bits,
        score=np.full(count, np.nan) if score is None else score,
        probabilities=probabilities,
        latency_ms=_numbers(rows, rows.layout.others.get("latency_ms")),
        error=_errors(rows),
        plain=_plain(rows, wants, tags=True),
        bodies=_bodies(rows, score, probabilities) if wants.bodies else None,
    )


def _prediction(
    rows: Group, values: Values
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    place = rows.layout.variables.get("prediction")
    if place is None:
        count = len(rows.record)
        return np.zeros(count, dtype=np.uint8), np.zeros(count, dtype=np.uint64)
    found, _ = bits_in(rows.column(place), values)
    return nan_as_null(found)


def _numbers(rows: Group, place: int | None) -> npt.NDArray[np.float64] | None:
    """A column's numbers, NaN where there is none; None where all are."""
    if place is None:
        return None
    out = np.empty(len(rows.record), dtype=np.float64)
    filled(rows.column(place), out)
    return None if np.isnan(out).all() else out


def _probabilities(rows: Group) -> _Probabilities | None:
    named = {
        name.removeprefix(SCORE_PREFIX): plain(rows.column(place))
        for name, place in rows.layout.variables.items()
        if name.startswith(SCORE_PREFIX)
    }
    if not named:
        return None
    found: _Probabilities = [
        {name: float(v) for name, v in zip(named, row, strict=True) if v is not None} or None
        for row in zip(*named.values(), strict=True)
    ]
    return found if any(found) else None


def _errors(rows: Group) -> npt.NDArray[np.bool_] | None:
    place = rows.layout.others.get("status")
    if place is None:
        return None
    column = rows.column(place)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count == len(column):
        return None
    errors: npt.NDArray[np.bool_] = pc.equal(column, "error").fill_null(False).to_numpy()
    return errors


def _plain(rows: Group, wants: Wants, *, tags: bool) -> dict[str, Sequence[Scalar]]:
    found: dict[str, Sequence[Scalar]] = {}
    for name in wants.plain:
        if name.startswith(TAG_PREFIX):
            place = rows.layout.others.get(name) if tags else None
        else:
            place = rows.layout.variables.get(FEATURE_PREFIX + name)
        values = [None] * len(rows.record) if place is None else plain(rows.column(place))
        found[name] = as_sent(values)
    return found


def _bodies(
    rows: Group, score: npt.NDArray[np.float64] | None, probabilities: _Probabilities | None
) -> list[bytes | None]:
    count = len(rows.record)
    layout = rows.layout
    ids = texts_of_ids(rows.column(layout.prediction_id))
    place = layout.variables.get("prediction")
    predictions = [None] * count if place is None else plain(rows.column(place))
    features = _objects(rows, layout.variables, FEATURE_PREFIX)
    tags = _objects(rows, layout.others, TAG_PREFIX)
    scores: list[Any] = [None] * count if score is None else score.tolist()
    if probabilities is not None:
        scores = [own or one for own, one in zip(probabilities, scores, strict=True)]
    return list(map(body, ids, rows.event_time_ms.tolist(), features, predictions, scores, tags))


def _objects(rows: Group, places: Mapping[str, int], prefix: str) -> Sequence[Any]:
    """The columns of a prefix as one object a row; None where there are no such columns."""
    named = {
        name.removeprefix(prefix): plain(rows.column(place))
        for name, place in places.items()
        if name.startswith(prefix)
    }
    if not named:
        return [None] * len(rows.record)
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
