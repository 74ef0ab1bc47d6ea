"""Raw rows of a model that has no profile yet, kept until its first closed panes make one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from stream.core.pane.raw import bin_raw
from stream.core.pane.reference import build_profile
from stream.core.pane.spans import Tally
from stream.core.records import CARRIES_COLUMN, Group, ModelKey, RawColumns, Scalar
from stream.core.specs import Profile

__all__ = ["WarmUp", "binned", "unbinned"]

_Column = list[Scalar] | npt.NDArray[np.float64]
_Packed = dict[str, _Column]


@dataclass(slots=True)
class WarmUp:
    """The raw groups of one model@version by pane.

    `panes` holds the groups without their values, which are kept packed: a number takes eight
    bytes. Bounded by `warmup_rows` and the rows of the panes that are open.
    """

    panes: dict[int, list[Group]] = field(default_factory=dict)
    _values: dict[int, list[_Packed]] = field(default_factory=dict)

    def add(self, group: Group) -> None:
        """Keeps a raw group in its pane."""
        self.panes.setdefault(group.pane_ms, []).append(replace(group, raw=None))
        packed = {name: _pack(values) for name, values in (group.raw or {}).items()}
        self._values.setdefault(group.pane_ms, []).append(packed)

    def groups(self, pane_ms: int) -> Iterator[Group]:
        """A pane's groups as they came."""
        for group, packed in zip(self.panes[pane_ms], self._values[pane_ms], strict=True):
            yield replace(group, raw={name: _unpack(values) for name, values in packed.items()})

    def drop(self, pane_ms: int) -> None:
        """Forgets a pane."""
        del self.panes[pane_ms], self._values[pane_ms]

    def cut(
        self, is_usable: Callable[[int], bool], warmup_rows: Callable[[int], int]
    ) -> int | None:
        """The start of the last pane that the profile is built of; None if rows are wanting.

        `is_usable` says of a pane that it is closed and no profile is in force for it; the
        first one that isn't usable ends the search. Rows whose features came apart count once,
        however they were cut into groups: predictions or features, whichever are more.
        """
        rows = feature_rows = 0
        for pane_ms in sorted(self.panes):
            if not is_usable(pane_ms):
                return None
            rows += sum(group.rows for group in self.panes[pane_ms])
            feature_rows += sum(group.feature_rows for group in self.panes[pane_ms])
            if max(rows, feature_rows) >= warmup_rows(pane_ms):
                return pane_ms
        return None

    def build(self, model: ModelKey, last_pane_ms: int, effective_from_ms: int) -> Profile:
        """The profile of all rows up to a pane, in whatever order they came.

        Raises ProfileError where the rows make none.
        """
        groups = [
            group
            for pane_ms in sorted(self.panes)
            if pane_ms <= last_pane_ms
            for group in self.groups(pane_ms)
        ]
        return build_profile(
            model, _merged(groups), effective_from_ms=effective_from_ms, warmed_up=True
        )


def unbinned(group: Group) -> Tally:
    """The group's rows, without counts."""
    return Tally(
        group.rows,
        group.feature_rows,
        group.late_rows,
        group.unknown_features,
        duplicate_rows=group.duplicate_rows,
        unkept_rows=group.unkept_rows,
    )


def binned(group: Group, profile: Profile) -> Tally:
    """The tally of a raw group by a profile. Raises ValueError for a group that isn't raw."""
    if group.raw is None:
        raise ValueError(f"the group of {group.model} at {group.pane_ms} is not raw")
    found = bin_raw(group.raw, profile)
    tally = unbinned(group)
    tally.unknown_features, tally.counts = found.unknown_features, found.counts
    return tally


def _pack(values: list[Scalar]) -> _Column:
    """Floats and nulls as one array (JSON has no NaN, so NaN can stand for null); else a list."""
    if {type(value) for value in values} <= {float, type(None)}:
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    return values


def _unpack(column: _Column) -> list[Scalar]:
    if isinstance(column, list):
        return column
    return [None if value != value else value for value in column.tolist()]


def _merged(groups: Iterable[Group]) -> RawColumns:
    """Columns one after another; a name that a group lacks is None in its rows."""
    columns = [group.raw for group in groups if group.raw is not None]
    names = sorted({name for part in columns for name in part})
    merged: RawColumns = {name: [] for name in names}
    for part in columns:
        absent = [None] * len(part[CARRIES_COLUMN])
        for name, values in merged.items():
            values.extend(part.get(name, absent))
    return merged
