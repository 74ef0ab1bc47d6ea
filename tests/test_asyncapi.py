"""The AsyncAPI document, checked by the specification's own JSON Schema (npm @asyncapi/specs)."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pytest

from stream import schemas
from stream.adapters.kafka.local_config import cache_folder
from stream.asyncapi import document
from stream.topics import TOPICS

SPECS = "6.11.1"
SCHEMA = "package/schemas/3.1.0-without-$id.json"


def official_schema() -> bytes:
    """The specification's schema, fetched by npm once and then kept in the cache folder."""
    kept = cache_folder() / f"asyncapi-3.1.0-{SPECS}.json"
    if kept.exists():
        return kept.read_bytes()
    npm = shutil.which("npm")
    if npm is None:
        _unavailable("npm is not installed: it fetches the AsyncAPI specification's schema")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            "--silent",
            f"@asyncapi/specs@{SPECS}",
            "--pack-destination",
            folder,
        ]
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=120
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or not archives:
            _unavailable(f"npm pack @asyncapi/specs failed: {done.stderr.strip()}")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(SCHEMA)
            assert member is not None
            content = member.read()
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(kept)
    return content


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(official_schema()))


def test_the_document_is_valid(validator: jsonschema.Draft7Validator) -> None:
    problems = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(document())]
    assert problems == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("channels", "alerts", "address"), 5),
        (("channels", "alerts", "bindings", "kafka", "topicConfiguration", "retention.ms"), "x"),
        (("operations", "sendAlerts", "action"), "publish"),
        (("components", "messages", "predictionJSON", "odd"), 1),
    ],
)
def test_the_specifications_schema_would_notice(
    validator: jsonschema.Draft7Validator, path: tuple[str, ...], value: object
) -> None:
    broken: Any = copy.deepcopy(document())
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not validator.is_valid(broken)


def test_every_topic_has_a_channel_with_kafka_bindings_and_an_operation() -> None:
    made = document(prefix="acme.")
    for topic in TOPICS:
        channel = made["channels"][topic.name]
        assert channel["address"] == f"acme.{topic.name}"
        binding = channel["bindings"]["kafka"]
        assert binding["topic"] == f"acme.{topic.name}"
        assert binding["topicConfiguration"]["cleanup.policy"] == list(topic.cleanup)
        assert len(channel["messages"]) == len(topic.schemas) * len(topic.formats)
        ref = {"$ref": f"#/channels/{topic.name}"}
        assert any(operation["channel"] == ref for operation in made["operations"].values())


def test_every_schema_is_there_whole() -> None:
    components = document()["components"]["schemas"]
    for name in schemas.names():
        assert components[name]["schema"] == schemas.source(name)


def test_every_reference_leads_somewhere() -> None:
    made = document()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(made)))
    assert references
    for reference in references:
        place: Any = made
        for step in reference.split("/"):
            place = place[step]


def test_users_directions_are_told() -> None:
    operations = document()["operations"]
    assert operations["receivePredictions"]["action"] == "receive"
    assert operations["sendAlerts"]["action"] == "send"
    assert "sendPredictions" not in operations
    assert {"sendRetrainStatus", "receiveRetrainStatus"} <= operations.keys()


def test_it_is_the_same_bytes_every_time() -> None:
    program = "import json; from stream.asyncapi import document; print(json.dumps(document()))"
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
