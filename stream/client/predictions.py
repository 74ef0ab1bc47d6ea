"""Logging what a model predicted, and from what."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Literal

from stream.client.columns import (
    Column,
    check_lengths,
    event_times,
    gather,
    length_of,
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
from stream.client.scalars import (
    check_status,
    check_time,
    id_bytes,
    new_id,
    number,
    numbers_by_name,
    scalar,
    scalars_by_name,
    texts_by_name,
)
from stream.core.errors import ConfigError, SchemaError
from stream.core.names import check_model, check_version

__all__ = ["PredictionLogger"]

Status = Literal["ok", "error"]
_TOPIC = "predictions"
_SCHEMA = "prediction"
_NO_COLUMN = "log_columns: has no column: pass features, prediction or others"


class PredictionLogger(RowLogger):
    """Logs a model's predictions to Kafka without ever holding the model up.

    `log` and `log_columns` check a row, encode it and put it into a buffer of at most
    `buffer_rows` rows and `buffer_bytes` bytes; a thread sends it. Where the buffer is full
    because Kafka is slow or away, `on_full` decides: "drop_oldest" makes room, "block" waits for
    at most `block_seconds` and then drops the new row, "raise" raises BufferFullError. All three
    are counted (`counters`). Making a logger contacts nobody.

    What cannot be logged (a value of a wrong type, a row too large for a record, a logger that is
    closed) never costs the model server its answer: by default it is counted as rejected and said
    in the log. With `on_error="raise"` it raises.

    `bootstrap_servers` defaults to KAFKA_BOOTSTRAP_SERVERS, `topic_prefix` to
    DRIFTSTREAM_TOPIC_PREFIX or "driftstream."; `kafka` holds librdkafka properties as they are,
    such as those of SASL and TLS. `format` is "json", "avro" (with `registry_url` in Confluent's
    frame, else with our schema's name in a header) or "arrow" (batches of `batch_rows` a
    partition; needs the extra `driftstream[arrow]`). `linger_seconds` is how long a row may wait
    for others (default 0.02; arrow 0.5). What is left at the interpreter's end is sent for at
    most `exit_seconds`.

    Raises ConfigError, naming the setting, where one is wrong.
    """

    def __init__(
        self,
        *,
        model: str,
        version: str = "",
        bootstrap_servers: str | None = None,
        topic_prefix: str | None = None,
        format: Format = "json",  # noqa: A002  # the word that users know
        on_full: OnFull = "drop_oldest",
        on_error: OnError = "warn",
        buffer_rows: int = 100_000,
        buffer_bytes: int = 64 * 1024 * 1024,
        block_seconds: float = 1.0,
        linger_seconds: float | None = None,
        batch_rows: int = 1_000,
        exit_seconds: float = 5.0,
        registry_url: str | None = None,
        kafka: Mapping[str, KafkaValue] | None = None,
    ) -> None:
        _check_names(model, version)
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
        super().__init__(options, _SCHEMA, {"model": model, "version": version})

    def log(
        self,
        *,
        features: Mapping[str, object] | None = None,
        prediction: object = None,
        score: object = None,
        prediction_id: str | uuid.UUID | None = None,
        event_time_ms: int | None = None,
        tags: Mapping[str, str] | None = None,
        attributions: Mapping[str, object] | None = None,
        latency_ms: float | None = None,
        status: Status | None = None,
    ) -> str:
        """Buffers one prediction and returns its id (a new UUID where none is given).

        Features are numbers, strings, booleans or None by name; numpy's and pandas' scalars are
        as good. `score` is the probability of the positive class, or one by class.
        `event_time_ms` defaults to now. None and NaN mean missing.

        With `on_error="raise"` raises SchemaError, naming the field, where a value cannot be
        logged; nothing is buffered then. BufferFullError as the class says.
        """
        text = ""
        try:
            text = new_id() if prediction_id is None else str(prediction_id)
            key = text.encode() if prediction_id is None else id_bytes(prediction_id)
            row: dict[str, Any] = {
                "prediction_id": text,
                **self._shared,
                "event_time_ms": check_time(event_time_ms),
            }
            if features is not None:
                row["features"] = scalars_by_name(features, "features")
            if prediction is not None:
                row["prediction"] = scalar(prediction, "prediction")
            if score is not None:
                row["score"] = _score(score)
            if tags:
                row["tags"] = texts_by_name(tags, "tags")
            if attributions:
                row["attributions"] = numbers_by_name(attributions, "attributions")
            if latency_ms is not None:
                row["latency_ms"] = number(latency_ms, "latency_ms")
            if status is not None:
                row["status"] = check_status(status)
            self._put_rows(((key, row),))
        except Exception as fault:  # whatever a caller's objects raise, it is not the model's fault
            if not self._tolerates(fault, 1):
                raise
        return text

    def log_columns(
        self,
        *,
        features: object = None,
        prediction: Column | None = None,
        score: Column | Mapping[str, Column] | None = None,
        prediction_id: Column | None = None,
        event_time_ms: Column | int | None = None,
        tags: Mapping[str, Column] | None = None,
        attributions: Mapping[str, Column] | None = None,
        latency_ms: Column | None = None,
        status: Column | None = None,
    ) -> list[str]:
        """Buffers many predictions, given as columns of equal length, and returns their ids.

        `features` is a mapping of names to columns, a pandas frame or a pyarrow table; a column
        is a numpy array, a list, a pandas series or a pyarrow array. `event_time_ms` may be one
        integer for all rows. Raises as `log` does, before any row is buffered; where it doesn't
        raise and the rows cannot be logged, none is, and the list is empty.
        """
        rows = 1  # until it is known, for the count of what is rejected
        try:
            columns = gather(
                features=features,
                prediction=prediction,
                score=score,
                tags=tags,
                attributions=attributions,
                latency_ms=latency_ms,
                status=status,
            )
            lengths = {"prediction_id": prediction_id, "event_time_ms": event_time_ms, **columns}
            sized = {name: each for name, each in lengths.items() if hasattr(each, "__len__")}
            if not sized:
                raise SchemaError(_NO_COLUMN)
            rows = length_of(next(iter(sized.values())), next(iter(sized)))
            check_lengths(rows, sized)
            ids, keys = prediction_ids(prediction_id, rows)
            self._put_columns(keys, event_times(event_time_ms, rows), columns)
        except Exception as fault:  # as in `log`
            if not self._tolerates(fault, rows):
                raise
            return []
        return ids


def _check_names(model: object, version: object) -> None:
    if not isinstance(model, str) or not model:
        raise ConfigError(f"model: is {model!r}, wants the model's name")
    if not isinstance(version, str):
        raise ConfigError(f"version: is {version!r}, wants a string")
    check_model(model)
    check_version(version)


def _score(score: object) -> float | dict[str, int | float] | None:
    if isinstance(score, Mapping):
        return numbers_by_name(score, "score")
    return number(score, "score")
