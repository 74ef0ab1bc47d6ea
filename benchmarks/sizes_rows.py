"""The rows of `benchmarks.sizes`: of more features, or of more categories, than usual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.workload import CATEGORICAL, POOL_ROWS, Pool

__all__ = ["Shape"]

_UNSEEN = 5  # of so many known categories one more comes that the reference has not


class _Merchants(Pool):
    """Rows with a feature of so many categories, spread by Zipf's law; each comes at least once."""

    def __init__(self, count: int) -> None:
        texts = [f"merchant {number:05}" for number in range(count)]
        few = {name: values for name, values in CATEGORICAL.items() if name != "segment"}
        super().__init__(categorical=few | {"merchant": texts})
        rng = np.random.default_rng(count)
        shares = 1 / np.arange(1, count + 1)
        drawn = rng.choice(count, POOL_ROWS - count, p=shares / shares.sum())
        codes = rng.permutation(np.concatenate([np.arange(count), drawn]))
        self.categories["merchant"] = codes.astype(np.int16)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's rows look like: `tens` times twenty features, or `categories` of one."""

    tens: int = 1
    categories: int = 0

    @property
    def features(self) -> int:
        """Features of a row."""
        return 20 * self.tens

    def reference(self) -> Pool:
        """The rows that the profile is made of."""
        if self.categories:
            return _Merchants(self.categories)
        few = {
            f"{name}_{turn}": CATEGORICAL[name] for turn in range(self.tens) for name in CATEGORICAL
        }
        return Pool(numeric=16 * self.tens, categorical=few)

    def stream(self) -> Pool:
        """The rows that are sent: some have categories that the reference doesn't know."""
        if self.categories:
            return _Merchants(self.categories + self.categories // _UNSEEN)
        return self.reference()
