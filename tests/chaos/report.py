"""What was done, to whom and when, and the digests: as Markdown, as JSON, as a line."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import orjson

from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.matrix import Result
from tests.chaos.surroundings import processor

__all__ = ["as_json", "as_markdown", "line"]


_COLUMNS = (
    "disturbance",
    "slices",
    "workers",
    "rows",
    "digest",
    "windows",
    "incidents",
    "moved",
    "seconds",
    "what happened",
)


def line(result: Result) -> str:
    """A case in a line; a failure in full."""
    head = f"{'FAILED' if result.failure else 'ok':6}  {result.case.name:28}"
    told = f"{head}  {result.seconds:6.1f} s  {result.digest[:16]:16}  {_counts(result)}"
    return f"{told}\n{result.failure}" if result.failure else told


def as_markdown(seed: int, results: Sequence[Result], *, journal: bool = True) -> str:
    """A table of all cases; with `journal` also what was done in each."""
    failed = sum(bool(result.failure) for result in results)
    lines = [
        f"# Chaos, seed {seed}",
        "",
        f"{len(results)} cases, {failed} failed. {_machine()}",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    lines += [_row(result) for result in results]
    for result in results if journal else ():
        lines += ["", f"## {result.case.name}", "", DISTURBANCES[result.case.disturbance].says, ""]
        lines += ["```", *result.journal, "```"]
        if result.failure:
            lines += ["", "**Failed**", "", "```", result.failure, "```"]
    return "\n".join([*lines, ""])


def as_json(seed: int, results: Sequence[Result]) -> str:
    """Everything, as one object."""
    told = {"seed": seed, "machine": _machine(), "cases": [asdict(each) for each in results]}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def _row(result: Result) -> str:
    case = result.case
    digest = f"**failed** {result.digest[:16]}" if result.failure else f"`{result.digest[:16]}`"
    cells = (
        case.disturbance,
        f"{case.slice_records:,}",
        case.workers,
        f"{case.plan.rows:,}",
        digest,
        f"{result.windows:,}",
        result.incidents,
        result.moved,
        f"{result.seconds:.0f}",
        _counts(result),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _counts(result: Result) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in result.counts.items() if count)


def _machine() -> str:
    features = " ".join(processor()) or "its baseline only"
    return f"Python {platform.python_version()}, numpy {np.__version__} with {features}."
