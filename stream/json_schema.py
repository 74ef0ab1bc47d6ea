"""JSON Schema (draft-07) of our records, made from their Avro schemas.

It describes what `stream.schemas.decode_json` accepts: unions stand bare, fields with a default
may be absent, further fields are allowed.
"""

from __future__ import annotations

from typing import Any

from stream.schemas import source

__all__ = ["json_schema"]

_PRIMITIVES: dict[str, dict[str, Any]] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "int": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number"},
    "double": {"type": "number"},
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of the records of this name, complete in itself.

    Raises SchemaError where there is no such schema, KeyError where it holds bytes, which have
    no plain JSON form.
    """
    return _convert(source(name), {})


def _convert(schema: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(schema, list):
        return _union([_convert(branch, known) for branch in schema])
    if isinstance(schema, str):
        return known[schema] if schema in known else dict(_PRIMITIVES[schema])
    kind = schema["type"]
    if kind == "record":
        return _named(schema, known, _record(schema, known))
    if kind == "enum":
        return _named(schema, known, {"type": "string", "enum": list(schema["symbols"])})
    if kind == "array":
        return {"type": "array", "items": _convert(schema["items"], known)}
    if kind == "map":
        return {"type": "object", "additionalProperties": _convert(schema["values"], known)}
    return _convert(kind, known)


def _record(schema: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties, required = {}, []
    for each in schema["fields"]:
        converted = dict(_convert(each["type"], known))
        if "doc" in each:
            converted["description"] = each["doc"]
        if "default" in each:
            converted["default"] = each["default"]
        else:
            required.append(each["name"])
        properties[each["name"]] = converted
    return {
        "type": "object",
        "title": schema["name"],
        **({"description": schema["doc"]} if "doc" in schema else {}),
        "properties": properties,
        "required": required,
    }


def _union(branches: list[dict[str, Any]]) -> dict[str, Any]:
    """A list of types where that says it all, else any of the branches."""
    if all(branch.keys() <= {"type", "format"} for branch in branches):
        return {"type": [branch["type"] for branch in branches]}
    return {"anyOf": branches}


def _named(
    schema: dict[str, Any], known: dict[str, dict[str, Any]], converted: dict[str, Any]
) -> dict[str, Any]:
    known[schema["name"]] = converted
    return converted
