"""What the join must know of a cohort, as arrays over the cohorts' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.core.join.layout import LONGEST_MS
from stream.core.outcomes import Cohort
from stream.core.records import Int64s, ModelKey

__all__ = ["CohortColumns"]


class CohortColumns:
    """Follows a list of cohorts that others let grow. Names of models have numbers from 0 on.

    horizon_ms  (C,) int64
    key         (C,) int32   number of the cohort's model@version
    name        (C,) int32   number of its model's name
    """

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self.entries = cohorts
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._keys: dict[ModelKey, int] = {}
        self.horizon_ms: Int64s = np.zeros(0, dtype=np.int64)
        self.key: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.name: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    def number(self, model: str) -> int:
        """The number of a model's name, a new one where it has none."""
        found = self._numbers.get(model)
        if found is None:
            found = self._numbers[model] = len(self.names)
            self.names.append(model)
        return found

    def refresh(self) -> None:
        """Takes in what the list gained; ValueError for a horizon that cannot be."""
        new = self.entries[len(self.key) :]
        if not new:
            return
        for cohort in new:
            if not 0 <= cohort.horizon_ms <= LONGEST_MS:
                raise ValueError(
                    f"the label horizon of {cohort.model} is {cohort.horizon_ms} ms: "
                    f"0 to {LONGEST_MS} are possible"
                )
        horizons = [cohort.horizon_ms for cohort in new]
        keys = [self._keys.setdefault(cohort.model, len(self._keys)) for cohort in new]
        names = [self.number(cohort.model.model) for cohort in new]
        self.horizon_ms = np.concatenate([self.horizon_ms, np.array(horizons, dtype=np.int64)])
        self.key = np.concatenate([self.key, np.array(keys, dtype=np.int32)])
        self.name = np.concatenate([self.name, np.array(names, dtype=np.int32)])
