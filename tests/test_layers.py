from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.layers import longer_than, modules_under, violations

ROOT = Path(__file__).parents[1]
FOLDERS = ("stream", "tests", "benchmarks", "examples")
LONGEST = 300
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def _files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_imports_point_down_only() -> None:
    assert violations(modules_under(ROOT)) == []


def test_no_file_is_longer_than_its_reader_can_hold() -> None:
    assert longer_than(LONGEST, _files()) == []


def test_names_say_what_is_inside() -> None:
    named = {part for path in _files() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not named & NAMES_THAT_SAY_NOTHING


def test_tests_share_words_and_not_each_other() -> None:
    found = re.compile(r"^\s*(?:from|import) tests\.test_\w+", re.MULTILINE)
    assert [path.name for path in _files() if found.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("stream.core.score.psi", "import stream.core.pane.fold", "stream.core.score may import"),
        ("stream.core.score.psi", "from stream.core import pane", "stream.core.score may import"),
        ("stream.core.pane.fold", "import time", "free of effects"),
        ("stream.core.pane.fold", "from os import path", "free of effects"),
        ("stream.core.records", "import msgspec", "stream.core.records may import numpy"),
        ("stream.core.decode.json", "import confluent_kafka", "stream.core.decode may import"),
        ("stream.core.decode.json", "from stream import schemas", "stream.core.decode may import"),
        ("stream.core.decode.json", "from . import avro", "absolute"),
        ("stream.client.logger", "from stream.adapters import kafka", "stream.client may import"),
        ("stream.client.logger", "import pydantic", "stream.client may import"),
        ("stream.engine.runner", "import stream.agents.observe", "stream.engine may import"),
        ("stream.agents.observe.agent", "import confluent_kafka", "observe may import"),
        ("stream.agents.observe.agent", "import stream.agents.detect", "no other agent"),
        ("stream.agents.detect.agent", "import faust", "stream/agents/act only"),
        ("stream.cli.demo", "import aiokafka", "stream/agents/act only"),
        ("stream.cli.demo", "from stream.engine.runner import _loop", "private name"),
        ("stream.newcomer", "import stream.engine", "has no rule"),
    ],
)
def test_a_violation_is_found(module: str, source: str, says: str) -> None:
    sources = {module: source, "stream.core.pane": "", "stream.schemas": ""}
    found = violations(sources)
    assert len(found) == 1
    assert found[0].startswith(f"{module}:1 imports ")
    assert says in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("stream.core.pane.fold", "from stream.core import records\nimport numpy as np"),
        ("stream.core.decode.json", "import msgspec\nimport stream.core.decode.plan"),
        ("stream.agents.act.webhook", "import faust\nfrom stream.core.trigger import policy"),
        ("stream.worker", "import stream.agents.observe\nimport prometheus_client"),
        ("stream.client.logger", "import confluent_kafka\nfrom stream.schemas import names"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations({module: source, "stream.core.records": ""}) == []


def test_a_long_file_is_found(tmp_path: Path) -> None:
    long, short = tmp_path / "long.py", tmp_path / "short.py"
    long.write_text("x = 1\n" * (LONGEST + 1), encoding="utf-8")
    short.write_text("x = 1\n" * LONGEST, encoding="utf-8")
    assert longer_than(LONGEST, [long, short]) == [f"{long}: {LONGEST + 1} lines"]
