"""How a model's rows are read by its profile: a typed decoder, category look-ups, and learning.

A plan's struct has the fields n0, n1, … for the numeric features, c0, c1, … for the categorical
ones (numbered as in the profile), whatever the producer calls them: models of equal shape have
equal field names, so that their rows are taken apart together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import msgspec
import numpy as np

from stream.core.decode.codebook import Codebook
from stream.core.decode.envelope import Envelope
from stream.core.decode.fields import FieldValue
from stream.core.numbers import number_of
from stream.core.records import Int64s, Scalar
from stream.core.specs import (
    FEATURE_PREFIX,
    MISSING,
    OTHER,
    UNSEEN,
    CategoricalVariable,
    Profile,
    Role,
)

__all__ = ["Books", "Lookup", "Plan", "Reader", "Readers", "Shape"]

_MAX_EXTRAS: Final = 64
_MAX_CANDIDATES: Final = 1_024
_SEEN_OFTEN: Final = 8
_STRICT_NUMBER: Final = float | None
_ANY_NUMBER: Final = float | bool | str | None


class Shape(NamedTuple):
    """What rows must share to be stacked: "" for each feature, the name of any other variable."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]


class Lookup(dict[Scalar, int]):
    """Every value that is a known category -> its slot; any other value -> the unseen slot.

    1, 1.0 and True are found as "1" is; None and NaN are the missing slot.
    """

    def __init__(self, variable: CategoricalVariable) -> None:
        super().__init__({None: variable.size + MISSING})
        self._unseen = variable.size + UNSEEN
        for name in variable.others:
            self._put(name, variable.size + OTHER)
        for slot, name in enumerate(variable.categories):
            self._put(name, slot)

    def __missing__(self, value: Scalar) -> int:
        return self._unseen if value == value else self._unseen - UNSEEN + MISSING

    def _put(self, name: str, slot: int) -> None:
        self[name] = slot
        number = number_of(name)
        if number is not None:
            self[number] = slot


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Reader:
    """A struct of features and the decoders to it; `read_whole` reads envelope and all.

    Both refuse everything where the names cannot be a struct's, or are too many.
    """

    struct: type[Any]
    empty: Any
    read: Callable[[Any], Any]
    read_whole: Callable[[Any], Any] | None

    def convert(self, features: Any) -> Any:
        """The struct of features that come as a dict; None for None. Raises where it refuses."""
        return None if features is None else msgspec.convert(features, self.struct)


Readers = WeakValueDictionary[tuple[Any, ...], Reader]
Books = WeakValueDictionary[Shape, Codebook]


class Plan:
    """Reads the rows of one model by the catalog's profile number `entry`.

    It learns: a feature that the profile doesn't know, or text and booleans in a numeric one,
    make the fast road refuse a row; once seen often, the struct is widened for them (at most
    64 names), so that a producer that always sends them isn't slow for ever. What is learned
    changes speed only, never a result. Models whose features have the same names share a
    Reader through `readers`: many types would overrun the interpreter's attribute cache. Those
    of one shape share a Codebook through `books`.
    Features in `wanted` that the profile doesn't know are read from the start.
    """

    def __init__(
        self,
        entry: int,
        profile: Profile,
        max_features: int,
        readers: Readers,
        books: Books,
        wanted: Iterable[str] = (),
    ) -> None:
        self.entry = entry
        self.profile = profile
        self.shape = Shape(
            tuple(_kind(v.name, v.role) for v in profile.numeric),
            tuple(_kind(v.name, v.role) for v in profile.categorical),
        )
        self.lookups = tuple(map(Lookup, profile.categorical))
        self.book = books.get(self.shape) or Codebook(len(self.lookups))
        books[self.shape] = self.book
        self._readers = readers
        self._max_features = max_features
        self._numeric = _features(profile.numeric, self.shape.numeric, "n")
        self._categorical = _features(profile.categorical, self.shape.categorical, "c")
        self._known = frozenset((*self._numeric, *self._categorical))
        self._wide: set[str] = set()
        self._extras: list[str] = [name for name in wanted if name not in self._known]
        self._candidates: dict[str, int] = {}
        self._build()

    @cached_property
    def sizes(self) -> Int64s:
        """The numbers of bins of the numeric variables."""
        return np.array([variable.size for variable in self.profile.numeric], dtype=np.int64)

    def loose(self, features: Mapping[str, Scalar]) -> tuple[Any, int]:
        """The features as a struct whose fields may hold any scalar, and how many it lacks.

        A feature that is null counts as absent.
        """
        numeric = [_or_nan(features.get(name)) for name in self._numeric]
        others = [features.get(name) for name in (*self._categorical, *self._extras)]
        unknown = 0
        for name, value in features.items():
            if name not in self._fields and value is not None:
                unknown += 1
        return self.reader.struct(*numeric, *others), unknown

    def field_of(self, name: str) -> str | None:
        """The struct's field that holds a feature, None where its values are not kept."""
        return self._fields.get(name)

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
        """Finds or makes the reader for the profile's features and what was learned."""
        fields: list[Any] = [
            (field, _ANY_NUMBER if name in self._wide else _STRICT_NUMBER, math.nan)
            for name, field in self._numeric.items()
        ]
        extras = {name: f"x{i}" for i, name in enumerate(self._extras)}
        others = [*self._categorical.values(), *extras.values()]
        fields += [(field, FieldValue, None) for field in others]
        names = {**self._numeric, **self._categorical, **extras}
        self.extras = len(extras)
        self._fields = names
        key = (tuple(names.items()), frozenset(self._wide))
        reader = self._readers.get(key)
        if reader is None:
            renamed = {field: name for name, field in names.items()}
            reader = self._readers[key] = _reader(fields, renamed, self._max_features)
        self.reader = reader

    def extras_of(self, values: tuple[Any, ...]) -> int:
        """How many features of a row, given as its struct's fields, the profile doesn't know."""
        extras = values[len(values) - self.extras :]
        return sum(value is not None and value == value for value in extras)


def _reader(fields: list[Any], names: dict[str, str], max_features: int) -> Reader:
    try:
        if len(fields) > max_features:
            raise ValueError
        struct = msgspec.defstruct(
            "Features", fields, rename=names, forbid_unknown_fields=True, gc=False
        )
    except ValueError:  # a name that no struct can have: these rows take the slow road
        struct = msgspec.defstruct("Features", fields, gc=False)
        return Reader(struct, struct(), _refuse, None)
    whole: Callable[[Any], Any] = msgspec.json.Decoder(_whole(struct)).decode
    return Reader(struct, struct(), msgspec.json.Decoder(struct | None).decode, whole)


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


def _or_nan(value: Scalar) -> Scalar:
    return math.nan if value is None else value


def _refuse(_text: object) -> Any:
    raise ValueError
