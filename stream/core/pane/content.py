"""A reference profile as a record, and its content's hash. What a topic holds is distrusted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from stream.core.errors import ProfileError
from stream.core.records import ModelKey
from stream.core.specs import SPECIALS, CategoricalVariable, NumericVariable, Profile

__all__ = [
    "content_bytes",
    "content_hash",
    "profile_from_record",
    "profile_key",
    "profile_to_record",
]

_NOT_CONTENT = ("hash", "effective_from_ms", "warmed_up", "created_ms")


def profile_key(profile: Profile) -> bytes:
    """The profile's key in the `profiles` topic: model@version/hash."""
    return f"{profile.model}/{profile.hash}".encode()


def profile_to_record(profile: Profile) -> dict[str, Any]:
    """The profile as plain values, in the form of schemas/reference_profile.avsc."""
    return {
        "model": profile.model.model,
        "version": profile.model.version,
        "hash": profile.hash,
        "rows": profile.rows,
        "effective_from_ms": profile.effective_from_ms,
        "warmed_up": profile.warmed_up,
        "created_ms": profile.created_ms,
        "numeric": [
            {
                "name": variable.name,
                "edges": list(variable.edges),
                "counts": list(variable.counts),
                "mean": variable.mean,
                "std": variable.std,
                "low": variable.low,
                "high": variable.high,
            }
            for variable in profile.numeric
        ],
        "categorical": [
            {
                "name": variable.name,
                "categories": list(variable.categories),
                "others": list(variable.others),
                "counts": list(variable.counts),
            }
            for variable in profile.categorical
        ],
        "provenance": dict(profile.provenance),
    }


def content_hash(record: Mapping[str, Any]) -> str:
    """sha256 of the record's canonical JSON without what isn't content, as 32 hex digits.

    Not content are the hash itself, when the profile was built, from when it applies and
    whether it was warmed up: the same rows always make the same hash.
    """
    return hashlib.sha256(_canonical(record, ascii_only=True)).hexdigest()[:32]


def content_bytes(record: Mapping[str, Any]) -> int:
    """How long the record's content is as JSON in UTF-8."""
    return len(_canonical(record, ascii_only=False))


def _canonical(record: Mapping[str, Any], *, ascii_only: bool) -> bytes:
    content = {key: value for key, value in record.items() if key not in _NOT_CONTENT}
    return json.dumps(
        content,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
        ensure_ascii=ascii_only,
    ).encode()


def profile_from_record(record: Mapping[str, Any]) -> Profile:
    """The profile that a record describes.

    Raises ProfileError for anything that isn't a profile to be relied on: a field missing or of
    another type, edges that don't ascend, counts of the wrong number or below zero, a name
    twice, a hash that isn't the content's.
    """
    try:
        profile = Profile(
            model=ModelKey(_text(record["model"]), _text(record["version"])),
            hash=_text(record["hash"]),
            rows=_count(record["rows"]),
            numeric=tuple(_numeric(item) for item in _items(record["numeric"])),
            categorical=tuple(_categorical(item) for item in _items(record["categorical"])),
            effective_from_ms=_count(record["effective_from_ms"]),
            warmed_up=bool(record["warmed_up"]),
            created_ms=_count(record["created_ms"]),
            provenance=tuple(
                sorted((_text(key), _text(value)) for key, value in record["provenance"].items())
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProfileError(f"not a reference profile: {error!r}; build it again") from error
    names = [variable.name for variable in profile.variables]
    if len(set(names)) < len(names):
        raise ProfileError(f"the profile of {profile.model} names a variable twice; build it again")
    if content_hash(profile_to_record(profile)) != profile.hash:
        raise ProfileError(
            f"the profile of {profile.model} was altered: its content does not have the hash "
            f"{profile.hash} that it claims; build it again"
        )
    return profile


def _numeric(item: Mapping[str, Any]) -> NumericVariable:
    edges = tuple(_finite(edge) for edge in _items(item["edges"]))
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges of {item['name']!r} do not ascend")
    return NumericVariable(
        name=_text(item["name"]),
        edges=edges,
        counts=_counts(item, len(edges) - 1),
        mean=_finite(item["mean"]),
        std=_finite(item["std"]),
        low=_finite(item["low"]),
        high=_finite(item["high"]),
    )


def _categorical(item: Mapping[str, Any]) -> CategoricalVariable:
    categories = tuple(_text(name) for name in _items(item["categories"]))
    others = tuple(_text(name) for name in _items(item["others"]))
    if len({*categories, *others}) < len(categories) + len(others):
        raise ValueError(f"categories of {item['name']!r} are not all different")
    return CategoricalVariable(
        name=_text(item["name"]),
        categories=categories,
        others=others,
        counts=_counts(item, len(categories)),
    )


def _counts(item: Mapping[str, Any], size: int) -> tuple[int, ...]:
    counts = tuple(_count(count) for count in _items(item["counts"]))
    if len(counts) != size + SPECIALS:
        raise ValueError(f"{item['name']!r} has {len(counts)} counts for {size} slots + {SPECIALS}")
    return counts


def _items(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} is not a count")
    return value


def _finite(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)
