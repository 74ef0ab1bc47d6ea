"""The example: a loan model whose customers change when a campaign brings younger ones.

Its numbers are made up, from a seed. Three of eight features move (age, income, channel), and with
them what the model answers; the other five stay as they were. The drift does harm: of the younger
applicants the model's score says little, so that its answers are more often wrong than it thinks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.cli.demo.traffic import Rows
from stream.cli.rows import Chunk
from stream.core.records import ModelKey

__all__ = ["ExampleTraffic"]

_Floats = npt.NDArray[np.float64]
_CHANNELS = ("web", "branch", "phone", "app")
_PURPOSES = ("home", "car", "education", "business", "other")
_STATES = ("CA", "NY", "TX", "FL", "WA", "MA")
_REFERENCE_ROWS = 20_000
_SURE = 2.0  # how far apart the scores lie: it is right four times in five
_WORTH = 0.1  # what the score's log-odds are worth among the younger applicants


class ExampleTraffic:
    """Applications for a loan, scored by a small logistic model."""

    model = ModelKey("credit", "3")
    story = "a campaign brings younger applicants, by phone app, with lower incomes"
    positive = "approve"
    total = None

    def __init__(self, seed: int = 7) -> None:
        # Two streams of numbers, so that the reference doesn't depend on how much is taken.
        reference, live = np.random.SeedSequence(seed).spawn(2)
        self.reference = _applications(np.random.default_rng(reference), _REFERENCE_ROWS, 0.0)
        self._live = np.random.default_rng(live)

    def take(self, rows: int, moved: float) -> Rows | None:
        """The next rows; `moved` is the share that the campaign brought. It never ends."""
        return _applications(self._live, rows, moved)


def _applications(random: np.random.Generator, rows: int, moved: float) -> Rows:
    young = random.random(rows) < moved
    age = np.where(young, random.normal(27, 5, rows), random.normal(44, 12, rows))
    age = np.clip(np.round(age), 18, 90).astype(np.float64)
    usual = random.lognormal(10.9, 0.45, rows)
    income = np.round(np.where(young, usual * 0.6, usual), -2).astype(np.float64)
    amount = np.round(random.lognormal(9.6, 0.6, rows), -2).astype(np.float64)
    debt_ratio = np.round(random.beta(2, 6, rows), 4).astype(np.float64)
    years = np.round(random.gamma(2.0, 3.0, rows), 1)
    years[random.random(rows) < 0.03] = np.nan
    usually = random.choice(_CHANNELS, rows, p=(0.5, 0.25, 0.15, 0.1))
    campaign = random.choice(_CHANNELS, rows, p=(0.15, 0.02, 0.03, 0.8))
    features = {
        "age": age,
        "income": income,
        "loan_amount": amount,
        "debt_ratio": debt_ratio,
        "years_employed": years,
        "channel": np.where(young, campaign, usually),
        "purpose": random.choice(_PURPOSES, rows, p=(0.35, 0.3, 0.1, 0.15, 0.1)),
        "state": random.choice(_STATES, rows, p=(0.3, 0.2, 0.2, 0.15, 0.1, 0.05)),
    }
    score = _approve(age, income, amount, debt_ratio, np.nan_to_num(years, nan=3.0))
    odds = np.log(score / (1 - score)) * np.where(young, _WORTH, 1.0)
    right = random.random(rows) < 1 / (1 + np.exp(-odds))  # whether to approve was right
    chunk = Chunk(features, np.where(score >= 0.5, "approve", "deny"), score)
    return Rows(chunk, np.where(right, "approve", "deny").tolist())


def _approve(
    age: _Floats, income: _Floats, amount: _Floats, debt_ratio: _Floats, years: _Floats
) -> _Floats:
    """The example model: the probability that it approves."""
    logit = 1.2 * np.log(income / 55_000) - 0.9 * np.log(amount / 15_000)
    logit += 0.02 * (age - 44) - 3.0 * (debt_ratio - 0.25) + 0.05 * (years - 6) + 0.4
    return np.clip(np.round(1 / (1 + np.exp(-_SURE * logit)), 6), 1e-6, 1 - 1e-6)
