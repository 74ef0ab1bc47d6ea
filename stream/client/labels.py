"""Logging what turned out to be true."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from stream.client.columns import (
    Column,
    check_lengths,
    event_times,
    length_of,
    plain_values,
    prediction_ids,
)
from stream.client.logger import RowLogger
from stream.client.options import (
    Format,
    KafkaValue,
    OnError,
    OnFull,
    Options,
    connection,
    topic_name,
)
from stream.client.scalars import check_time, id_bytes, scalar
from stream.core.errors import SchemaError
from stream.core.names import model_problems
from stream.core.records import Scalar

__all__ = ["LabelLogger"]

_TOPIC = "labels"
_SCHEMA = "label"
_NAMES = 1_024  # of models, that are known to be fine
_SHOWN = 60  # characters of one that is not


class LabelLogger(RowLogger):
    """Logs labels (ground truth) to Kafka: buffered, checked and sent as PredictionLogger does.

    The settings are PredictionLogger's; `on_full` is "block" and `on_error` "raise" by default,
    for a label job had better wait, or stop, than lose labels.
    Raises ConfigError, naming the setting, where one is wrong.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: str | None = None,
        topic_prefix: str | None = None,
        format: Format = "json",  # noqa: A002  # the word that users know
        on_full: OnFull = "block",
        on_error: OnError = "raise",
        buffer_rows: int = 100_000,
        buffer_bytes: int = 64 * 1024 * 1024,
        block_seconds: float = 10.0,
        linger_seconds: float | None = None,
        batch_rows: int = 1_000,
        exit_seconds: float = 5.0,
        registry_url: str | None = None,
        kafka: Mapping[str, KafkaValue] | None = None,
    ) -> None:
        options = Options(
            topic=topic_name(_TOPIC, topic_prefix),
            kafka=connection(bootstrap_servers, kafka),
            format=format,
            on_full=on_full,
            on_error=on_error,
            buffer_rows=buffer_rows,
            buffer_bytes=buffer_bytes,
            block_seconds=block_seconds,
            linger_seconds=linger_seconds,
            batch_rows=batch_rows,
            exit_seconds=exit_seconds,
            registry_url=registry_url,
        )
        super().__init__(options, _SCHEMA, {})

    def log(
        self,
        prediction_id: str | uuid.UUID,
        label: object,
        *,
        event_time_ms: int | None = None,
        model: str | None = None,
    ) -> None:
        """Buffers the label of a prediction; None retracts one that was sent before.

        `event_time_ms` is when the outcome became known (default: now). Without `model` the
        label is every prediction's with that id. Raises SchemaError, naming the field, where a
        value cannot be logged (NaN and infinities too); BufferFullError as the class says.
        """
        try:
            key = id_bytes(prediction_id)
            plain = _label(scalar(label, "label"), "label")
            row = _row(str(prediction_id), plain, check_time(event_time_ms), _model(model))
            self._put_rows(((key, row),))
        except Exception as fault:  # whatever a caller's objects raise
            if not self._tolerates(fault, 1):
                raise

    def log_columns(
        self,
        prediction_id: Column,
        label: Column,
        *,
        event_time_ms: Column | int | None = None,
        model: Column | str | None = None,
    ) -> None:
        """Buffers many labels, given as columns of equal length; see PredictionLogger's.

        `model` is one for all rows, or a column of names and None.
        """
        rows = 1  # until it is known, for the count of what is rejected
        try:
            rows = length_of(prediction_id, "prediction_id")
            sized = {"label": label}
            if hasattr(event_time_ms, "__len__"):
                sized["event_time_ms"] = event_time_ms
            check_lengths(rows, sized)
            _, keys = prediction_ids(prediction_id, rows)
            for i, plain in enumerate(plain_values(label, "label")):
                _label(plain, f"label[{i}]")
            columns = {"label": label}
            if model is not None:
                columns["model"] = _models(model, rows)
            self._put_columns(keys, event_times(event_time_ms, rows), columns)
        except Exception as fault:  # as in `log`
            if not self._tolerates(fault, rows):
                raise


def _row(prediction_id: str, label: Scalar, time_ms: int, model: str | None) -> dict[str, Any]:
    row = {"prediction_id": prediction_id, "label": label, "event_time_ms": time_ms}
    return row if model is None else {**row, "model": model}


def _label(value: Scalar, path: str) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise SchemaError(f"{path}: is {value}, which is no outcome; None retracts a label")
    return value


def _models(model: Column | str, rows: int) -> list[Scalar]:
    if isinstance(model, str):
        return [_model(model)] * rows
    check_lengths(rows, {"model": model})
    names = plain_values(model, "model")
    for name in dict.fromkeys(names):
        _model(name)
    return names


def _model(model: object) -> str | None:
    if model is None:
        return None
    if not (isinstance(model, str) and model):
        raise SchemaError(f"model: is {model!r}, wants a model's name or None")
    return _named(model)


@lru_cache(_NAMES)
def _named(model: str) -> str:
    """The model's name; what raises is not kept. SchemaError where no monitor could name it."""
    for problem in model_problems(model):
        raise SchemaError(f"{problem}: {model[:_SHOWN]!r}")
    return str.__str__(model)
