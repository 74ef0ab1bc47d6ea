"""Whether a value fits an Avro schema, and where it doesn't.

JSON here is what any client writes: a union's value stands bare (`"age": 41`, not Avro-JSON's
`{"long": 41}`), an integer may stand for a double, a field with a default may be absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from stream.core.errors import SchemaError

__all__ = ["Check", "Mode", "compile_check"]

Check = Callable[[Any, str], Any]
"""check(value, path) -> the value, absent fields filled with their defaults.

Raises SchemaError, naming the path of what does not fit.
"""


class Mode(Enum):
    """What a check is for."""

    WRITE_JSON = auto()  # unknown fields are errors; NaN and infinities become null, or errors
    WRITE_AVRO = auto()  # unknown fields are errors; Avro can say NaN and infinities
    READ_JSON = auto()  # unknown fields are kept, so that readers bear what newer writers add


def compile_check(schema: Any, mode: Mode) -> Check:
    """The check of a parsed Avro schema (a dict, a list or a type's name); build it once."""
    return _Compiler(mode).compile(schema)


@dataclass(frozen=True, slots=True)
class _Compiler:
    mode: Mode
    known: dict[str, Check] = field(default_factory=dict)

    def compile(self, schema: Any) -> Check:
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            return self._reference(schema)
        kind = schema["type"]
        if kind == "record":
            return self._record(schema)
        if kind == "enum":
            return self._enum(schema)
        if kind == "array":
            return _array(self.compile(schema["items"]))
        if kind == "map":
            return _map(self.compile(schema["values"]))
        return self.compile(kind)

    def _reference(self, name: str) -> Check:
        if name in ("float", "double"):
            return _number if self.mode is Mode.WRITE_AVRO else _finite
        primitive = _PRIMITIVES.get(name)
        if primitive is not None:
            return primitive
        if name in self.known:
            return self.known[name]
        raise SchemaError(f"the schema names {name} before it defines it")

    def _record(self, schema: dict[str, Any]) -> Check:
        fields = {each["name"]: self.compile(each["type"]) for each in schema["fields"]}
        defaults = {e["name"]: e["default"] for e in schema["fields"] if "default" in e}
        required = tuple(name for name in fields if name not in defaults)
        keeps_unknown = self.mode is Mode.READ_JSON

        def check(value: Any, path: str) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise _misfit(value, path, "an object")
            for name in required:
                if name not in value:
                    raise SchemaError(f"{path}.{name}: is missing, and has no default")
            checked = {name: _copy(default) for name, default in defaults.items()}
            for name, item in value.items():
                fits = fields.get(name)
                if fits is not None:
                    checked[name] = fits(item, f"{path}.{name}")
                elif keeps_unknown:
                    checked[name] = item
                else:
                    there = ", ".join(fields)
                    raise SchemaError(f"{path}.{name}: no such field; there are {there}")
            return checked

        return self._named(schema, check)

    def _enum(self, schema: dict[str, Any]) -> Check:
        symbols = tuple(schema["symbols"])

        def check(value: Any, path: str) -> str:
            if not isinstance(value, str) or value not in symbols:
                raise SchemaError(f"{path}: is {_shown(value)}, wants one of {', '.join(symbols)}")
            return value

        return self._named(schema, check)

    def _named(self, schema: dict[str, Any], check: Check) -> Check:
        name, space = schema["name"], schema.get("namespace")
        self.known[f"{space}.{name}" if space else name] = check
        return check

    def _union(self, branches: list[Any]) -> Check:
        by_kind: dict[str, list[Check]] = {}
        for branch in branches:
            by_kind.setdefault(_kind(branch), []).append(self.compile(branch))
        wanted = " or ".join(by_kind)
        nullable = "null" in by_kind
        writes_null = nullable and self.mode is Mode.WRITE_JSON
        by_kind["an integer"] = by_kind.get("an integer", []) + by_kind.get("a number", [])

        def check(value: Any, path: str) -> Any:
            if value is None and nullable:
                return None
            if writes_null and isinstance(value, float) and not math.isfinite(value):
                return None
            fitting = by_kind.get(_kind_of(value))
            if not fitting:
                raise _misfit(value, path, wanted)
            for fits in fitting[:-1]:
                try:
                    return fits(value, path)
                except SchemaError:
                    continue  # the next branch may still take it
            return fitting[-1](value, path)

        return check


def _array(fits: Check) -> Check:
    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _misfit(value, path, _KINDS["array"])
        return [fits(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return check


def _map(fits: Check) -> Check:
    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _misfit(value, path, _KINDS["map"])
        for key in value:
            if not isinstance(key, str):
                raise SchemaError(f"{path}: has the key {key!r}, and keys are strings")
        return {key: fits(item, f"{path}.{key}") for key, item in value.items()}

    return check


def _instance(kind: type, called: str) -> Check:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, kind):
            raise _misfit(value, path, called)
        return value

    return check


def _number(value: Any, path: str) -> int | float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _misfit(value, path, _KINDS["double"])
    return value


def _finite(value: Any, path: str) -> int | float:
    number = _number(value, path)
    if isinstance(number, float) and not math.isfinite(number):
        raise SchemaError(f"{path}: is {number}, which JSON cannot say")
    return number


def _integer(kind: str, bits: int) -> Check:
    def check(value: Any, path: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _misfit(value, path, _KINDS[kind])
        if not -(2**bits) <= value < 2**bits:
            raise SchemaError(f"{path}: {value} does not fit into {kind}")
        return value

    return check


_KINDS = {
    "null": "null",
    "boolean": "true or false",
    "string": "a string",
    "enum": "a string",
    "int": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "bytes": "bytes",
    "array": "an array",
    "map": "an object",
}
_PRIMITIVES: dict[str, Check] = {
    "null": _instance(type(None), _KINDS["null"]),
    "boolean": _instance(bool, _KINDS["boolean"]),
    "string": _instance(str, _KINDS["string"]),
    "bytes": _instance(bytes, _KINDS["bytes"]),
    "int": _integer("int", 31),
    "long": _integer("long", 63),
}


def _kind(branch: Any) -> str:
    """What a union's branch is called in an error; a name that isn't a primitive is a record."""
    return _KINDS.get(branch if isinstance(branch, str) else branch["type"], "an object")


def _kind_of(value: Any) -> str:
    """What a value is called in an error, and looked up by in a union."""
    known = _KIND_OF_TYPE.get(type(value))
    if known is not None:
        return known
    return next(
        (kind for base, kind in _KIND_OF_TYPE.items() if isinstance(value, base)), "nothing"
    )


_KIND_OF_TYPE: dict[type, str] = {
    bool: "true or false",
    str: "a string",
    int: "an integer",
    float: "a number",
    bytes: "bytes",
    list: "an array",
    tuple: "an array",
    dict: "an object",
    type(None): "null",
}


def _copy(default: Any) -> Any:
    if isinstance(default, dict):
        return {key: _copy(value) for key, value in default.items()}
    return [_copy(item) for item in default] if isinstance(default, list) else default


def _misfit(value: Any, path: str, wanted: str) -> SchemaError:
    return SchemaError(f"{path}: is {_shown(value)}, wants {wanted}")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}… ({type(value).__name__})" if len(text) > 60 else text
