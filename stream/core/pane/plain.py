"""Plain values of a record that isn't trusted, each checked as it is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["count_of", "finite_of", "items_of", "share_of", "text_of"]


def items_of(value: object) -> Sequence[Any]:
    """The items of a list; TypeError for anything else."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is not a list")
    return value


def text_of(value: object) -> str:
    """A text; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def count_of(value: object) -> int:
    """A whole number of 0 to 2^53; ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} is not a count")
    return value


def finite_of(value: object) -> float:
    """A number that is neither NaN nor infinite; ValueError for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def share_of(value: object) -> float:
    """A number of 0 to 1; ValueError for anything else."""
    share = finite_of(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not a share")
    return share
