from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SDK = {"confluent-kafka", "fastavro", "numpy", "orjson"}
IMPORT_NAMES = {
    "faust-streaming": "faust",
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
    "pyyaml": "yaml",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _names(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=!~; ]", text, maxsplit=1)[0] for text in requirements}
    return names - {"driftstream"}


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".", 1)[0] for name in done.stdout.split()}


def test_a_model_server_installs_the_sdk_alone() -> None:
    assert _names(PROJECT["project"]["dependencies"]) == SDK


def test_the_sdk_imports_nothing_of_the_worker() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    names = _names([*extras["worker"], *extras["arrow"], *extras["dev"]])
    unwanted = {IMPORT_NAMES.get(name.lower(), name) for name in names} | {"aiokafka", "aiohttp"}
    assert not _modules_after("import stream.client") & unwanted


@pytest.mark.parametrize("part", ["core.records", "core.specs", "schemas", "topics"])
def test_what_the_sdk_stands_on_needs_the_base_alone(part: str) -> None:
    assert "msgspec" not in _modules_after(f"import stream.{part}")


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "stream" / "py.typed").exists()


def test_a_wheel_carries_the_schemas_and_the_project_of_jars(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = "import stream.schemas as s; print(s.__file__, *s.names())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "installed",
        capture_output=True,
        text=True,
        check=True,
    )
    place, *names = done.stdout.split()
    assert Path(place).is_relative_to(tmp_path)
    assert names == sorted(path.stem for path in (ROOT / "schemas").glob("*.avsc"))
    assert (tmp_path / "installed/stream/adapters/kafka/kafka.pom.xml").exists()
