"""The matrix from the command line: `python -m tests.chaos --seed 7 --long --report chaos.md`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.cases import Case, long_form, short_form
from tests.chaos.matrix import Matrix, Result
from tests.chaos.report import as_json, as_markdown, line

__all__ = ["main"]

_SECONDS = 300.0


def main(arguments: Sequence[str]) -> int:
    """Runs the cases asked for, prints how they went; 0 where all are as they must be."""
    asked = _arguments(arguments)
    cases = (long_form if asked.long else short_form)(asked.seed)
    chosen = [case for case in cases if not asked.only or _named(case, asked.only)]
    if not chosen:
        names = ", ".join(case.name for case in cases)
        _say(f"no case is named {', '.join(asked.only)}; there are {names}")
        return 2
    folder = asked.logs or Path(tempfile.mkdtemp(prefix="driftstream-chaos-"))
    _say(f"seed {asked.seed}, {len(chosen)} cases, logs in {folder}")
    results: list[Result] = []
    started = time.monotonic()
    matrix = Matrix(asked.seed, folder, _SECONDS, _say)
    for result in matrix.results(chosen):
        results.append(result)
        _say("\n".join(f"    {step}" for step in result.journal))
        _say(line(result))
        if asked.report:
            _write(asked.report, asked.seed, results)
    _say(as_markdown(asked.seed, results, journal=False))
    failed = sum(bool(result.failure) for result in results)
    seconds = time.monotonic() - started
    _say(f"{len(results)} cases, {failed} failed, {seconds / 60:.1f} minutes, seed {asked.seed}")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of the workload and of what is done")
    parser.add_argument("--long", action="store_true", help="every pair, not the short form")
    parser.add_argument("--only", action="append", default=[], help="cases that begin so; repeat")
    parser.add_argument("--report", type=Path, help="a file to write: .md, or .json")
    parser.add_argument("--logs", type=Path, help="a folder for the workers' logs")
    return parser.parse_args(arguments)


def _named(case: Case, only: Sequence[str]) -> bool:
    return any(case.name.startswith(name) for name in only)


def _write(path: Path, seed: int, results: Sequence[Result]) -> None:
    text = as_json(seed, results) if path.suffix == ".json" else as_markdown(seed, results)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
