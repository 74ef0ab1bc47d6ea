"""A small world for detect's tests: sources whose rows observe tells in commits of partials."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stream import schemas
from stream.core.pane.content import profile_to_record
from stream.core.pane.partial import encode_partials
from stream.core.pane.reference import build_profile
from stream.core.records import (
    CARRIES_COLUMN,
    Claim,
    Group,
    Int64s,
    ModelKey,
    Partial,
    Progress,
    RawColumns,
    Slice,
    Source,
    Told,
)
from stream.core.specs import Profile, TimeSpec
from stream.engine.agent import Broadcast

PANE = 1_000
TIMES = TimeSpec(pane_ms=PANE, out_of_orderness_ms=500, idle_after_ms=3_000, max_hold_ms=60_000)
CREDIT = ModelKey("credit", "3")
FRAUD = ModelKey("fraud", "")
BOTH = 3


def profile_of(model: ModelKey, effective_from_ms: int = 0, seed: int = 1) -> Profile:
    """A reference of 2,000 rows: age around 40, and three states."""
    rng = random.Random(seed)
    columns: RawColumns = {
        "features.age": [rng.gauss(40, 10) for _ in range(2_000)],
        "features.state": [rng.choice("abc") for _ in range(2_000)],
        "prediction": [rng.choice([0, 1]) for _ in range(2_000)],
    }
    return build_profile(model, columns, effective_from_ms=effective_from_ms)


def counts_of(profile: Profile, rows: int, shift: int = 0) -> Int64s:
    """Counts of `rows` rows spread over each variable's regular slots, from the `shift`-th on."""
    counts = np.zeros(profile.width, dtype=np.int64)
    for variable, start in zip(profile.variables, profile.starts.tolist(), strict=False):
        slots = start + (shift + np.arange(rows)) % max(variable.size - shift, 1)
        np.add.at(counts, slots, 1)
    return counts


def binned_group(profile: Profile, pane_ms: int, rows: int, shift: int = 0) -> Group:
    """Rows of a profile's model in one pane; a shift leaves the lower bins empty."""
    counts = counts_of(profile, rows, shift)
    return Group(profile.model, profile.hash, pane_ms, rows, rows, 0, 0, counts)


def raw_group(model: ModelKey, pane_ms: int, rows: int, seed: int = 0) -> Group:
    """Rows as plain values, as observe sends them where it knows no profile."""
    rng = random.Random(f"{model} {pane_ms} {seed}")
    raw: RawColumns = {
        "features.age": [rng.gauss(40, 10) for _ in range(rows)],
        "features.state": [rng.choice("abc") for _ in range(rows)],
        "prediction": [rng.choice([0, 1]) for _ in range(rows)],
        CARRIES_COLUMN: [BOTH] * rows,
    }
    return Group(model, "", pane_ms, rows, rows, 0, 0, None, raw=raw)


def partial(
    *groups: Group,
    progress: Sequence[tuple[Source, int, int]] = (),
    told: Sequence[tuple[Source, int, int]] = (),
    claims: Sequence[tuple[Source, int, int]] = (),
) -> Partial:
    """A partial from plain tuples."""
    return Partial(
        PANE,
        groups,
        tuple(Progress(*item) for item in progress),
        tuple(Told(*item) for item in told),
        tuple(Claim(*item) for item in claims),
    )


def sources(count: int) -> list[Source]:
    """The partitions of `predictions`."""
    return [Source("predictions", number) for number in range(count)]


def slice_of(values: Sequence[Partial], start: int = 0, task: int = 0) -> Slice:
    """The partials as records of one partition of `partials`."""
    schema = schemas.schema("pane_partial")
    encoded = [value for item in values for value in encode_partials(item, schema, 900_000)]
    return records_slice(encoded, start, task)


def records_slice(values: Sequence[bytes | None], start: int = 0, task: int = 0) -> Slice:
    """Records of one partition of `partials`."""
    count = len(values)
    return Slice(
        sources=(Source("partials", task),),
        source=np.zeros(count, dtype=np.int32),
        offset=np.arange(start, start + count, dtype=np.int64),
        timestamp_ms=np.zeros(count, dtype=np.int64),
        values=values,
        headers=None,
        key=lambda _: None,
    )


def profile_broadcast(profile: Profile, offset: int = 0) -> Broadcast:
    """The profile as it stands on `profiles`."""
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    return Broadcast("profiles", offset, 0, None, value)


@dataclass
class Worker:
    """One owner of sources in observe: rows in, commits out, watermarks as observe tells them."""

    owned: list[Source]
    position: dict[Source, int] = field(default_factory=dict)
    watermark: dict[Source, int] = field(default_factory=dict)
    told_end: dict[Source, int] = field(default_factory=dict)

    def commit(self, rows: Sequence[tuple[Source, int, Group]]) -> Partial:
        """Rows with their sources and event times; each row's group is put in its pane."""
        before = {source: self.position.get(source, 0) for source in self.owned}
        groups = []
        for source, event_ms, group in rows:
            mark = self.watermark.get(source, -TIMES.out_of_orderness_ms)
            pane_ms = max(event_ms, mark) // PANE * PANE
            late = group.rows if event_ms // PANE * PANE < pane_ms else 0
            groups.append(replace(group, pane_ms=pane_ms, late_rows=late))
            self.watermark[source] = max(mark, event_ms - TIMES.out_of_orderness_ms)
            self.position[source] = self.position.get(source, 0) + 1
        told = []
        for source in self.owned:
            mark = self.watermark.get(source, -1)
            if mark // PANE * PANE > self.told_end.get(source, 0):
                self.told_end[source] = mark // PANE * PANE
                told.append((source, mark, mark))
        progress = [(s, before[s], self.position.get(s, 0)) for s in self.owned]
        return partial(*groups, progress=progress, told=told)
