"""How much memory a schema lets a byte of Avro become: arrays and maps of much that takes little.

An item of an array may be a record of a thousand fields that take no bytes, and a value of a few
kilobytes then asks for gigabytes. So a schema's growth is told before anything is read by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["PLAIN_GROWTH", "growth_of"]

PLAIN_GROWTH: Final = 64  # of maps and arrays of scalars, such as our own schemas have
_GROWTHS: Final = (PLAIN_GROWTH, 1_024, 16_384)

# What values cost in memory, and take on the wire at the least, in bytes.
_LIST: Final = 64
_DICT: Final = 64
_SLOT: Final = 8
_ENTRY: Final = 100
_KEY: Final = (50, 3)  # with fewer bytes there are too few different keys to matter
_SCALARS: Final[Mapping[str, tuple[int, int]]] = {
    "null": (0, 0),
    "boolean": (0, 1),
    "int": (32, 1),
    "long": (32, 1),
    "float": (24, 4),
    "double": (24, 8),
    "bytes": (64, 1),
    "string": (64, 1),
}


def growth_of(parsed: Mapping[str, Any], named: Mapping[str, Any]) -> float:
    """The most bytes of memory that one byte within an array or a map can become, about.

    One of a few steps, infinite beyond the last. `named` are the schemas referred to by name;
    none may refer to itself, and the schema must be of a size that can be walked.
    """
    for growth in _GROWTHS:
        walk = _Walk(growth, named)
        walk.gain(parsed)
        if walk.bounded:
            return growth
    return math.inf


class _Walk:
    """Tells whether some items of arrays or maps cost more than `growth` times their bytes."""

    def __init__(self, growth: int, named: Mapping[str, Any]) -> None:
        self._growth = growth
        self._named = dict(named)
        self.bounded = True

    def gain(self, schema: Any) -> float:
        """The most by which a value's memory exceeds its bytes times the growth.

        Items don't count: where they cost more than their bytes pay for, nothing is bounded.
        """
        growth = self._growth
        if isinstance(schema, list):
            return max(map(self.gain, schema), default=0) - growth
        if isinstance(schema, str):
            known = self._named.get(schema)
            if known is not None:
                return self.gain(known)
            memory, size = _SCALARS.get(schema, (0, 0))
            return memory - growth * size
        kind = schema["type"]
        if "name" in schema:
            self._named[schema["name"]] = schema
        if kind in {"record", "error"}:
            return _DICT + sum(_ENTRY + self.gain(field["type"]) for field in schema["fields"])
        if kind == "array":
            self._item(_SLOT + self.gain(schema["items"]))
            return _LIST - growth
        if kind == "map":
            memory, size = _KEY
            self._item(_ENTRY + memory + self.gain(schema["values"]) - growth * size)
            return _DICT - growth
        if kind == "fixed":
            return _SCALARS["bytes"][0] - (growth - 1) * int(schema["size"])
        return -growth if kind == "enum" else self.gain(kind)

    def _item(self, gain: float) -> None:
        self.bounded = self.bounded and gain <= 0
