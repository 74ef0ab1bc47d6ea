"""The pages hold together: their links lead somewhere, their commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from stream.cli.application import COMMANDS, run

_ROOT = Path(__file__).parent.parent
_PAGES = sorted([_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")])
_WITHOUT_SUBCOMMANDS = {"apply", "demo", "digest", "monitors", "produce", "worker"}


def _commands(page: Path) -> list[list[str]]:
    """The command lines of a page: in a shell block, or indented by four blanks."""
    found = []
    text = page.read_text()
    lines = [
        line.strip()
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    lines += re.findall(r"^    (driftstream .*)$", text, re.MULTILINE)
    for line in lines:
        words = shlex.split(line.partition("|")[0], comments=True)
        if words[:1] == ["driftstream"]:
            found.append(words[1:])
    return found


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in _commands(page):
        assert words[0] in COMMANDS
        path = [words[0]]
        if len(words) > 1 and words[0] not in _WITHOUT_SUBCOMMANDS:
            path.append(words[1])
        assert run([*path, "--help"]) == 0, words
        described = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in described, (words, option)
