"""Small rules about numbers that several stages must share, so that they agree to the byte."""

from __future__ import annotations

import numpy as np

from stream.core.records import Int64s
from stream.core.specs import category

__all__ = ["equal_mass", "number_of", "significant"]


def significant(value: float) -> float:
    """The value rounded to 9 significant digits: what is compared with a threshold or written.

    numpy's log and exp differ in their last bits between processors; nine digits don't.

    >>> significant(0.1 + 0.2), significant(1234567891.5)
    (0.3, 1234567890.0)
    """
    return float(f"{value:.9g}")


def equal_mass(counts: Int64s, groups: int, least: int = 1) -> Int64s:
    """Cuts a row of counts into at most `groups` runs of about equal mass; returns their starts.

    Every run holds at least `least`, unless all of them together don't. A heavy count gets a run
    of its own, and where there are no more counts than groups only `least` joins them. Exact in
    integers, so the same everywhere.

    >>> equal_mass(np.array([1, 1, 1, 1, 90, 1, 1]), 4).tolist()
    [0, 4, 5, 6]
    """
    below = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    total = int(below[-1])
    starts = [0]
    at = 0
    while (left := groups - len(starts) + 1) > 1:
        base = int(below[at])
        fits = len(counts) - at <= left
        target = max(1 if fits else -(-(total - base) // left), least)
        end = int(np.searchsorted(below[1:], base + target)) + 1
        if end >= len(counts):
            break
        held, nearer = int(below[end - 1]) - base, int(below[end]) - base
        if held >= least and target - held < nearer - target:
            end -= 1
        at = end
        starts.append(at)
    if len(starts) > 1 and total - int(below[starts[-1]]) < least:
        starts.pop()
    return np.array(starts, dtype=np.int64)


def number_of(name: str) -> int | float | None:
    """The number whose category (`specs.category`) has this name, if there is one.

    >>> number_of("12"), number_of("0.5"), number_of("012"), number_of("CA")
    (12, 0.5, None, None)
    """
    # The largest float64 has 309 digits; a text much longer is no number's and slow to read.
    try:
        number: int | float = int(name) if len(name) <= 400 else 0
    except ValueError:
        try:
            number = float(name)
        except ValueError:
            return None
    return number if category(number) == name else None
