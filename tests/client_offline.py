"""A logger whose broker is nowhere, and what a logger holds."""

from __future__ import annotations

from typing import Any

from stream.client import PredictionLogger
from stream.client.logger import RowLogger

__all__ = ["NOWHERE", "held", "offline"]

NOWHERE = "127.0.0.1:1"


def offline(**settings: Any) -> PredictionLogger:
    return PredictionLogger(
        **{
            "model": "m",
            "bootstrap_servers": NOWHERE,
            "exit_seconds": 0.0,
            "on_error": "raise",
            **settings,
        }
    )


def held(logger: RowLogger) -> tuple[int, int]:
    """Rows and bytes that were taken out of the logger's buffer and still count as in it."""
    feeder = logger._outbox._feeder
    assert feeder is not None
    return feeder.buffer.held_rows, feeder.buffer.held_size
