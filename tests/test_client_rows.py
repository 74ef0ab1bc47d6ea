"""What a row may hold, and how a wrong one is refused."""

from __future__ import annotations

import math
import uuid
from collections import UserDict
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stream.client import LabelLogger
from stream.client.encode import encode_json
from stream.client.scalars import new_id, new_ids, scalars_by_name
from stream.core.errors import SchemaError
from tests.client_offline import NOWHERE, offline


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prediction_id": ""}, "prediction_id: has 0 bytes"),
        ({"prediction_id": "ü" * 129}, "prediction_id: has 258 bytes"),
        ({"prediction_id": 5}, "prediction_id: is 5"),
        ({"prediction_id": "\ud800"}, "prediction_id"),
        ({"event_time_ms": 1.5}, "event_time_ms: is 1.5"),
        ({"event_time_ms": True}, "event_time_ms: is True"),
        ({"event_time_ms": -1}, "event_time_ms: -1"),
        ({"features": [1, 2]}, "features: is"),
        ({"features": {"a": {"b": 1}}}, "features.a: is"),
        ({"features": {"a": np.ones(2)}}, "features.a: is"),
        ({"features": {1: 2}}, "features: has the name 1"),
        ({"features": {"a": "\ud800"}}, "features.a"),
        ({"features": {"a": "x" * 2_000_000}}, "bytes are more than"),
        ({"prediction": object()}, "prediction: is"),
        ({"score": "high"}, "score: is 'high'"),
        ({"score": {"yes": "high"}}, "score.yes: is 'high'"),
        ({"tags": {"t": 1}}, "tags.t: is 1"),
        ({"attributions": {"a": "b"}}, "attributions.a"),
        ({"latency_ms": "fast"}, "latency_ms"),
        ({"status": "fine"}, "status"),
    ],
)
@pytest.mark.parametrize("wire", ["json", "avro", "arrow"])
def test_a_wrong_row_is_refused_by_name_and_nothing_is_buffered(
    wire: str, row: dict[str, Any], said: str
) -> None:
    logger = offline(format=wire)
    with pytest.raises(SchemaError, match=said):
        logger.log(**{"features": {"x": 1}, **row})
    assert logger.counters == (0, 0, 0, 0, 0)
    logger.log(features={"x": 1})
    assert logger.counters.buffered == 1
    logger.close(0.0)


def test_a_label_is_an_outcome() -> None:
    logger = LabelLogger(bootstrap_servers=NOWHERE, exit_seconds=0.0)
    for value in (math.nan, math.inf, [1]):
        with pytest.raises(SchemaError, match="label"):
            logger.log("a", value)
    with pytest.raises(SchemaError, match=r"label\[1\]"):
        logger.log_columns(["a", "b"], np.array([1.0, math.nan]))
    with pytest.raises(SchemaError, match="model"):
        logger.log("a", 1, model="")
    assert logger.counters.buffered == 0
    assert logger.close(0.0)


def test_every_scalar_that_people_have() -> None:
    given = UserDict(
        {
            "f32": np.float32(0.5),
            "i8": np.int8(-3),
            "flag": np.bool_(True),
            "text": np.str_("x"),
            "zero_d": np.array(7),
            "na": pd.NA,
            "nat": pd.NaT,
            "decimal": Decimal("1.5"),
            "huge": 10**400,
            "big": 2**70,
        }
    )
    plain = scalars_by_name(given, "features")
    assert plain == {
        "f32": 0.5,
        "i8": -3,
        "flag": True,
        "text": "x",
        "zero_d": 7,
        "na": None,
        "nat": None,
        "decimal": 1.5,
        "huge": math.inf,
        "big": float(2**70),
    }
    assert {type(value) for value in plain.values()} <= {str, int, float, bool, type(None)}
    assert scalars_by_name(pd.Series({"a": 1.5}), "features") == {"a": 1.5}
    assert (
        encode_json({"features": {"huge": 2**70}})
        == b'{"features":{"huge":1180591620717411303424}}'
    )


def test_new_ids_are_random_uuids() -> None:
    ids = [new_id() for _ in range(1_000)] + new_ids(1_000)
    assert len(set(ids)) == 2_000
    assert new_ids(0) == []
    for text in ids:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
