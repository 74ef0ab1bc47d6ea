"""Which merged bins a window moved: the evidence behind a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.core.numbers import significant
from stream.core.records import Int64s
from stream.core.score.merge import MERGED, merged_columns
from stream.core.specs import NumericVariable, Profile, Variable

__all__ = ["BinShare", "bin_shares"]

_NAMED = 3  # categories that a merged bin's label names


@dataclass(frozen=True, slots=True)
class BinShare:
    """One merged bin: what it holds, and its share of the reference's and the window's rows."""

    bin: str
    reference: float
    window: float


def bin_shares(
    profile: Profile, counts: Int64s, variable: int, min_rows: int
) -> tuple[BinShare, ...]:
    """The merged bins of the profile's variable at that index, in order; empty ones left out.

    The shares are of all rows that carry the variable, rounded to 9 significant digits. The last
    bins may be `other` (categories without a slot, and unseen ones), `out of range`, and `missing`.
    """
    described = profile.variables[variable]
    start = int(profile.starts[variable])
    columns = merged_columns(described, min_rows)
    before = np.bincount(columns, weights=described.counts, minlength=MERGED + 1)
    now = np.bincount(
        columns, weights=counts[start : start + described.width], minlength=MERGED + 1
    )
    whole_before, whole_now = max(float(before.sum()), 1.0), max(float(now.sum()), 1.0)
    return tuple(
        BinShare(
            bin=_label(described, columns, column),
            reference=significant(float(before[column]) / whole_before),
            window=significant(float(now[column]) / whole_now),
        )
        for column in range(MERGED + 1)
        if before[column] or now[column]
    )


def _label(variable: Variable, columns: Int64s, column: int) -> str:
    if column == MERGED:
        return "missing"
    regular = np.flatnonzero(columns[: variable.size] == column).tolist()
    if not regular:
        return "out of range" if isinstance(variable, NumericVariable) else "other"
    if isinstance(variable, NumericVariable):
        first, last = regular[0], regular[-1] + 1
        low, high = f"{variable.edges[first]:.6g}", f"{variable.edges[last]:.6g}"
        if first == 0 and last < variable.size:
            return f"< {high}"
        return f">= {low}" if first > 0 and last == variable.size else f"{low} to {high}"
    names = [variable.categories[place] for place in regular]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
