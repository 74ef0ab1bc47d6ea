"""Labels from the SDK: whatever their format and type, the worker reads the same outcomes."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stream import schemas
from stream.client import LabelLogger
from stream.client.options import Format
from stream.core.catalog import Profiles
from stream.core.decode import Decoder
from stream.core.errors import SchemaError
from stream.core.ids import ids_of
from stream.core.labels import Form, Labels, label_bits
from tests.conftest import Kafka
from tests.kafka_io import create_topic
from tests.slices import topic_slice

NOW_MS = 1_760_000_000_000
UUID = uuid.UUID("7d1f8f0e-0000-4000-8000-000000000001")
VALUES: list[Any] = [
    "approve",
    "",
    "1",
    1,
    True,
    np.bool_(False),
    np.int32(-7),
    np.uint8(200),
    np.float32(0.5),
    np.float64(12.25),
    np.str_("deny"),
    2**53,
    -0.0,
    None,
]


def decoded(kafka: Kafka, topic: str) -> Labels:
    parsed = {name: schemas.schema(name) for name in ("prediction", "feature_row", "label")}
    found = Decoder(Profiles(), schemas=parsed).decode(
        topic_slice(kafka.bootstrap_servers, topic, "labels")
    )
    assert found.rejected == ()
    assert found.labels is not None
    return found.labels


def rows_of(labels: Labels) -> list[tuple[object, ...]]:
    """Id, form and bits of the value, time and model of each, in the order of id and arrival."""
    return [
        (
            labels.ids[row].tolist(),
            int(labels.form[row]),
            int(labels.bits[row]),
            int(labels.event_time_ms[row]),
            labels.models[labels.model[row]] if labels.model[row] >= 0 else None,
        )
        for row in range(len(labels))
    ]


def expected(prediction_id: str, value: Any, at_ms: int, model: str | None) -> tuple[object, ...]:
    plain = value.item() if isinstance(value, np.generic) else value
    form, bits = label_bits(plain)
    return (ids_of([prediction_id])[0].tolist(), int(form), bits, at_ms, model)


@pytest.mark.parametrize("row_format", ["json", "avro", "arrow"])
def test_every_kind_of_label_arrives_as_itself(
    kafka: Kafka, unique: str, row_format: Format
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}labels")
    wanted = []
    with LabelLogger(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, format=row_format
    ) as logger:
        for number, value in enumerate(VALUES):
            model = "credit" if number % 2 else None
            logger.log(f"row-{number}", value, event_time_ms=NOW_MS + number, model=model)
            wanted.append(expected(f"row-{number}", value, NOW_MS + number, model))
        logger.log(UUID, "approve", event_time_ms=NOW_MS)
        wanted.append(expected(str(UUID), "approve", NOW_MS, None))
    found = rows_of(decoded(kafka, f"{unique}labels"))
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


@pytest.mark.parametrize("row_format", ["json", "avro", "arrow"])
def test_a_correction_and_a_retraction_come_in_their_order(
    kafka: Kafka, unique: str, row_format: Format
) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}labels")
    with LabelLogger(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, format=row_format
    ) as logger:
        for number, value in enumerate(["deny", "approve", None]):
            logger.log("one", value, event_time_ms=NOW_MS + number)
            assert logger.flush()
    labels = decoded(kafka, f"{unique}labels")
    assert labels.form.tolist() == [Form.TEXT, Form.TEXT, Form.NULL]
    assert [labels.texts[int(bits)] for bits in labels.bits[:2]] == ["deny", "approve"]


def test_labels_of_one_id_stay_in_order_however_they_were_given(kafka: Kafka, unique: str) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}labels")
    given: list[Any] = []
    with LabelLogger(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=unique,
        format="arrow",
        linger_seconds=1.0,
    ) as logger:
        for value in ("a", 1, None, "b", True, 2.5):
            logger.log("one", value, event_time_ms=NOW_MS)
            logger.log_columns(["one", "one"], [value, 7], event_time_ms=NOW_MS)
            given += [value, value, 7]
        logger.log_columns(["one"], ["last"], event_time_ms=NOW_MS)
    labels = decoded(kafka, f"{unique}labels")
    wanted = [expected("one", value, NOW_MS, None) for value in (*given, "last")]
    assert rows_of(labels) == wanted


@pytest.mark.parametrize("row_format", ["json", "avro", "arrow"])
@pytest.mark.parametrize(
    "column",
    [
        np.array([0, 1, 1], dtype=np.int8),
        np.array([0.5, 1.25, -3.0], dtype=np.float32),
        np.array([True, False, True]),
        pa.array(["a", None, "b"]).dictionary_encode(),
        ["a", 1, None],
    ],
    ids=["int8", "float32", "bool", "dictionary", "mixed"],
)
def test_columns_of_labels(kafka: Kafka, unique: str, row_format: Format, column: Any) -> None:
    create_topic(kafka.bootstrap_servers, f"{unique}labels")
    ids, times = ["a", "b", str(UUID)], np.array([NOW_MS, NOW_MS + 1, NOW_MS + 2])
    models = ["credit", None, "fraud"]
    with LabelLogger(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=unique, format=row_format
    ) as logger:
        logger.log_columns(ids, column, event_time_ms=times, model=models)
    plain = column.to_pylist() if isinstance(column, pa.Array) else list(column)
    found = rows_of(decoded(kafka, f"{unique}labels"))
    wanted = [expected(*row) for row in zip(ids, plain, times.tolist(), models, strict=True)]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": ["m"]}, "model: has 1 values"),
        ({"model": ["m", ""]}, "wants a model's name"),
        ({"model": [1, "m"]}, "wants a model's name"),
        ({"model": ["m", "m@3"]}, "model must not contain @.*'m@3'"),
        ({"model": "m@3"}, "model must not contain @"),
        ({"label": [1.0, float("nan")]}, r"label\[1\]: is nan"),
    ],
)
def test_columns_that_cannot_be_labels_are_refused(given: dict[str, Any], said: str) -> None:
    with LabelLogger(bootstrap_servers="127.0.0.1:1", exit_seconds=0.1) as logger:
        with pytest.raises(SchemaError, match=said):
            logger.log_columns(["a", "b"], **{"label": [0, 1], **given})
        assert logger.counters.buffered == 0
