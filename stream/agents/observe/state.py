"""A task's state in the changelog: the watermarks of its sources, and what was told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from stream.core.errors import StateError
from stream.core.pane.watermark import Watermark
from stream.core.records import Source

__all__ = ["KEY", "SourceState", "read_state", "write_state"]

KEY = b"watermarks"
_VERSION = 1


class SourceState(NamedTuple):
    """A source's watermark, and the last pane end that was told to detect."""

    mark: Watermark
    told_end_ms: int


def write_state(states: Mapping[Source, SourceState]) -> bytes:
    """The state of a task's sources as versioned JSON."""
    rows = [
        [source.topic, source.partition, state.mark.high_ms, state.mark.k_ms, state.told_end_ms]
        for source, state in sorted(states.items())
    ]
    return orjson.dumps({"version": _VERSION, "sources": rows})


def read_state(value: bytes) -> dict[Source, SourceState]:
    """Reads what `write_state` wrote; StateError for anything else."""
    try:
        record = orjson.loads(value)
        if record["version"] != _VERSION:
            raise StateError(
                f"observe's state has version {record['version']}, this worker knows {_VERSION}: "
                "run the version that wrote it, or `driftstream state reset --agent observe`"
            )
        return {
            Source(topic, partition): SourceState(Watermark(high_ms, k_ms), told_end_ms)
            for topic, partition, high_ms, k_ms, told_end_ms in record["sources"]
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            "observe's changelog holds a record that is not its state: "
            "`driftstream state reset --agent observe`"
        ) from error
