"""The image's lock file: every dependency in it, in range, with hashes; and the image uses it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: ; [^\\]+)? \\\n((?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


def _pins() -> dict[str, Version]:
    return {canonicalize_name(name): Version(version) for name, version, _ in _PIN.findall(LOCK)}


def _wanted(*extras: str) -> list[Requirement]:
    """What the project asks for with these extras, its own extras followed."""
    found: list[Requirement] = []
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            found += _wanted(*requirement.extras)
        else:
            found.append(requirement)
    return found


def test_every_dependency_of_the_worker_is_pinned_within_its_range() -> None:
    pins = _pins()
    environment = {"python_version": "3.12", "sys_platform": "linux", "extra": ""}
    wanted = [r for r in _wanted("worker") if r.marker is None or r.marker.evaluate(environment)]
    assert len(wanted) > 10
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in requirements.lock: make lock"
        assert requirement.specifier.contains(version), f"{requirement}: {version}: make lock"


def test_every_pin_has_hashes_and_nothing_else_stands_in_the_file() -> None:
    lines = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(_PIN.findall(LOCK)) == len(lines) > 20
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", pin[2]) for pin in _PIN.findall(LOCK))
    assert "://" not in LOCK  # neither an index nor an address of somebody's machine


def test_the_image_installs_what_is_locked_and_nothing_besides() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip install ([^\n]+)", dockerfile)
    assert [text.replace("--no-cache-dir ", "") for text in installs] == [
        "--require-hashes -r requirements.lock",
        "--no-deps .",
    ]
    assert "!requirements.lock" in (ROOT / ".dockerignore").read_text(encoding="utf-8")
