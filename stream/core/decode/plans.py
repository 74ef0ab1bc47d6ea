"""Which plan reads a model's rows: made on first use, forgotten when a newer profile is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from stream.core.catalog import Profiles
from stream.core.decode.plan import Books, Plan, Reader, Readers
from stream.core.records import Int64s, ModelKey, Wants

__all__ = ["NO_PLAN", "TAG_PREFIX", "Plans", "model_key"]

NO_PLAN: Final = -1
TAG_PREFIX: Final = "tags."
_MAX_WANTS: Final = 1 << 16
_READER: Final = attrgetter("reader")


class Plans:
    """The plans of the catalog's latest profiles; bounded by the catalog."""

    def __init__(
        self,
        profiles: Profiles,
        max_features: int,
        wants: Callable[[str], Wants | None] | None = None,
    ) -> None:
        self._profiles = profiles
        self._max_features = max_features
        self._ask = wants
        self._wants: dict[str, Wants | None] = {}
        self._heard = -1
        self._entry_of: dict[tuple[str, str | None], int] = {}
        self._plans: dict[int, Plan] = {}
        self._readers: Readers = WeakValueDictionary()
        self._books: Books = WeakValueDictionary()
        self._effective: Int64s = np.zeros(0, dtype=np.int64)

    def refresh(self) -> None:
        """Takes in what the catalog heard since the last slice."""
        entries = self._profiles.entries
        if len(entries) == self._heard:
            return
        self._heard = len(entries)
        self._effective = np.array([p.effective_from_ms for p in entries], dtype=np.int64)
        self._entry_of = {}
        for model in dict.fromkeys(profile.model for profile in entries):
            latest = self._profiles.latest(model)
            if latest is not None:
                self._entry_of[model] = latest
                if not model.version:
                    self._entry_of[model.model, None] = latest
        in_force = set(self._entry_of.values())
        self._plans = {entry: plan for entry, plan in self._plans.items() if entry in in_force}

    @property
    def serving(self) -> bool:
        """Whether any model may want more than variables."""
        return self._ask is not None

    def wants(self, model: str) -> Wants | None:
        """What a model wants its rows to carry; asked once until `ask_again`."""
        if self._ask is None:
            return None
        if model not in self._wants:
            if len(self._wants) >= _MAX_WANTS:
                self._wants.clear()
            self._wants[model] = self._ask(model)
        return self._wants[model]

    def ask_again(self) -> None:
        """What models want may have changed: plans are made anew."""
        self._wants.clear()
        self._plans.clear()

    def entries_of(
        self, models: Sequence[str], versions: Sequence[str | None], event_time_ms: Int64s
    ) -> npt.NDArray[np.int32]:
        """The catalog's entry that reads each row, (n,) int32; NO_PLAN where none applies."""
        count = len(models)
        if models.count(models[0]) == count and versions.count(versions[0]) == count:
            entry = self._entry_of.get((models[0], versions[0]), NO_PLAN)
            entries = np.full(count, entry, dtype=np.int32)
        else:
            keys = zip(models, versions, strict=True)
            found = map(self._entry_of.get, keys, repeat(NO_PLAN))
            entries = np.fromiter(found, dtype=np.int32, count=count)
        if len(self._effective):
            # NO_PLAN reads the last entry's time here, and stays NO_PLAN either way
            entries[event_time_ms < self._effective[entries]] = NO_PLAN
        return entries

    def entries_for(self, model: ModelKey, event_time_ms: Int64s) -> npt.NDArray[np.int32]:
        """The catalog's entry that reads each row of one model, (n,) int32, or NO_PLAN."""
        entry = self._entry_of.get(model, NO_PLAN)
        entries = np.full(len(event_time_ms), entry, dtype=np.int32)
        if entry != NO_PLAN:
            entries[event_time_ms < self._effective[entry]] = NO_PLAN
        return entries

    def plan(self, entry: int) -> Plan:
        """The plan of a catalog's entry."""
        plan = self._plans.get(entry)
        if plan is None:
            profile = self._profiles.entries[entry]
            wants = self.wants(profile.model.model)
            plan = self._plans[entry] = Plan(
                entry,
                profile,
                self._max_features,
                self._readers,
                self._books,
                [] if wants is None else [n for n in wants.plain if not n.startswith(TAG_PREFIX)],
            )
        return plan

    def plans_of(self, entries: npt.NDArray[np.int32]) -> list[Plan]:
        """The plan of each row; none of them may be NO_PLAN."""
        wanted = entries.tolist()
        self._make(set(wanted))
        return list(map(self._plans.__getitem__, wanted))

    def all_by(self, reader: Reader, entries: npt.NDArray[np.int32]) -> bool:
        """True where the reader is that of every row's plan."""
        wanted = set(entries.tolist())
        if NO_PLAN in wanted:
            return False
        self._make(wanted)
        return {reader}.issuperset(map(_READER, map(self._plans.__getitem__, wanted)))

    def _make(self, wanted: set[int]) -> None:
        for entry in wanted - self._plans.keys():
            self.plan(entry)


def model_key(model: str, version: str | None) -> ModelKey:
    """The key of a row's model; a null version is none."""
    return ModelKey(model, version or "")
