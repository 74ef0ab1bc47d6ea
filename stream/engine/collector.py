"""Python's garbage collector, told to leave alone what a worker keeps for its lifetime."""

from __future__ import annotations

import gc

__all__ = ["settle_garbage"]

# A slice makes thousands of short-lived objects that reference counting frees; with the default
# of 700 the collector would walk them several times a slice and find nothing.
_YOUNG = 50_000


def settle_garbage() -> None:
    """Freezes what is alive (modules, restored state) and collects the young less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
