"""A logger whose broker is nowhere."""

from __future__ import annotations

from typing import Any

from stream.client import PredictionLogger

__all__ = ["NOWHERE", "offline"]

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
