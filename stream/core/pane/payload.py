"""The counts of many groups in flat arrays: whole vectors, codes, or counts with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stream.core.records import Group, Int64s

__all__ = ["NONE", "Parts", "Payload", "joined_payload", "runs", "spread", "starts_of"]

_Number = TypeVar("_Number", bound=np.integer[Any])

NONE = -1  # the start of what a group doesn't have
_LONG = 128  # stretches of about so many values are copied faster one by one


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """The counts of n groups, one after another.

    Of group i `length[i]` items count. With places and counts, place j holds count j and all
    other places are 0; with places alone, each item is one counted value; with counts alone, they
    are all of the group's vector, `width` of them.

    places       flat uint32
    counts       flat signed integers
    place_start  (n,) int64   where the group's places begin, -1 where it has none
    count_start  (n,) int64   where its counts begin, -1 where it has none
    length       (n,) int64   0 for raw groups
    """

    places: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.signedinteger]
    place_start: Int64s
    count_start: Int64s
    length: Int64s

    @property
    def with_places(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a group has places."""
        having: npt.NDArray[np.bool_] = self.place_start != NONE
        return having

    @property
    def with_counts(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a group has counts."""
        having: npt.NDArray[np.bool_] = self.count_start != NONE
        return having

    @classmethod
    def of_vectors(cls, counts: npt.NDArray[np.signedinteger], length: Int64s) -> Payload:
        """Whole vectors of these lengths, one after another."""
        none = np.full(len(length), NONE, dtype=np.int64)
        return cls(np.zeros(0, dtype=np.uint32), counts, none, _closed_up(length), length)

    @classmethod
    def of_codes(cls, codes: npt.NDArray[np.uint32], length: Int64s) -> Payload:
        """So many codes of each group, one after another."""
        none = np.full(len(length), NONE, dtype=np.int64)
        return cls(codes, np.zeros(0, dtype=np.int16), _closed_up(length), none, length)

    def take(self, which: npt.NDArray[np.intp]) -> Payload:
        """The payload of some groups, closed up, in the order asked for."""
        length = self.length[which]
        with_places, with_counts = self.with_places[which], self.with_counts[which]
        return Payload(
            _gathered(self.places, self.place_start[which][with_places], length[with_places]),
            _gathered(self.counts, self.count_start[which][with_counts], length[with_counts]),
            starts_of(length, with_places),
            starts_of(length, with_counts),
            length,
        )


class Parts:
    """The payloads of groups one by one."""

    def __init__(self) -> None:
        self._places: list[npt.NDArray[np.unsignedinteger]] = []
        self._counts: list[Int64s] = []
        self._forms: list[tuple[bool, bool, int]] = []

    def add(self, group: Group) -> None:
        """Takes in one group's counts; of mostly zeros only the others, with their places."""
        places, counts = group.codes, group.counts
        if places is None and group.raw is None:
            counts = group.count_vector()
        if counts is not None:
            found = np.flatnonzero(counts)
            if len(found) * 3 < len(counts):
                places, counts = found.astype(np.uint32), counts[found]
        length = 0
        if places is not None:
            length = len(places)
            self._places.append(places)
        if counts is not None:
            length = len(counts)
            self._counts.append(counts)
        self._forms.append((places is not None, counts is not None, length))

    def payload(self) -> Payload:
        """All of them."""
        forms = np.array(self._forms, dtype=np.int64).reshape(-1, 3)
        length = forms[:, 2].copy()
        return Payload(
            np.concatenate([np.zeros(0, np.uint32), *self._places]).astype(np.uint32),
            np.concatenate([np.zeros(0, np.int64), *self._counts]),
            starts_of(length, forms[:, 0] != 0),
            starts_of(length, forms[:, 1] != 0),
            length,
        )


def _gathered(
    values: npt.NDArray[_Number], starts: Int64s, lengths: Int64s
) -> npt.NDArray[_Number]:
    """The stretches of so many values from each start, one after another."""
    if len(starts) * _LONG > int(lengths.sum()):
        return values[spread(starts, lengths)]
    bounds = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
    return np.concatenate([values[:0], *(values[start:stop] for start, stop in bounds)])


def spread(starts: Int64s, lengths: Int64s) -> Int64s:
    """The places starts[i], starts[i] + 1, … of `lengths[i]` items each, one after another.

    >>> spread(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    places: Int64s = np.repeat(starts - (ends - lengths), lengths)
    places += np.arange(total)
    return places


def runs(*columns: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.intp]:
    """Where runs of rows that are equal in all columns, whose values are 0 or more, begin.

    >>> runs(np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6])).tolist()
    [0, 2, 3]
    """
    changed = np.zeros(len(columns[0]), dtype=np.bool_)
    for column in columns:
        changed |= np.diff(column, prepend=-1) != 0
    return np.flatnonzero(changed)


def starts_of(length: Int64s, having: npt.NDArray[np.bool_]) -> Int64s:
    """Where the items of each group begin if those `having` some stand one after another."""
    mine = np.where(having, length, 0)
    return np.where(having, np.cumsum(mine) - mine, NONE)


def _closed_up(length: Int64s) -> Int64s:
    ends: Int64s = np.cumsum(length)
    return ends - length


def joined_payload(parts: Sequence[Payload]) -> Payload:
    """The payloads one after another."""
    places = np.cumsum([0, *(len(part.places) for part in parts[:-1])])
    counts = np.cumsum([0, *(len(part.counts) for part in parts[:-1])])
    moved = [
        (
            np.where(part.with_places, part.place_start + place, NONE),
            np.where(part.with_counts, part.count_start + count, NONE),
        )
        for part, place, count in zip(parts, places, counts, strict=True)
    ]
    return Payload(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([place for place, _ in moved]),
        np.concatenate([count for _, count in moved]),
        np.concatenate([part.length for part in parts]),
    )
