"""Loops over rows as machine code: for what is decided a row at a time and must be fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compiles a function at its first call, and keeps that where a folder can be written to.

    What is kept is known by the time of the function's own file: a compiled function must not
    call one of another file, whose changes would be missed. One thread, no fast mathematics:
    what comes out is the same on every machine.
    """
    try:
        return cast(_F, numba.njit(cache=True)(function))
    except RuntimeError:  # there is no such folder
        return cast(_F, numba.njit(function))
