"""A profile's outcome and segments as a record: written, read, hashed and distrusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream import schemas
from stream.core.errors import ProfileError
from stream.core.labels import MAX_CLASSES
from stream.core.pane.reference import (
    Column,
    LabelColumn,
    build_profile,
    content_hash,
    profile_from_record,
    profile_to_record,
)
from stream.core.records import ModelKey
from stream.core.specs import Profile

MODEL = ModelKey("credit", "3")


def example() -> Profile:
    return build_profile(
        MODEL,
        {"score": [0.1, 0.2, 0.7, 0.9], "prediction": [0, 0, 1, 1]},
        label=LabelColumn([0, 1, 0, 1]),
        segments={"country": ["US", "CA", "US", None]},
    )


def test_a_profile_with_outcome_survives_json_and_avro() -> None:
    profile = example()
    record = profile_to_record(profile)
    json_bytes = schemas.encode_json("reference_profile", record)
    assert profile_from_record(schemas.decode_json("reference_profile", json_bytes)) == profile
    avro = schemas.encode_avro("reference_profile", record)
    assert profile_from_record(schemas.decode_avro("reference_profile", avro)) == profile


def test_a_profile_without_outcome_has_the_hash_it_always_had() -> None:
    profile = build_profile(MODEL, {"features.x": [1, 2]})
    assert profile.hash == "8c66ab62abbe61397413e2c06e15d4fb"  # as test_reference has it
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    assert json.loads(value)["outcome"] is None
    assert profile_from_record(schemas.decode_json("reference_profile", value)) == profile


def test_outcome_and_segments_are_content() -> None:
    columns: dict[str, Column] = {"score": [0.1, 0.9]}
    hashes = {
        build_profile(MODEL, columns, label=label, segments=segments).hash
        for label in (None, LabelColumn([0, 1]), LabelColumn([1, 0]))
        for segments in (None, {"country": ["US", "CA"]})
    }
    assert len(hashes) == 6


def _outcome(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        record["outcome"][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _outcome("kind", "ordinal"),
        _outcome("kind", "regression"),
        _outcome("classes", ["0"]),
        _outcome("classes", ["0", "0"]),
        lambda record: record["outcome"].update(
            kind="multiclass", classes=sorted(f"c{i}" for i in range(MAX_CLASSES + 1))
        ),
        _outcome("rows", 0),
        _outcome("rows", 5),
        _outcome("calibration", [0.5]),
        _outcome("calibration", [0.0, 0.5, 0.4, 1.0]),
        _outcome("calibration", [0.0, 0.5, 0.5, 1.5]),
        _outcome("predicted_positive", [0.0, 0.0, 1.0]),
        _outcome("predicted_positive", [0.0, 0.0, 1.0, "1"]),
        _outcome("metrics", {"accuracy": "good"}),
        lambda record: record["segments"].update(country=["US", "US"]),
        lambda record: record["segments"].update(country="US"),
        lambda record: record.update(outcome=[]),
    ],
)
def test_nonsense_is_a_profile_error_whatever_its_hash(
    change: Callable[[dict[str, Any]], None],
) -> None:
    record = json.loads(json.dumps(profile_to_record(example())))
    assert profile_from_record(record) == example()
    change(record)
    record["hash"] = content_hash(record)
    with pytest.raises(ProfileError, match="not a reference profile"):
        profile_from_record(record)


@pytest.mark.parametrize(
    "change",
    [
        _outcome("metrics", {"accuracy": 0.5}),
        _outcome("rows", 3),
        lambda record: record.update(segments={}),
        lambda record: record.update(outcome=None),
    ],
)
def test_what_was_altered_is_told_by_the_hash(change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(json.dumps(profile_to_record(example())))
    change(record)
    with pytest.raises(ProfileError, match="was altered"):
        profile_from_record(record)
