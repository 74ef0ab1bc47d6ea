"""What a model is asked, what it answers, and what turns out to be true; with drift on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stream.core.records import Scalar

__all__ = ["CASES", "CLASSES", "Case", "Drift"]

CLASSES = ("leave", "pause", "stay")
_COUNTRIES = ("US", "DE", "FR", "CA", "JP")
_CITIES = ("Bern", "Oslo", "Porto", "Łódź")
_PLANS = ("basic", "plus", "pro")


@dataclass(frozen=True, slots=True)
class Drift:
    """How far data has moved (0 not, 1 in one feature, 2 in most), and whether truth has."""

    data: int = 0
    concept: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One request, its answer and its outcome."""

    features: Mapping[str, Scalar]
    prediction: Scalar
    score: float | Mapping[str, float] | None
    truth: Scalar


def _binary(rng: np.random.Generator, drift: Drift) -> Case:
    """A loan or a payment, and whether it fails."""
    amount = math.exp(rng.normal(3.0 + 1.2 * (drift.data > 0), 0.8))
    age = int(min(95.0, max(18.0, rng.normal(45.0 - 12.0 * (drift.data > 1), 12.0))))
    country = _COUNTRIES[int(rng.random() ** (1.5 if drift.data < 2 else 0.4) * len(_COUNTRIES))]
    income = None if rng.random() < 0.05 else round(float(rng.gamma(4.0, 900.0)), 2)
    score = round(float(rng.beta(0.35, 0.45)), 3)
    chance = 1.0 - score if drift.concept else score
    truth = int(rng.random() < chance)
    features: dict[str, Scalar] = {
        "amount": round(amount, 2),
        "age": age,
        "country": country,
        "income": income,
    }
    return Case(features, int(score >= 0.5), score, truth)


def _multiclass(rng: np.random.Generator, drift: Drift) -> Case:
    """A customer, and whether they stay."""
    tenure = round(float(rng.exponential(24.0 if drift.data < 1 else 5.0)), 1)
    usage = round(float(rng.normal(10.0 if drift.data < 2 else 16.0, 3.0)), 2)
    plan = _PLANS[int(rng.integers(len(_PLANS)))]
    parts = rng.dirichlet((0.4, 0.4, 0.9))
    score = {name: round(float(part), 3) for name, part in zip(CLASSES, parts, strict=True)}
    drawn = int(rng.choice(len(CLASSES), p=parts))
    truth = CLASSES[(drawn + 1) % len(CLASSES)] if drift.concept else CLASSES[drawn]
    best = max(CLASSES, key=score.__getitem__)
    return Case({"tenure": tenure, "usage": usage, "plan": plan}, best, score, truth)


def _regression(rng: np.random.Generator, drift: Drift) -> Case:
    """A flat, and what it costs."""
    area = round(float(rng.gamma(9.0, 9.0 if drift.data < 1 else 14.0)), 1)
    rooms = int(min(9, 1 + rng.poisson(area / 28.0)))
    city = _CITIES[int(rng.random() ** (1.0 if drift.data < 2 else 3.0) * len(_CITIES))]
    price = round(3.1 * area + 12.0 * rooms, 2)
    error = rng.normal(0.0 if not drift.concept else 90.0, 25.0)
    truth = round(float(price + error), 2)
    return Case({"area": area, "rooms": rooms, "city": city}, price, None, truth)


CASES: Mapping[str, Callable[[np.random.Generator, Drift], Case]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}
