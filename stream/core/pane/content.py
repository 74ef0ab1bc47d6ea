"""A reference profile as a record, and its content's hash. What a topic holds is distrusted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from stream.core.errors import ProfileError
from stream.core.pane.baseline_content import outcome_from_record, outcome_to_record
from stream.core.pane.plain import count_of, finite_of, items_of, text_of
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
_LEFT_OUT_EMPTY = ("outcome", "segments")  # profiles without them were hashed before these were


def profile_key(profile: Profile) -> bytes:
    """The profile's key in the `profiles` topic: model@version/hash."""
    return f"{profile.model.key}/{profile.hash}".encode()


def profile_to_record(profile: Profile) -> dict[str, Any]:
    """The profile as plain values, in the form of schemas/reference_profile.avsc.

    Outcome and segments are left out where there are none.
    """
    record: dict[str, Any] = {
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
    if profile.outcome is not None:
        record["outcome"] = outcome_to_record(profile.outcome)
    if profile.segments:
        record["segments"] = {column: list(values) for column, values in profile.segments}
    return record


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
    content = {
        key: value
        for key, value in record.items()
        if key not in _NOT_CONTENT and (value or key not in _LEFT_OUT_EMPTY)
    }
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
    twice, a calibration that isn't one of its score's bins, a hash that isn't the content's.
    """
    try:
        provenance = record["provenance"].items()
        profile = Profile(
            model=ModelKey(text_of(record["model"]), text_of(record["version"])),
            hash=text_of(record["hash"]),
            rows=count_of(record["rows"]),
            numeric=tuple(_numeric(item) for item in items_of(record["numeric"])),
            categorical=tuple(_categorical(item) for item in items_of(record["categorical"])),
            effective_from_ms=count_of(record["effective_from_ms"]),
            warmed_up=bool(record["warmed_up"]),
            created_ms=count_of(record["created_ms"]),
            provenance=tuple(sorted((text_of(key), text_of(value)) for key, value in provenance)),
            segments=_segments(record.get("segments") or {}),
        )
        if record.get("outcome") is not None:
            outcome = outcome_from_record(record["outcome"], profile)
            profile = replace(profile, outcome=outcome)
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
    edges = tuple(finite_of(edge) for edge in items_of(item["edges"]))
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges of {item['name']!r} do not ascend")
    return NumericVariable(
        name=text_of(item["name"]),
        edges=edges,
        counts=_counts(item, len(edges) - 1),
        mean=finite_of(item["mean"]),
        std=finite_of(item["std"]),
        low=finite_of(item["low"]),
        high=finite_of(item["high"]),
    )


def _categorical(item: Mapping[str, Any]) -> CategoricalVariable:
    categories = tuple(text_of(name) for name in items_of(item["categories"]))
    others = tuple(text_of(name) for name in items_of(item["others"]))
    if len({*categories, *others}) < len(categories) + len(others):
        raise ValueError(f"categories of {item['name']!r} are not all different")
    return CategoricalVariable(
        name=text_of(item["name"]),
        categories=categories,
        others=others,
        counts=_counts(item, len(categories)),
    )


def _counts(item: Mapping[str, Any], size: int) -> tuple[int, ...]:
    counts = tuple(count_of(count) for count in items_of(item["counts"]))
    if len(counts) != size + SPECIALS:
        raise ValueError(f"{item['name']!r} has {len(counts)} counts for {size} slots + {SPECIALS}")
    return counts


def _segments(record: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for column, values in sorted(record.items()):
        names = tuple(text_of(value) for value in items_of(values))
        if len(set(names)) < len(names):
            raise ValueError(f"the segments of {column!r} are not all different")
        found.append((text_of(column), names))
    return tuple(found)
