"""How a model's rows are read by its profile: a typed decoder, category look-ups, and learning.

A plan's struct has the fields n0, n1, … for the numeric features, c0, c1, … for the categorical
ones (numbered as in the profile), whatever the producer calls them: models of equal shape have
equal field names, so that their rows are taken apart together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from stream.core.decode.envelope import Envelope, FieldValue
from stream.core.records import Int64s, Scalar
from stream.core.specs import (
    FEATURE_PREFIX,
    MISSING,
    OTHER,
    UNSEEN,
    CategoricalVariable,
    Profile,
    Role,
    category,
)

__all__ = ["Plan", "Shape"]

_MAX_EXTRAS: Final = 64
_MAX_CANDIDATES: Final = 1_024
_SEEN_OFTEN: Final = 8
_STRICT_NUMBER: Final = float | None
_ANY_NUMBER: Final = float | bool | str | None


class Shape(NamedTuple):
    """What rows must share to be stacked: "" for each feature, the name of any other variable."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def numeric_fields(self) -> tuple[str, ...]:
        """The struct fields of the numeric features."""
        return tuple(f"n{j}" for j, name in enumerate(self.numeric) if not name)

    @property
    def categorical_fields(self) -> tuple[str, ...]:
        """The struct fields of the categorical features."""
        return tuple(f"c{j}" for j, name in enumerate(self.categorical) if not name)


class Plan:
    """Reads the rows of one model by the catalog's profile number `entry`.

    It learns: a feature that the profile doesn't know, or text and booleans in a numeric one,
    make the fast road refuse a row; once seen often, the struct is widened for them (at most
    64 names), so that a producer that always sends them isn't slow for ever. What is learned
    changes speed only, never a result.
    """

    def __init__(self, entry: int, profile: Profile, max_features: int) -> None:
        self.entry = entry
        self.profile = profile
        self.shape = Shape(
            tuple(_kind(v.name, v.role) for v in profile.numeric),
            tuple(_kind(v.name, v.role) for v in profile.categorical),
        )
        self.lookups = tuple(_lookup(variable) for variable in profile.categorical)
        self.unseen: Int64s = np.array(
            [variable.size + UNSEEN for variable in profile.categorical], dtype=np.int64
        )
        self._max_features = max_features
        self._numeric = _features(profile.numeric, self.shape.numeric, "n")
        self._categorical = _features(profile.categorical, self.shape.categorical, "c")
        self._known = frozenset((*self._numeric, *self._categorical))
        self._wide: set[str] = set()
        self._extras: list[str] = []
        self._candidates: dict[str, int] = {}
        self._learned = False
        self._build()

    @property
    def widened(self) -> bool:
        """True where the numeric fields of a row may hold other things than numbers."""
        return bool(self._wide)

    @cached_property
    def sizes(self) -> Int64s:
        """The numbers of bins of the numeric variables."""
        return np.array([variable.size for variable in self.profile.numeric], dtype=np.int64)

    def loose(self, features: Mapping[str, Scalar]) -> tuple[Any, int]:
        """The features as a struct whose fields may hold any scalar, and how many are unknown.

        An unknown feature that is null counts as absent.
        """
        numeric = [_or_nan(features.get(name)) for name in self._numeric]
        row = self.struct(*numeric, *[features.get(name) for name in self._categorical])
        unknown = 0
        for name, value in features.items():
            if name not in self._known and value is not None:
                unknown += 1
        return row, unknown

    def note(self, features: Mapping[str, Scalar]) -> None:
        """Remembers why the fast road refused these features, though they are good."""
        if len(self._candidates) > _MAX_CANDIDATES:
            self._candidates.clear()
        for name, value in features.items():
            odd = name not in self._known or (
                name in self._numeric and isinstance(value, str | bool)
            )
            if odd:
                self._candidates[name] = self._candidates.get(name, 0) + 1

    def learn(self) -> bool:
        """Widens the struct for what was noted often; True where it changed."""
        before = len(self._wide) + len(self._extras)
        for name, seen in self._candidates.items():
            if seen < _SEEN_OFTEN:
                continue
            if name in self._numeric:
                self._wide.add(name)
            elif name not in self._known and name not in self._extras:
                room = self._max_features - len(self._known) - len(self._extras)
                if room > 0 and len(self._extras) < _MAX_EXTRAS:
                    self._extras.append(name)
        changed = len(self._wide) + len(self._extras) > before
        if self._candidates and changed:
            self._candidates.clear()
            self._build()
        return changed

    def _build(self) -> None:
        numeric = [
            (field, _ANY_NUMBER if name in self._wide else _STRICT_NUMBER, math.nan)
            for name, field in self._numeric.items()
        ]
        others = [(field, FieldValue, None) for field in self._categorical.values()]
        extras = {name: f"x{i}" for i, name in enumerate(self._extras)}
        others += [(field, FieldValue, None) for field in extras.values()]
        names = {
            field: name
            for names in (self._numeric, self._categorical, extras)
            for name, field in names.items()
        }
        self.extra_fields = tuple(extras.values())
        self.read: Callable[[Any], Any] = _refuse
        self.read_whole: Callable[[Any], Any] | None = None
        fields: list[Any] = [*numeric, *others]
        try:
            if len(fields) > self._max_features:
                raise ValueError
            self.struct = msgspec.defstruct(
                "Features", fields, rename=names, forbid_unknown_fields=True, gc=False
            )
        except ValueError:  # a name that a struct cannot have: these rows take the slow road
            self.struct = msgspec.defstruct("Features", fields, gc=False)
        else:
            self.read = msgspec.json.Decoder(self.struct | None).decode
            self.read_whole = msgspec.json.Decoder(_whole(self.struct)).decode
        self.empty = self.struct()

    def extras_of(self, features: Any) -> int:
        """How many features of a row, read by the fast road, the profile doesn't know."""
        values = [getattr(features, field) for field in self.extra_fields]
        return len(values) - values.count(None)


