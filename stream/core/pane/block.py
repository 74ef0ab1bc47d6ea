"""Many groups in columns: what a commit's groups are until somebody asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from stream.core.pane.payload import NONE, Parts, Payload, joined_payload
from stream.core.records import Group, Int64s, Kind, ModelKey, RawColumns

__all__ = ["COLUMNS", "TOTALS", "Groups", "Name"]

TOTALS = (
    "rows",
    "feature_rows",
    "late_rows",
    "unknown_features",
    "duplicate_rows",
    "unkept_rows",
)
COLUMNS = ("name", "kind", "pane_ms", *TOTALS, "width")
_numbers: Callable[[Group], tuple[int, ...]] = attrgetter("pane_ms", *TOTALS)
_NAME = COLUMNS.index("name")


class Name(NamedTuple):
    """What many groups have in common: their model, what they are binned by, their segment."""

    model: ModelKey
    profile: str
    segment: str


@dataclass(frozen=True, slots=True, eq=False)
class Groups(Sequence[Group]):
    """n groups: `columns` (len(COLUMNS), n) int64, one row a column; `name` indexes `names`.

    `raw` holds the columns of the raw groups by their number.
    """

    names: tuple[Name, ...]
    columns: Int64s
    payload: Payload
    raw: Mapping[int, RawColumns] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    @overload
    def __getitem__(self, at: int) -> Group: ...
    @overload
    def __getitem__(self, at: slice) -> Groups: ...
    def __getitem__(self, at: int | slice) -> Group | Groups:
        if isinstance(at, slice):
            return self.take(np.arange(*at.indices(len(self))))
        number = range(len(self))[at]
        return self._group(number, self.columns[:, number].tolist())

    def __iter__(self) -> Iterator[Group]:
        for number, line in enumerate(self.columns.T.tolist()):
            yield self._group(number, line)

    def column(self, name: str) -> Int64s:
        """One column, (n,)."""
        values: Int64s = self.columns[COLUMNS.index(name)]
        return values

    def take(self, which: npt.NDArray[np.intp]) -> Groups:
        """Some of the groups, in the order asked for."""
        raw = {}
        if self.raw:
            numbers = enumerate(which.tolist())
            raw = {new: self.raw[old] for new, old in numbers if old in self.raw}
        return Groups(self.names, self.columns[:, which], self.payload.take(which), raw)

    def _group(self, number: int, line: list[int]) -> Group:
        index, kind, pane_ms, rows, features, late, unknown, duplicates, unkept, width = line
        name = self.names[index]
        counts, codes = self._vector(number, width)
        return Group(
            name.model,
            name.profile,
            pane_ms,
            rows,
            features,
            late,
            unknown,
            counts,
            self.raw.get(number),
            codes,
            width,
            Kind(kind),
            name.segment,
            duplicates,
            unkept,
        )

    def _vector(
        self, number: int, width: int
    ) -> tuple[Int64s | None, npt.NDArray[np.uint32] | None]:
        """A group's counts or its codes; neither where it is raw."""
        payload = self.payload
        length = int(payload.length[number])
        place, count = int(payload.place_start[number]), int(payload.count_start[number])
        if count == NONE:
            return None, None if place == NONE else payload.places[place : place + length]
        counts = payload.counts[count : count + length].astype(np.int64)
        if place == NONE:
            return counts, None
        vector = np.zeros(width, dtype=np.int64)
        vector[payload.places[place : place + length]] = counts
        return vector, None

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Groups:
        """The block of these groups, their vectors in the smaller of their forms."""
        if isinstance(groups, Groups):
            return groups
        names: dict[Name, int] = {}
        lines = np.zeros((len(groups), len(COLUMNS)), dtype=np.int64)
        parts = Parts()
        raw: dict[int, RawColumns] = {}
        for number, group in enumerate(groups):
            name = names.setdefault(Name(group.model, group.profile, group.segment), len(names))
            width = group.width if group.counts is None else len(group.counts)
            lines[number] = (name, group.kind, *_numbers(group), width)
            if group.raw is not None:
                raw[number] = group.raw
            parts.add(group)
        return cls(tuple(names), np.ascontiguousarray(lines.T), parts.payload(), raw)

    @classmethod
    def joined(cls, blocks: Sequence[Groups]) -> Groups:
        """All groups of the blocks, one block after another."""
        if len(blocks) == 1:
            return blocks[0]
        if not blocks:
            return cls.of(())
        columns = np.concatenate([block.columns for block in blocks], axis=1)
        start = names = 0
        raw: dict[int, RawColumns] = {}
        for block in blocks:
            columns[_NAME, start : start + len(block)] += names
            raw.update((start + number, values) for number, values in block.raw.items())
            start += len(block)
            names += len(block.names)
        every = tuple(name for block in blocks for name in block.names)
        return cls(every, columns, joined_payload([block.payload for block in blocks]), raw)
