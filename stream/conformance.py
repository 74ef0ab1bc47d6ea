"""Whether a plain JSON value fits an Avro schema, and where it doesn't.

JSON here is what any client writes: a union's value stands bare (`"age": 41`, not Avro-JSON's
`{"long": 41}`), an integer may stand for a double, a field with a default may be absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from stream.core.errors import SchemaError

__all__ = ["Check", "compile_check"]

Check = Callable[[Any, str, bool], Any]
"""check(value, path, strict) -> the value, its absent fields filled with their defaults.

Raises SchemaError, naming the path. With `strict`, a field that the schema lacks is an error
too; without, it is kept as it is, so that a reader bears what newer writers add.
"""

_Known = dict[str, Check]
_LIMITS = {"int": 2**31, "long": 2**63}


def compile_check(schema: Any) -> Check:
    """The check of a parsed Avro schema (a dict, a list or a type's name); build it once.

    `bytes` and `fixed` have no plain JSON form: a value of theirs never fits.
    """
    return _compile(schema, {})


def _compile(schema: Any, known: _Known) -> Check:
    if isinstance(schema, list):
        return _union(schema, known)
    if isinstance(schema, str):
        return _reference(schema, known)
    kind = schema["type"]
    if kind == "record":
        return _record(schema, known)
    if kind == "enum":
        return _enum(schema, known)
    if kind == "array":
        return _array(_compile(schema["items"], known))
    if kind == "map":
        return _map(_compile(schema["values"], known))
    return _compile(kind, known)


def _reference(name: str, known: _Known) -> Check:
    primitive = _PRIMITIVES.get(name)
    if primitive is not None:
        return primitive
    # Looked up when called: a record may name itself before it is compiled to its end.
    return lambda value, path, strict: known[name](value, path, strict)


def _record(schema: dict[str, Any], known: _Known) -> Check:
    fields: dict[str, Check] = {}
    defaults: dict[str, Any] = {}

    def check(value: Any, path: str, strict: bool) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _misfit(value, path, "an object")
        missing = [name for name in fields if name not in value and name not in defaults]
        if missing:
            raise SchemaError(f"{path}.{missing[0]}: is missing, and has no default")
        if strict and (unknown := [name for name in value if name not in fields]):
            raise SchemaError(
                f"{path}.{unknown[0]}: no such field; there are {', '.join(fields)}"
            )
        checked = dict(value)
        for name, fits in fields.items():
            if name in value:
                checked[name] = fits(value[name], f"{path}.{name}", strict)
            else:
                checked[name] = _copy(defaults[name])
        return checked

    _name(schema, known, check)
    for each in schema["fields"]:
        fields[each["name"]] = _compile(each["type"], known)
        if "default" in each:
            defaults[each["name"]] = each["default"]
    return check


def _enum(schema: dict[str, Any], known: _Known) -> Check:
    symbols = tuple(schema["symbols"])

    def check(value: Any, path: str, strict: bool) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise SchemaError(f"{path}: is {_shown(value)}, wants one of {', '.join(symbols)}")
        return value

    _name(schema, known, check)
    return check


def _array(fits: Check) -> Check:
    def check(value: Any, path: str, strict: bool) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _misfit(value, path, "an array")
        return [fits(item, f"{path}[{index}]", strict) for index, item in enumerate(value)]

    return check


def _map(fits: Check) -> Check:
    def check(value: Any, path: str, strict: bool) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _misfit(value, path, "an object")
        for key in value:
            if not isinstance(key, str):
                raise SchemaError(f"{path}: has the key {key!r}, and keys are strings")
        return {key: fits(item, f"{path}.{key}", strict) for key, item in value.items()}

    return check


def _union(branches: list[Any], known: _Known) -> Check:
    checks = [(_json_kind(branch), _compile(branch, known)) for branch in branches]
    nullable = "null" in branches
    wanted = " or ".join(dict.fromkeys(kind for kind, _ in checks))

    def check(value: Any, path: str, strict: bool) -> Any:
        if nullable and (value is None or _not_finite(value)):
            return None
        reasons: list[tuple[str, SchemaError]] = []
        for kind, fits in checks:
            try:
                return fits(value, path, strict)
            except SchemaError as reason:
                reasons.append((kind, reason))
        close = [reason for kind, reason in reasons if kind == _kind_of(value)]
        if len(close) == 1:
            raise close[0]
        raise _misfit(value, path, wanted)

    return check


def _null(value: Any, path: str, strict: bool) -> None:
    if value is not None:
        raise _misfit(value, path, "null")


def _boolean(value: Any, path: str, strict: bool) -> bool:
    if not isinstance(value, bool):
        raise _misfit(value, path, "true or false")
    return value


def _string(value: Any, path: str, strict: bool) -> str:
    if not isinstance(value, str):
        raise _misfit(value, path, "a string")
    return value


def _number(value: Any, path: str, strict: bool) -> int | float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _misfit(value, path, "a number")
    if _not_finite(value):
        raise SchemaError(f"{path}: is {value}, which JSON cannot say")
    return value


def _integer(kind: str) -> Check:
    limit = _LIMITS[kind]

    def check(value: Any, path: str, strict: bool) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _misfit(value, path, "an integer")
        if not -limit <= value < limit:
            raise SchemaError(f"{path}: {value} does not fit into {kind}")
        return value

    return check


def _binary(value: Any, path: str, strict: bool) -> Any:
    raise SchemaError(f"{path}: bytes have no plain JSON form; encode the record as Avro")


_PRIMITIVES: dict[str, Check] = {
    "null": _null,
    "boolean": _boolean,
    "string": _string,
    "int": _integer("int"),
    "long": _integer("long"),
    "float": _number,
    "double": _number,
    "bytes": _binary,
}
_KINDS = {
    "null": "null",
    "boolean": "true or false",
    "string": "a string",
    "enum": "a string",
    "int": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "array": "an array",
    "map": "an object",
}


def _name(schema: dict[str, Any], known: _Known, check: Check) -> None:
    name, space = schema["name"], schema.get("namespace")
    known[name] = check
    known[f"{space}.{name}" if space else name] = check


def _json_kind(branch: Any) -> str:
    """What a union's branch is called in an error; a name that isn't a primitive is a record."""
    return _KINDS.get(branch if isinstance(branch, str) else branch["type"], "an object")


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a string", int: "an integer", float: "a number", list: "an array"}
    return "an object" if isinstance(value, dict) else names.get(type(value), "null")


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _copy(default: Any) -> Any:
    if isinstance(default, dict):
        return {key: _copy(value) for key, value in default.items()}
    return [_copy(item) for item in default] if isinstance(default, list) else default


def _misfit(value: Any, path: str, wanted: str) -> SchemaError:
    return SchemaError(f"{path}: is {_shown(value)}, wants {wanted}")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}… ({type(value).__name__})" if len(text) > 60 else text
