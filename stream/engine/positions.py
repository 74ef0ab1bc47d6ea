"""A task's record of where it stands: the input positions of its state, and what made that."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from stream.core.errors import StateError

__all__ = ["POSITIONS", "read_positions", "write_positions"]

POSITIONS = b"positions"  # the record's key in the changelog


def write_positions(positions: Mapping[str, int], rules: Mapping[str, str]) -> bytes:
    """The record: the next offset of each input topic, and the agent's `rules`."""
    return orjson.dumps({"at": positions, "rules": rules})


def read_positions(value: bytes) -> tuple[dict[str, int], dict[str, str]]:
    """Reads what `write_positions` wrote; StateError for anything else."""
    try:
        record = orjson.loads(value)
        return dict(record["at"]), dict(record["rules"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"a changelog's positions are {value[:200]!r}, which this version did not write: run "
            "the version that wrote it, or stop the workers and run `driftstream state reset`"
        ) from error