def _whole(features: type) -> type:
    """An Envelope whose features are read in the same pass."""
    own: list[Any] = []
    for field in msgspec.structs.fields(Envelope):
        kind: Any = field.type
        if field.name == "features":
            own.append(("features", features | None, None))
        elif field.required:
            own.append((field.name, kind))
        else:
            own.append((field.name, kind, field.default))
    return msgspec.defstruct("WholeRow", own, gc=False)


def _kind(name: str, role: Role) -> str:
    return "" if role is Role.FEATURE else name


def _features(variables: Any, kinds: tuple[str, ...], letter: str) -> dict[str, str]:
    """Feature name -> struct field."""
    return {
        variable.name.removeprefix(FEATURE_PREFIX): f"{letter}{j}"
        for j, (variable, kind) in enumerate(zip(variables, kinds, strict=True))
        if not kind
    }


def _lookup(variable: CategoricalVariable) -> dict[Scalar, int]:
    """Every value that is a known category -> its slot: 1, 1.0 and True are found as "1" is."""
    slots: dict[Scalar, int] = {None: variable.size + MISSING}
    numbered = list(enumerate(variable.categories))
    for slot, name in [*((variable.size + OTHER, name) for name in variable.others), *numbered]:
        slots[name] = slot
        number = _number_of(name)
        if number is not None:
            slots[number] = slot
    return slots


def _number_of(name: str) -> int | float | None:
    """The number whose category has this name, if there is one."""
    try:
        number: int | float = int(name) if len(name) <= 400 else 0
    except ValueError:
        try:
            number = float(name)
        except ValueError:
            return None
    return number if category(number) == name else None


def _or_nan(value: Scalar) -> Scalar:
    return math.nan if value is None else value


def _refuse(_text: object) -> Any:
    raise ValueError
