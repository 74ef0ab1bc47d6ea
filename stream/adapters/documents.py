"""YAML files that people write: read whole, checked by a pydantic model, every problem placed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from stream.core.errors import ConfigError

__all__ = ["Document", "Duration", "checked", "nearest", "read_yaml"]

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def _duration(value: object) -> int:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no duration: write a number and a unit, such as 30m or 1h")
    return round(float(match[1]) * _UNIT_MS[match[2]])


Duration = Annotated[int, BeforeValidator(_duration)]
"""Milliseconds, written as 500ms, 30s, 15m, 1h or 7d."""


class Document(BaseModel):
    """A part of a file: its keys are its fields, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_D = TypeVar("_D", bound=Document)
_NOT_PLAIN = frozenset({"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"})


class _Loader(yaml.SafeLoader):
    """YAML 1.2's sense of plain words, and a key may stand only once.

    Classes called yes, no, on and off, and days, are texts; only true and false are booleans.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # the library reads it as a class's attribute
        first: [(tag, pattern) for tag, pattern in pairs if tag not in _NOT_PLAIN]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; a ConstructorError where a key stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|false|True|False|TRUE|FALSE)$"), list("tfTF")
)


def read_yaml(path: Path) -> list[object]:
    """The documents of a YAML file, empty ones left out; a ConfigError that names the line."""
    try:
        text = path.read_text(encoding="utf-8")
        documents = list(yaml.load_all(text, Loader=_Loader))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: is not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from error
    return [document for document in documents if document is not None]


def checked(kind: type[_D], value: object, place: str) -> _D:
    """The value as a `kind`; else a ConfigError that lists each problem after its place.

    An unknown key is named together with the nearest one that is known there.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = [_explain(kind, problem) for problem in error.errors()]
        raise ConfigError("\n".join(f"{place}{problem}" for problem in problems)) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is near, else the list of the known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def _explain(kind: type[Document], problem: Any) -> str:
    location: tuple[str | int, ...] = problem["loc"]
    path = ".".join(str(part) for part in location)
    prefix = f", {path}: " if path else ": "
    if problem["type"] == "extra_forbidden":
        known = _fields_at(kind, location[:-1])
        return f"{prefix}there is no such key; {nearest(str(location[-1]), known)}"
    if problem["type"] == "missing":
        return f"{prefix}is missing"
    if problem["type"] == "model_type":
        return f"{prefix}must be keys with values, not {problem['input']!r}"
    return prefix + str(problem["msg"]).removeprefix("Value error, ")


def _fields_at(kind: type[Document], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that are known at a place within a document."""
    at: Any = kind
    for part in path:
        field = at.model_fields.get(part) if _is_document(at) else None
        inner = field.annotation if field is not None else at
        at = next((found for found in _documents_in(inner)), at)
    return tuple(at.model_fields)


def _documents_in(annotation: Any) -> list[type[Document]]:
    if _is_document(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _documents_in(part)]


def _is_document(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Document)
