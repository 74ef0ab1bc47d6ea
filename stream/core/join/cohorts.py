"""What the join must know of a cohort, as arrays over the cohorts' numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stream.core.join.columns import CohortTable
from stream.core.join.layout import LONGEST_MS
from stream.core.labels import LabelKind, LabelSpec
from stream.core.outcomes import Cohort
from stream.core.records import Int64s, ModelKey

__all__ = ["CohortColumns"]

_Reading = tuple[LabelKind, tuple[str, ...]]


class CohortColumns:
    """Follows a list of cohorts that others let grow. Names of models have numbers from 0 on.

    horizon_ms  (C,) int64
    key         (C,) int32   number of the cohort's model@version
    name        (C,) int32   number of its model's name
    reading     (C,) int32   number of the way in which its labels are read
    """

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self.entries = cohorts
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._keys: dict[ModelKey, int] = {}
        self.horizon_ms: Int64s = np.zeros(0, dtype=np.int64)
        self.key: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.name: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.reading: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._readings: dict[_Reading, int] = {}
        self._specs: list[LabelSpec] = []  # one of each reading

    @property
    def table(self) -> CohortTable:
        """The columns, as compiled loops take them."""
        return CohortTable(self.horizon_ms, self.key, self.name)

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
        readings = [self._read(cohort.spec) for cohort in new]
        self.reading = np.concatenate([self.reading, np.array(readings, dtype=np.int32)])

    def reads(
        self,
        cohorts: Callable[[], npt.NDArray[np.int32]],
        form: npt.NDArray[np.uint8],
        bits: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.bool_]:
        """Whether each label (n,) can be one of its cohort's model (`LabelSpec.reads`).

        The labels' cohorts are asked for only where it depends on them.
        """
        if len(self._specs) == 1:
            return self._specs[0].reads(form, bits)
        good = np.ones(len(form), dtype=np.bool_)
        reading = self.reading.take(cohorts())
        for number in np.flatnonzero(np.bincount(reading)).tolist():
            mine = np.flatnonzero(reading == number)
            good[mine] = self._specs[number].reads(form.take(mine), bits.take(mine))
        return good

    def _read(self, spec: LabelSpec) -> int:
        """The number of the way in which a spec reads labels: few, whatever the models' bins."""
        key = (spec.kind, spec.classes if spec.kind is LabelKind.BINARY else ())
        found = self._readings.get(key)
        if found is None:
            found = self._readings[key] = len(self._specs)
            self._specs.append(spec)
        return found
