"""What metrics are computed from: one window's vector of a ledger, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stream.core.fixed import SHARE, exact, total
from stream.core.labels import LabelSpec
from stream.core.ledger import LOSS_SUMS, REGRESSION_SUMS, Ledger, Part, ledger_of
from stream.core.records import Int64s

__all__ = ["Confusion", "Evidence", "Floats"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """Rows by predicted class (first axis) and label, K + 1 of each: the last are other values.

    Two other values are never taken for the same, so that such rows count as wrong ones.
    """

    counts: Floats

    @cached_property
    def rows(self) -> float:
        """All rows."""
        return float(self.counts.sum())

    @cached_property
    def classes(self) -> int:
        """K, the model's classes."""
        return len(self.counts) - 1

    @cached_property
    def hits(self) -> Floats:
        """(K,) rows of each class that was predicted and true."""
        return np.asarray(np.diagonal(self.counts)[:-1])

    @cached_property
    def predicted(self) -> Floats:
        """(K,) rows that were predicted each class."""
        return np.asarray(self.counts.sum(axis=1)[:-1])

    @cached_property
    def labelled(self) -> Floats:
        """(K,) rows that are of each class."""
        return np.asarray(self.counts.sum(axis=0)[:-1])

    @cached_property
    def known(self) -> bool:
        """True if any row was predicted one of the classes; else nothing can be told of them."""
        return bool(self.predicted.sum() > 0)

    def variance(self, by_hit: Floats, by_predicted: Floats, by_labelled: Floats) -> float:
        """The variance of a figure of the shares of hits (K,), of predictions and of labels.

        The arguments are its derivatives by these shares, the latter two (K,) or (K + 1,). The
        delta method over the multinomial counts of all cells (Agresti, Categorical data
        analysis, 2013, 16.1).
        """
        size = self.classes
        slope = np.zeros_like(self.counts)
        slope[: len(by_predicted)] += by_predicted[:, None]
        slope[:, : len(by_labelled)] += by_labelled
        slope[np.arange(size), np.arange(size)] += by_hit
        share = self.counts / self.rows
        mean = float((share * slope).sum())
        return max(float((share * slope * slope).sum()) - mean * mean, 0.0) / self.rows


@dataclass(frozen=True)
class Evidence:
    """The counts of outcomes of one spec."""

    spec: LabelSpec
    counts: Int64s

    @cached_property
    def ledger(self) -> Ledger:
        """Where what is counted."""
        return ledger_of(self.spec)

    @cached_property
    def sound(self) -> bool:
        """False if more was taken out of the counts than they held: then they tell nothing."""
        parts = (Part.CONFUSION, Part.SCORES, Part.RELIABILITY, Part.USED)
        return all(int(self.part(part).min()) >= 0 for part in parts if part in self.ledger)

    @cached_property
    def confusion(self) -> Confusion:
        """What was predicted and what was true, of classifiers."""
        return Confusion(self.part(Part.CONFUSION).astype(np.float64))

    def part(self, part: Part) -> Int64s:
        """One part of the vector, in its shape."""
        return self.ledger.part(self.counts, part)

    @cached_property
    def scored(self) -> int:
        """Rows with probabilities."""
        return int(self.part(Part.RELIABILITY)[:, 0].sum())

    def loss(self, name: str) -> float:
        """The sum of a loss over the scored rows (`ledger.LOSS_SUMS`)."""
        return total(self.part(Part.LOSSES)[LOSS_SUMS.index(name)].tolist(), SHARE)

    def moment(self, name: str) -> int:
        """A sum over a regression's used rows, in units of 2^-WIDE.bits, exactly."""
        return exact(self.part(Part.MOMENTS)[REGRESSION_SUMS.index(name)].tolist())
