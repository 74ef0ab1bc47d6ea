"""The reference profile of a model, from columns of values: a file's or the stream's first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from stream.core.errors import ProfileError
from stream.core.pane.calibration import LabelColumn, outcome_of
from stream.core.pane.content import (
    content_bytes,
    content_hash,
    profile_from_record,
    profile_key,
    profile_to_record,
)
from stream.core.pane.variables import (
    Column,
    Kind,
    Plain,
    categorical_variable,
    kind_of,
    nameable,
    numeric_variable,
    plain_values,
    tally_of,
)
from stream.core.records import CARRIES_COLUMN, CARRIES_FEATURES, CARRIES_PREDICTION, ModelKey
from stream.core.specs import NumericVariable, Profile, Role, role_of

__all__ = [
    "SCORE_BINS",
    "SEGMENT_VALUES",
    "Column",
    "Kind",
    "LabelColumn",
    "build_profile",
    "content_hash",
    "profile_from_record",
    "profile_key",
    "profile_to_record",
]

SCORE_BINS = 128  # of a profile with labels: scores of two digits have a bin each
SEGMENT_VALUES = 20
_SEGMENT_CHARACTERS = 20_000
_FEWEST = 4  # bins and categories that a large profile isn't cut below
_COARSE = 16  # with as few of both, a large profile's variables are cut too


@dataclass(frozen=True, slots=True)
class _Limits:
    """How much a profile may hold: bins, categories and others a variable, names in all."""

    bins: int
    categories: int
    others: int
    score_bins: int
    characters: int = 400_000
    variables: int = 1_000

    def narrower(self) -> _Limits:
        """The next narrower limits: coarser variables first, fewer of them once they are coarse."""
        coarse = self.bins <= _COARSE and self.categories <= _COARSE
        return _Limits(
            max(self.bins // 2, min(self.bins, _FEWEST)),
            max(self.categories // 2, min(self.categories, _FEWEST)),
            self.others // 2,
            max(self.score_bins // 2, min(self.score_bins, _FEWEST)),
            self.characters // 2,
            self.variables * 3 // 4 if coarse else self.variables,
        )


def build_profile(
    model: ModelKey,
    columns: Mapping[str, Column],
    *,
    bins: int = 64,
    categories: int = 50,
    max_others: int = 10_000,
    max_bytes: int = 900_000,
    kinds: Mapping[str, Kind] | None = None,
    effective_from_ms: int = 0,
    warmed_up: bool = False,
    created_ms: int = 0,
    provenance: Mapping[str, str] | None = None,
    label: LabelColumn | None = None,
    score_bins: int = SCORE_BINS,
    segments: Mapping[str, Column] | None = None,
) -> Profile:
    """The profile of the rows in `columns`: the same bytes whatever their order.

    `columns` maps variables' names (`features.age`, `prediction`, `score`, `score.yes`) to
    values: None and NaN are missing, infinities are out of range. A column of `carries` bits
    (records.CARRIES_COLUMN), where there is one, says which rows count for features and which
    for outputs. `kinds` decides what is else guessed: numeric where nine tenths of the values
    are numbers (a text among them is mistyped, True is 1), else categorical; a prediction of at
    most 20 different whole numbers is categorical, and so is a column without any value.

    The record stays below `max_bytes`: of more than 1,000 variables those with most values are
    kept. Where that isn't enough, bins and categories are cut, and below 16 of them variables too.

    `label` adds what the labels say (`calibration`), and cuts a binary model's score into
    `score_bins`: the estimated performance is as fine as they are. `segments` are columns to
    segment by, by the names that monitors use; the 20 most frequent values of each are kept.

    Raises ProfileError where there are no rows or no variables, or the labels make no outcome.
    """
    named = {n: column for n, column in columns.items() if n != CARRIES_COLUMN and nameable(n)}
    rows = max(map(len, named.values()), default=0)
    if not rows:
        raise ProfileError(f"a reference profile of {model} needs rows with values; there are none")
    carries = columns.get(CARRIES_COLUMN)
    plain = {name: plain_values(_carried(name, named[name], carries)) for name in sorted(named)}
    profile = Profile(
        model=model,
        hash="",
        rows=rows,
        numeric=(),
        categorical=(),
        effective_from_ms=effective_from_ms,
        warmed_up=warmed_up,
        created_ms=created_ms,
        provenance=tuple(sorted((provenance or {}).items())),
        segments=_segments(segments or {}),
    )
    limits = _Limits(bins, categories, max_others, bins if label is None else score_bins)
    return _within(max_bytes, profile, plain, kinds or {}, label, limits)


def _within(
    max_bytes: int,
    profile: Profile,
    plain: Mapping[str, Plain],
    kinds: Mapping[str, Kind],
    label: LabelColumn | None,
    limits: _Limits,
) -> Profile:
    """The profile of these columns, cut until its record is small enough, with its hash."""
    while True:
        profile = _described(profile, plain, kinds, limits)
        if label is not None:
            profile = replace(profile, outcome=outcome_of(label, plain, profile))
        record = profile_to_record(profile)
        if content_bytes(record) <= max_bytes or limits.variables <= 1:
            return replace(profile, hash=content_hash(record))
        limits = limits.narrower()


def _described(
    profile: Profile, plain: Mapping[str, Plain], kinds: Mapping[str, Kind], limits: _Limits
) -> Profile:
    """The profile with variables of these columns, within the limits."""
    numeric: list[NumericVariable] = []
    tallies: dict[str, tuple[Counter[str], int]] = {}
    scores = [name for name in plain if role_of(name) is Role.SCORE]
    finer = scores if len(scores) <= 2 else []
    for name in _most_present(plain, limits.variables):
        values = plain[name]
        if (kinds.get(name) or kind_of(name, values)) == "numeric":
            most = limits.score_bins if name in finer else limits.bins
            numeric.append(numeric_variable(name, values, most))
        else:
            tallies[name] = tally_of(values)
    budget = limits.characters // max(len(tallies), 1)
    return replace(
        profile,
        numeric=tuple(numeric),
        categorical=tuple(
            categorical_variable(name, tally, missing, limits.categories, limits.others, budget)
            for name, (tally, missing) in tallies.items()
        ),
    )


def _segments(columns: Mapping[str, Column]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The most frequent values of each column, ties by name."""
    found = []
    for name, column in sorted(columns.items()):
        tally, _ = tally_of(plain_values(column))
        kept = categorical_variable(name, tally, 0, SEGMENT_VALUES, 0, _SEGMENT_CHARACTERS)
        found.append((name, kept.categories))
    return tuple(found)


def _most_present(plain: Mapping[str, Plain], most: int) -> list[str]:
    """The names of the columns with most values, outputs before features, in their order."""
    if len(plain) <= most:
        return list(plain)
    values = {
        name: len(column) - (column.count(None) if isinstance(column, list) else 0)
        for name, column in plain.items()
    }
    ranked = sorted(plain, key=lambda name: (role_of(name) is Role.FEATURE, -values[name], name))
    return sorted(ranked[:most])


def _carried(name: str, column: Column, carries: Column | None) -> Column:
    """The values of the rows that carry this variable."""
    if carries is None:
        return column
    bit = CARRIES_FEATURES if role_of(name) is Role.FEATURE else CARRIES_PREDICTION
    keep = np.flatnonzero(np.asarray(carries, dtype=np.int64) & bit)
    if isinstance(column, np.ndarray):
        return column[keep]
    return [column[place] for place in keep.tolist()]
