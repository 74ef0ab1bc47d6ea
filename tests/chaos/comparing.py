"""Two runs beside each other: where their windows and incidents differ, with both bodies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import orjson

from stream.cli.digest.canonical import Digest, Found, Incident, Place, Window

__all__ = ["Outcome", "differences"]

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run wrote; `bodies` reads records where they stand."""

    digest: Digest
    bodies: Callable[[Collection[Place]], Mapping[Place, str]]


def differences(wanted: Outcome, got: Outcome, *, moving: str = "") -> list[str]:
    """Lines that tell how a run differs from the reference; none where it doesn't.

    Of windows of the kind `moving`, and of incidents that they lead to, it is only asked that
    some record moved rows; of no other kind any may.
    """
    lines = [f"found twice: {line}" for line in got.digest.doubled]
    lines += map(str, got.digest.odd)
    strange = [each for each in got.digest.moved if _kind(each) != moving]
    lines += [f"has moved rows: {each.what}" for each in strange[:_SHOWN]]
    if moving and not got.digest.moved:
        lines.append(f"no window of {moving} records moved rows")
    ours, theirs = _by_what(wanted.digest, moving), _by_what(got.digest, moving)
    apart = sorted(
        (what for what in {*ours, *theirs} if _hash(ours, what) != _hash(theirs, what)),
        key=lambda what: (isinstance(what, str), str(what)),  # windows lead to incidents
    )
    if apart:
        lines.append(f"{len(apart)} of {len({*ours, *theirs})} differ")
        lines += _summed(apart, ours, theirs, wanted, got)
        lines.append("the first:")
        lines += _told(apart[:_SHOWN], ours, theirs, wanted, got)
    return lines


_Known = dict[Window | str, Found]


def _by_what(digest: Digest, moving: str) -> _Known:
    """What is compared: windows by themselves, incidents by their ids."""
    return {
        found.what.id if isinstance(found.what, Incident) else found.what: found
        for found in (*digest.windows, *digest.moved, *digest.incidents)
        if not moving or _kind(found) != moving
    }


def _kind(found: Found) -> str:
    return found.what.kind


def _hash(known: _Known, what: Window | str) -> bytes | None:
    return known[what].hash if what in known else None


def _told(
    apart: list[Window | str], ours: _Known, theirs: _Known, wanted: Outcome, got: Outcome
) -> Iterator[str]:
    left = wanted.bodies([ours[what].place for what in apart if what in ours])
    right = got.bodies([theirs[what].place for what in apart if what in theirs])
    for what in apart:
        yield str(theirs[what].what if what in theirs else ours[what].what)
        mine = left[ours[what].place] if what in ours else "not there"
        other = right[theirs[what].place] if what in theirs else "not there"
        yield f"  fields: {', '.join(_fields_apart(mine, other)) or 'key or headers alone'}"
        yield f"  undisturbed: {mine}"
        yield f"  disturbed:   {other}"


def _summed(
    apart: list[Window | str], ours: _Known, theirs: _Known, wanted: Outcome, got: Outcome
) -> Iterator[str]:
    """Of each model's windows that differ: how many, and the rows of all of them in both runs."""
    count: Counter[str] = Counter()
    rows: dict[str, Counter[str]] = {"undisturbed": Counter(), "disturbed": Counter()}
    for run, known, bodies in (
        ("undisturbed", ours, wanted.bodies([each.place for each in ours.values()])),
        ("disturbed", theirs, got.bodies([each.place for each in theirs.values()])),
    ):
        for what, found in known.items():
            if isinstance(what, Window):
                name = f"{what.model}@{what.version} {what.kind} [{what.segment}]"
                rows[run][name] += orjson.loads(bodies[found.place])["rows"]
    for what in apart:
        if isinstance(what, Window):
            count[f"{what.model}@{what.version} {what.kind} [{what.segment}]"] += 1
    for name, windows in sorted(count.items()):
        told = ", ".join(f"{rows[run][name]} {run}" for run in rows)
        yield f"  {name}: {windows} windows differ; rows of all: {told}"


def _fields_apart(mine: str, other: str) -> list[str]:
    if "not there" in {mine, other}:
        return ["the record itself"]
    a, b = orjson.loads(mine), orjson.loads(other)
    return [
        f"{name}: {a.get(name)!r:.200} / {b.get(name)!r:.200}"
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]
