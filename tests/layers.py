"""What each part of `stream/` may import, as a table, and the check that reads it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RULES", "Rule", "longer_than", "modules_under", "violations"]

FIRST_LAYER = tuple(
    f"stream.core.{name}"
    for name in (
        "errors",
        "records",
        "rules",
        "specs",
        "labels",
        "outcomes",
        "ids",
        "fixed",
        "logbins",
        "ledger",
        "catalog",
        "conditions",
        "expression",
        "partitioner",
        "names",
        "numbers",
        "compiled",
    )
)
# Modules of the shell that stand alone: what records and topics look like on the wire.
WIRE = (
    "stream.schemas",
    "stream.conformance",
    "stream.topics",
    "stream.delivery",
    "stream.cloudevents",
    "stream.json_schema",
    "stream.asyncapi",
)
# The core is given time, randomness, bytes and schemas; it never fetches them.
EFFECTS = frozenset(
    {
        "asyncio",
        "ctypes",
        "glob",
        "http",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
    }
)
_NUMBERS = frozenset({"numpy"})
_STAGE = _NUMBERS | {"river", "orjson", "fastavro", "numba", "pyarrow", "xxhash"}
_SHELL = _STAGE | {"confluent_kafka", "msgspec"}
_ANY = frozenset({"*"})
_AGENTS = ("observe", "detect", "act")
_FAUST = frozenset({"faust", "aiokafka", "mode"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What the modules under `part` may import of ours, of others, and not of Python's own."""

    part: str
    ours: tuple[str, ...]
    others: frozenset[str]
    not_python: frozenset[str] = frozenset()
    never: tuple[str, ...] = ()


def _stage(name: str, *others: str) -> Rule:
    part = f"stream.core.{name}"
    return Rule(part, (*FIRST_LAYER, part), _STAGE | set(others), EFFECTS)


def _agent(name: str, *others: str) -> Rule:
    part = f"stream.agents.{name}"
    others_parts = tuple(f"stream.agents.{other}" for other in _AGENTS if other != name)
    ours = ("stream.core", "stream.engine", "stream.adapters", *WIRE, "stream.agents")
    return Rule(part, ours, _STAGE | {"msgspec"} | set(others), never=others_parts)


# The longest part that a module's name starts with decides.
RULES: tuple[Rule, ...] = (
    *(Rule(part, FIRST_LAYER, _NUMBERS | {"xxhash"}, EFFECTS) for part in FIRST_LAYER),
    Rule("stream.core.compiled", (), frozenset({"numba"}), EFFECTS),
    _stage("decode", "msgspec"),
    _stage("join"),
    _stage("pane"),
    _stage("score"),
    _stage("signal"),
    _stage("trigger"),
    Rule("stream.core.pipeline", ("stream.core",), _NUMBERS, EFFECTS),
    Rule("stream.core.baseline", ("stream.core",), _NUMBERS, EFFECTS),
    *(
        Rule(f"stream.core.{part}", ("stream.core",), _NUMBERS, EFFECTS)
        for part in ("results", "judging", "incidents", "control")
    ),
    Rule("stream.core.snapshot", ("stream.core",), _NUMBERS, EFFECTS),
    Rule("stream.core", FIRST_LAYER, _NUMBERS, EFFECTS),
    *(Rule(part, (*FIRST_LAYER, *WIRE), _NUMBERS | {"orjson", "fastavro"}) for part in WIRE),
    Rule("stream.access", (), frozenset(), EFFECTS),
    Rule("stream.settings", (*FIRST_LAYER, *WIRE, "stream.settings"), frozenset({"pydantic"})),
    Rule(
        "stream.client",
        (*FIRST_LAYER, *WIRE, "stream.access", "stream.client"),
        frozenset({"confluent_kafka", "orjson", "fastavro", "numpy", "pyarrow"}),
    ),
    Rule(
        "stream.adapters",
        (*FIRST_LAYER, *WIRE, "stream.access", "stream.adapters"),
        _SHELL | {"prometheus_client", "aiohttp", "httpx", "pydantic", "yaml"},
    ),
    Rule(
        "stream.engine",
        (*FIRST_LAYER, *WIRE, "stream.access", "stream.adapters", "stream.engine"),
        _SHELL,
    ),
    _agent("observe"),
    _agent("detect"),
    _agent("act", *_FAUST, "aiohttp"),
    Rule(
        "stream.workload",
        ("stream.core", *WIRE, "stream.adapters.monitors", "stream.workload"),
        _NUMBERS | {"fastavro", "orjson", "pyarrow"},
        EFFECTS,
    ),
    Rule(
        "stream.agents",
        ("stream.core", "stream.engine", "stream.adapters", *WIRE, "stream.agents"),
        _STAGE,
    ),
    *(
        Rule(part, ("stream",), _ANY)
        for part in ("stream.cli", "stream.web", "stream.backtest", "stream.worker")
    ),
)


def modules_under(root: Path, package: str = "stream") -> dict[str, str]:
    """The source of each module of a package, by its dotted name."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def violations(sources: Mapping[str, str], rules: Iterable[Rule] = RULES) -> list[str]:
    """Each import that no rule allows, as `module:line imports what: why not`."""
    table = {rule.part: rule for rule in rules}
    known = frozenset(sources)
    found = []
    for module, source in sources.items():
        rule = _rule_of(module, table)
        for line, target in _imports(source, known):
            reason = _reason(module, target, rule)
            if reason:
                found.append(f"{module}:{line} imports {target}: {reason}")
    return found


def longer_than(limit: int, paths: Iterable[Path]) -> list[str]:
    """The files of more than `limit` lines, with their lengths."""
    counts = ((path, len(path.read_text(encoding="utf-8").splitlines())) for path in paths)
    return [f"{path}: {count} lines" for path, count in counts if count > limit]


def _rule_of(module: str, table: Mapping[str, Rule]) -> Rule | None:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        rule = table.get(".".join(parts[:length]))
        if rule is not None:
            return rule
    return None


def _imports(source: str, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                submodule = f"{module}.{alias.name}"
                yield node.lineno, submodule if submodule in known else module
                if alias.name.startswith("_") and module.startswith("stream"):
                    yield node.lineno, submodule


def _reason(module: str, target: str, rule: Rule | None) -> str | None:
    if target.startswith("."):
        return "imports are absolute"
    top = target.split(".", 1)[0]
    if top == "stream":
        if target.rsplit(".", 1)[-1].startswith("_") and not target.endswith("__"):
            return "a private name belongs to its own module"
        return _ours_reason(module, target, rule)
    if top in _FAUST and not _inside(module, "stream.agents.act"):
        return "Faust and aiokafka appear in stream/agents/act only"
    if rule is None:
        return None if top in sys.stdlib_module_names else "no rule lets this module import it"
    if top in sys.stdlib_module_names:
        return f"{rule.part} is free of effects" if top in rule.not_python else None
    if "*" in rule.others or top in rule.others:
        return None
    return f"{rule.part} may import {', '.join(sorted(rule.others))}"


def _ours_reason(module: str, target: str, rule: Rule | None) -> str | None:
    if rule is None:
        return f"{module} has no rule: say in tests/layers.py what it may import"
    if any(_inside(target, part) for part in rule.never):
        return f"{rule.part} knows no other agent"
    if any(_inside(target, part) for part in rule.ours):
        return None
    return f"{rule.part} may import {', '.join(rule.ours)}"


def _inside(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")
